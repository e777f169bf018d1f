"""Compiled functions against CPython: failures of the past, and a short run of the fuzzer."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz import differential, script
from fuzz.engine import SabotEngine

pytestmark = pytest.mark.differential
CORPUS = sorted(script.CORPUS.glob("[a-z]*.py"))


@pytest.fixture(scope="module")
def engine() -> SabotEngine:
    return SabotEngine()


@pytest.mark.parametrize("path", CORPUS, ids=[p.stem for p in CORPUS])
def test_failure_of_the_past_stays_away(engine: SabotEngine, path: Path) -> None:
    module = script.load(path)
    assert script.check(engine, module) is None
    for settings in differential.all_settings():
        found = script.check(engine, module, settings)
        assert found is None, f"{settings}: {found}"


@pytest.mark.parametrize("tier", differential.TIERS)
def test_fuzzer_finds_nothing(tier: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = differential.main(
        ["--functions", "80", "--columns", "6", "--seed", "suite", "--tier", tier]
    )
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert "0 findings" in printed


def test_fuzzer_under_all_settings(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--functions",
        "20",
        "--columns",
        "3",
        "--seed",
        "settings 4",
        "--combinations",
        "2000",
    ]
    status = differential.main(arguments)
    assert status == 0, capsys.readouterr().out
