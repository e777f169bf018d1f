"""A report as a notebook shows it: one block of HTML without scripts, in the notebook's own colours."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sabot._report import Marked

_MARKS = {"compiled": "#1a7f37", "expression": "#1a7f37", "numba": "#9a6700"}
_PLAIN = "#656d76"
_BLOCK = "border:1px solid #8884;border-radius:6px;padding:.6em .8em;max-width:60em;font-size:90%"
_MARK = "border-bottom:2px solid #cf222e;background:#cf222e22"


def html_of(
    signature: str,
    mode: str,
    kind: str,
    facts: Sequence[str],
    reasons: Sequence[tuple[Marked | None, str, str]],
) -> str:
    """A report as HTML; every text in it is escaped.

    Parameters:
        facts: lines about a compiled function.
        reasons: each as the line that it points at, what it says, and a hint.
    """
    colour = _MARKS.get(mode, _PLAIN)
    head = (
        f'<code style="font-weight:600">{escape(signature)}</code> '
        f'<span style="color:white;background:{colour};border-radius:3px;padding:0 .4em">{escape(mode)}</span> '
        f'<span style="color:{_PLAIN}">{escape(kind)}</span>'
    )
    told = "".join(f'<div style="color:{_PLAIN}">{escape(fact)}</div>' for fact in facts)
    parts = "".join(_reason(*reason) for reason in reasons)
    return f'<div style="{_BLOCK}"><div>{head}</div>{told}{parts}</div>'


def _reason(line: Marked | None, message: str, hint: str) -> str:
    parts: list[str] = []
    if line is not None:
        start, end = max(0, line.start), max(0, line.end)
        before, inside, after = line.text[:start], line.text[start:end], line.text[end:]
        marked = f'{escape(before)}<span style="{_MARK}">{escape(inside)}</span>{escape(after)}'
        place = f'<span style="color:{_PLAIN}">{escape(line.place)}</span>'
        parts.append(f'<pre style="margin:.5em 0 .1em">{place}  {marked}</pre>')
    parts.append(f"<div>{escape(message)}</div>")
    if hint:
        parts.append(f'<div style="color:{_PLAIN}">{escape(hint)}</div>')
    return "".join(parts)
