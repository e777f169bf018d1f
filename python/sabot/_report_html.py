"""A report as a notebook shows it: one block of HTML without scripts, in the notebook's own colours."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sabot._report import Reason, Report

_MARKS = {"compiled": "#1a7f37", "expression": "#1a7f37", "numba": "#9a6700"}
_PLAIN = "#656d76"
_BLOCK = "border:1px solid #8884;border-radius:6px;padding:.6em .8em;max-width:60em;font-size:90%"
_MARK = "border-bottom:2px solid #cf222e;background:#cf222e22"


def html_of(report: Report) -> str:
    """The report as HTML; every text in it is escaped."""
    kind = f"{report.kind}, {report.form} form" if report.form else report.kind
    colour = _MARKS.get(report.mode, _PLAIN)
    head = (
        f'<code style="font-weight:600">{escape(report.signature)}</code> '
        f'<span style="color:white;background:{colour};border-radius:3px;padding:0 .4em">{escape(report.mode)}</span> '
        f'<span style="color:{_PLAIN}">{escape(kind)}</span>'
    )
    facts = "".join(f'<div style="color:{_PLAIN}">{escape(fact)}</div>' for fact in report.facts())
    reasons = "".join(_reason(report, reason) for reason in report.reasons)
    return f'<div style="{_BLOCK}"><div>{head}</div>{facts}{reasons}</div>'


def _reason(report: Report, reason: Reason) -> str:
    parts: list[str] = []
    line = report.marked(reason)
    if line is not None:
        start, end = max(0, line.start), max(0, line.end)
        before, inside, after = line.text[:start], line.text[start:end], line.text[end:]
        marked = f'{escape(before)}<span style="{_MARK}">{escape(inside)}</span>{escape(after)}'
        place = f'<span style="color:{_PLAIN}">{escape(line.place)}</span>'
        parts.append(f'<pre style="margin:.5em 0 .1em">{place}  {marked}</pre>')
    parts.append(f"<div>{escape(reason.message)}</div>")
    if reason.hint:
        parts.append(f'<div style="color:{_PLAIN}">{escape(reason.hint)}</div>')
    return "".join(parts)
