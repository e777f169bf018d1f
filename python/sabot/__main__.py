"""`python -m sabot`."""

import sys

from sabot._cli import main

sys.exit(main())
