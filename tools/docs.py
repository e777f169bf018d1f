"""Renders the manual into build/docs: the README, docs/, the results of the benchmarks, a page for each room, the tables that the
code is made from, the Python interface from its docstrings, the C interface from its header.

    .venv/bin/python tools/docs.py

Fails when a link leads nowhere, when a public Python name has no docstring, or when a table cannot be read.
"""

from __future__ import annotations

import html
import inspect
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import markdown

import setup

ROOT = setup.ROOT
OUT = ROOT / "build" / "docs"

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
pre, code {{ font: 14px/1.4 ui-monospace, monospace; background: #f4f4f4; }} pre {{ padding: .7rem; overflow: auto; }}
table {{ border-collapse: collapse; }} td, th {{ border: 1px solid #ccc; padding: .2rem .6rem; text-align: left; }}
</style></head><body><nav><a href="{up}index.html">Sabot</a></nav>
{body}
</body></html>
"""


class Table(NamedTuple):
    """An X-macro list: where it is, what its columns are called."""

    title: str
    path: str
    macro: str
    columns: tuple[str, ...]


TABLES = (
    Table(
        "Why a function is not compiled",
        "src/ir/refusal.h",
        "SB_REFUSAL_LIST",
        ("", "code", "what it says", "what to do"),
    ),
    Table(
        "Why a row leaves native code",
        "src/rt/reason.h",
        "SB_REASON_LIST",
        ("", "reason", "meaning"),
    ),
    Table("Statuses of the C interface", "src/base/error.h", "SB_STATUS_LIST", ("name", "meaning")),
    Table(
        "Operations of the intermediate representation",
        "src/ir/ops.h",
        "SB_OP_LIST",
        ("", "op", "result", "operands", "flags"),
    ),
)


# --- the tables in the code -------------------------------------------------------------------------------------------


def split_arguments(text: str) -> list[str]:
    """The arguments of one entry; neighbouring string literals are one, as in C."""
    parts = re.findall(r'((?:"(?:\\.|[^"\\])*"\s*)+|[^,"]+)(?:,|$)', text)
    values: list[str] = []
    for part in parts:
        word = part.strip()
        if word.startswith('"'):
            word = "".join(re.findall(r'"((?:\\.|[^"\\])*)"', word)).replace('\\"', '"')
        values.append(word.strip("'"))
    return values


def read_table(table: Table) -> list[list[str]]:
    """The entries of an X-macro list, in the order of the source."""
    text = (ROOT / table.path).read_text()
    match = re.search(rf"#define {table.macro}\(X\)(.*?[^\\])\n", text, re.DOTALL)
    if match is None:
        raise ValueError(f"{table.path} does not define {table.macro}")
    body = re.sub(r"/\*.*?\*/", " ", match.group(1).replace("\\\n", "\n"), flags=re.DOTALL)
    rows: list[list[str]] = []
    for entry in re.finditer(r"\bX\(((?:\"(?:\\.|[^\"\\])*\"|[^()\"]|\([^()]*\))*)\)", body):
        values = split_arguments(entry.group(1))
        if len(values) != len(table.columns):
            raise ValueError(f"{table.path}: {values} has not {len(table.columns)} columns")
        rows.append(values)
    if not rows:
        raise ValueError(f"{table.path}: {table.macro} is empty")
    return rows


def tables_page() -> str:
    parts = ["<h1>Tables</h1>", "<p>Read from the lists that the code itself is made from.</p>"]
    for table in TABLES:
        shown = [i for i, name in enumerate(table.columns) if name]
        head = "".join(f"<th>{table.columns[i]}</th>" for i in shown)
        parts.append(f'<h2 id="{table.macro.lower()}">{table.title}</h2><table><tr>{head}</tr>')
        for row in read_table(table):
            cells = "".join(f"<td>{html.escape(row[i])}</td>" for i in shown)
            parts.append(f"<tr>{cells}</tr>")
        parts.append("</table>")
    return "\n".join(parts)


# --- the interfaces ---------------------------------------------------------------------------------------------------


def signature_of(value: object) -> str:
    if not callable(value):
        return ""
    try:
        return str(inspect.signature(value))
    except (TypeError, ValueError):
        return "(...)"


def members_of(name: str, value: object) -> Iterator[tuple[str, object]]:
    yield name, value
    if inspect.isclass(value):
        for key, member in vars(value).items():
            if not key.startswith("_") and (callable(member) or hasattr(member, "__doc__")):
                plain = getattr(member, "__func__", member)
                if inspect.isfunction(plain) or isinstance(member, property):
                    yield f"{name}.{key}", plain


def python_page(problems: list[str]) -> str:
    import sabot
    import sabot.operators

    parts = ["<h1>Python interface</h1>"]
    names = {name: getattr(sabot, name) for name in sabot.__all__}
    names |= {
        f"operators.{name}": getattr(sabot.operators, name) for name in sabot.operators.__all__
    }
    for name, thing in names.items():
        for full, value in members_of(name, thing):
            doc = inspect.getdoc(value)
            if not doc:
                if inspect.ismodule(value) or isinstance(value, str):
                    continue
                problems.append(f"sabot.{full} has no docstring")
                continue
            level = 2 if full == name else 3
            title = html.escape(full + signature_of(value))
            parts.append(f'<h{level} id="{full}"><code>{title}</code></h{level}>')
            parts.append(f"<pre>{html.escape(doc)}</pre>")
    return "\n".join(parts)


def c_page() -> str:
    header = html.escape((ROOT / "include" / "sabot.h").read_text())
    return f"<h1>C interface</h1><pre>{header}</pre>"


# --- pages from Markdown ----------------------------------------------------------------------------------------------


def sources() -> dict[str, Path]:
    """Name of each page -> its Markdown."""
    pages = {"index.html": ROOT / "README.md", "results.html": ROOT / "bench" / "RESULTS.md"}
    for path in sorted((ROOT / "docs").rglob("*.md")):
        pages[path.relative_to(ROOT).with_suffix(".html").as_posix()] = path
    for path in sorted((ROOT / "src").glob("*/README.md")):
        pages[f"rooms/{path.parent.name}.html"] = path
    return pages


def links_rewritten(body: str, page: str, source: Path, pages: dict[str, Path]) -> str:
    """Links between Markdown files become links between pages; links to other files lead into the checkout."""
    by_source = {path.resolve(): name for name, path in pages.items()}

    def rewrite(match: re.Match[str]) -> str:
        target, _, anchor = match.group(1).partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return match.group()
        path = (source.parent / html.unescape(target)).resolve()
        goal = OUT / by_source[path] if path in by_source else path
        new = os.path.relpath(goal, (OUT / page).parent) + (f"#{anchor}" if anchor else "")
        return f'href="{new}"'

    return re.sub(r'href="([^"]+)"', rewrite, body)


def render(page: str, source: Path, pages: dict[str, Path]) -> str:
    extensions = ["tables", "fenced_code", "toc"]
    body = markdown.markdown(source.read_text(), extensions=extensions, output_format="html")
    body = links_rewritten(body, page, source, pages)
    if page == "index.html":
        more = [("tables.html", "Tables"), ("python.html", "Python"), ("c.html", "C")]
        more += [(name, name.removesuffix(".html")) for name in pages if name != page]
        items = "".join(f'<li><a href="{name}">{title}</a></li>' for name, title in more)
        body += f"<h2>More</h2><ul>{items}</ul>"
    return body


def write(page: str, body: str) -> None:
    path = OUT / page
    path.parent.mkdir(parents=True, exist_ok=True)
    up = "../" * page.count("/")
    title = re.search(r"<h1[^>]*>(.*?)</h1>", body)
    name = re.sub("<[^>]+>", "", title.group(1)) if title else page
    path.write_text(PAGE.format(title=name, up=up, body=body))


def broken_links() -> Iterator[str]:
    """Links inside the manual or into the checkout that lead to no file or to no heading."""
    anchors = {
        path.resolve(): set(re.findall(r'id="([^"]+)"', path.read_text()))
        for path in OUT.rglob("*.html")
    }
    for path in sorted(anchors):
        for link in re.findall(r'href="([^"]+)"', path.read_text()):
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = link.partition("#")
            goal = (path.parent / target).resolve() if target else path
            where = path.relative_to(OUT.resolve())
            if not goal.exists():
                yield f"{where}: {link} leads nowhere"
            elif anchor and anchor not in anchors.get(goal, set()):
                yield f"{where}: {link} names no heading"


def main() -> int:
    shutil.rmtree(OUT, ignore_errors=True)
    problems: list[str] = []
    pages = sources()
    made: dict[str, Callable[[], str]] = {
        "tables.html": tables_page,
        "python.html": lambda: python_page(problems),
        "c.html": c_page,
    }
    for page, source in pages.items():
        made[page] = lambda page=page, source=source: render(page, source, pages)
    for page, make in made.items():
        try:
            write(page, make())
        except (OSError, ValueError, ImportError) as error:
            problems.append(f"{page}: {error}")
    problems += broken_links()
    for problem in problems:
        print(problem)
    print(f"{OUT.relative_to(ROOT)}/index.html: {len(made)} pages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
