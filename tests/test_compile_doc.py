"""docs/compile.md: its snippets print what stands below them, and its tables are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from sabot._form_compute import FORMS
from sabot._kinds import KINDS_TABLE

PAGE = Path(__file__).resolve().parent.parent / "docs" / "compile.md"
MARK = "--- next snippet"


def test_snippets_print_what_the_page_shows(tmp_path):
    pairs = []
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        if language == "python":
            pairs.append([text, ""])
        else:
            assert (language, pairs[-1][1]) == ("text", "")
            pairs[-1][1] = text
    assert len(pairs) > 7
    script = tmp_path / "page.py"
    script.write_text(f"\nprint({MARK!r})\n".join(code for code, _ in pairs))
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    for (code, wanted), printed in zip(pairs, result.stdout.split(MARK + "\n"), strict=True):
        assert printed == wanted, code


def rows_below(head):
    lines = PAGE.read_text().partition(f"{head}\n|---|---|\n")[2].splitlines()
    return [line.strip("| ") for line in lines[: lines.index("")]]


def test_the_table_of_kinds_is_the_rule():
    wanted = [f"{row.when} | {row.kind}" for row in KINDS_TABLE]
    assert rows_below("| when | kind |") == wanted


def test_the_table_of_compute_functions_is_the_compilers():
    named = re.findall(r"`(\w+)`", " ".join(rows_below("| of | functions |")))
    assert sorted(named) == sorted(FORMS)
