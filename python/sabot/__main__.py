"""`python -m sabot`."""

import sys

from sabot._cli import main

if __name__ == "__main__":
    sys.exit(main())
