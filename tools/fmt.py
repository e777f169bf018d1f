"""Formats C and Python in place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import setup
import style


def main() -> int:
    ruff = str(Path(sys.executable).parent / "ruff")
    commands = [
        ["clang-format-19", "-i", *style.c_paths()],
        [ruff, "check", "--quiet", "--fix-only", *style.python_paths()],
        [ruff, "format", "--quiet", *style.python_paths()],
    ]
    return max(subprocess.run(command, cwd=setup.ROOT).returncode for command in commands)


if __name__ == "__main__":
    sys.exit(main())
