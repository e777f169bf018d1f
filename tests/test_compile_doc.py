"""docs/compile.md: its snippets print what stands below them, and its tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from support import check_snippets

from sabot._form_compute import FORMS
from sabot._form_options import SPECIAL
from sabot._kinds import KINDS_TABLE

PAGE = Path(__file__).resolve().parent.parent / "docs" / "compile.md"


def test_snippets_print_what_the_page_shows(tmp_path):
    check_snippets(PAGE, tmp_path, 9)


def rows_below(head):
    lines = PAGE.read_text().partition(f"{head}\n|---|---|\n")[2].splitlines()
    return [line.strip("| ") for line in lines[: lines.index("")]]


def test_the_table_of_kinds_is_the_rule():
    wanted = [f"{row.when} | {row.kind}" for row in KINDS_TABLE]
    assert rows_below("| when | kind |") == wanted


def test_the_table_of_compute_functions_is_the_compilers():
    named = re.findall(r"`(\w+)`", " ".join(rows_below("| of | functions |")))
    assert sorted(named) == sorted({*FORMS, *SPECIAL})
