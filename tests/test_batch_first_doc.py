"""docs/batch-first.md: its snippets run, one after the other, and print what stands below them."""

from __future__ import annotations

import re
from pathlib import Path

from support import check_snippets

PAGE = Path(__file__).resolve().parent.parent / "docs" / "batch-first.md"


def test_snippets_print_what_the_page_shows(tmp_path):
    check_snippets(PAGE, tmp_path, 9)


def test_the_table_names_the_methods_of_the_base():
    from sabot.operators import BaseOperator

    named = set(re.findall(r"^\| `(\w+)\(", PAGE.read_text(), re.MULTILINE))
    assert named == {name for name in vars(BaseOperator) if not name.startswith("_")}
