"""The examples in C say what an independent computation says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

BUILD = Path(os.environ.get("SABOT_BUILD_DIR") or ".")
FILTER = BUILD / "examples" / "c" / "example_filter"


@pytest.mark.skipif(not FILTER.exists(), reason="this build has no examples: C tests are off")
def test_filter_prints_the_rows_that_the_mask_keeps() -> None:
    result = subprocess.run([FILTER], capture_output=True, text=True, timeout=60, check=True)
    ids = np.arange(1_000_000)
    kept = ids[(ids * 7919 % 1000 < 250) & (ids % 7 != 0)]
    assert result.stdout == f"{len(kept)} of 1000000 rows, sum of their ids {kept.sum()}\n"
