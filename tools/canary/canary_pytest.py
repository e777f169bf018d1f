"""A test that fails, one that passes, one that is skipped: tools/run_tests.py demands to see exactly one of each.

The name keeps it out of every ordinary collection.
"""

import pytest


def test_that_passes() -> None:
    assert True


def test_that_fails() -> None:
    assert [1] == [2]


def test_that_is_skipped() -> None:
    pytest.skip("on purpose")
