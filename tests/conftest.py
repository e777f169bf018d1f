"""Every test, whatever it tests, ends with no page of this process both writable and executable, and with default settings."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A program that a shell starts in the background is not interrupted by Ctrl-C; tests are.
signal.signal(signal.SIGINT, signal.default_int_handler)
# What one run finds each run finds; `make fuzz-nightly` looks further.
settings.register_profile("same", derandomize=True)
settings.load_profile(os.environ.get("SABOT_HYPOTHESIS", "same"))
# What is compiled for a test is compiled then and there. Tests of the cache name a folder of their own.
os.environ["SABOT_CACHE_DIR"] = "off"


def writable_and_executable() -> list[str]:
    """The mappings of this process that could be written and run."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in lines if {"w", "x"} <= set(line.split()[1])]


@pytest.fixture(autouse=True)
def no_page_is_writable_and_executable() -> Iterator[None]:
    yield
    # Numba maps such a page; the tests of test_numba.py run in a process of their own.
    if "SABOT_TEST_NUMBA" not in os.environ:
        assert writable_and_executable() == []


@pytest.fixture(autouse=True)
def default_settings() -> Iterator[None]:
    yield
    from sabot import config

    sources = {name: config().source(name) for name in config()}
    assert "config" not in sources.values(), sources
