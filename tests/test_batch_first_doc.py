"""docs/batch-first.md: its snippets run, one after the other, and print what stands below them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "batch-first.md"
MARK = "--- next snippet"


def snippets():
    """Each Python block with the text block that follows it; no output where there is none."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert {language for language, _ in blocks} == {"python", "text"}
    found = []
    for language, text in blocks:
        if language == "python":
            found.append([text, ""])
        else:
            assert found[-1][1] == "", "two text blocks in a row"
            found[-1][1] = text
    return found


def test_snippets_print_what_the_page_shows(tmp_path):
    pairs = snippets()
    assert len(pairs) > 8
    script = tmp_path / "page.py"
    script.write_text(f"\nprint({MARK!r})\n".join(code for code, _ in pairs))
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    for (code, wanted), printed in zip(pairs, result.stdout.split(MARK + "\n"), strict=True):
        assert printed == wanted, code


def test_the_table_names_the_methods_of_the_base():
    from sabot.operators import BaseOperator

    named = set(re.findall(r"^\| `(\w+)\(", PAGE.read_text(), re.MULTILINE))
    assert named == {name for name in vars(BaseOperator) if not name.startswith("_")}
