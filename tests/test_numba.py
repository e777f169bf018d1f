"""compile="numba": numba_runs.py in a process of its own, because Numba maps a page that is writable and executable."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def test_runs_with_numba():
    pytest.importorskip("llvmlite")  # numba itself is not imported here
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "numba_runs.py"]
    env = {**os.environ, "SABOT_TEST_NUMBA": "1"}
    done = subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    (passed,) = re.findall(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert int(passed) > 20
