"""Source text to live functions, by the roads that users' functions come: a file on disk, several lambdas on one line of
it, and text that was executed and is known to linecache alone.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from pathlib import Path

from fuzz.grammar import Function

FUNCTIONS_PER_FILE = 20
LAMBDAS_PER_LINE = 4


def execute(source: str, filename: str, name: str) -> Callable:
    """The function `name` of a text that exists nowhere but in linecache."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    scope: dict = {"__name__": "fuzz_exec"}
    exec(compile(source, filename, "exec"), scope)
    return scope[name]


def load(functions: list[Function], path: Path) -> dict[str, Callable]:
    """Writes the functions into one module file and gives the live functions by name."""
    parts: list[str] = ['"""Made by the fuzzer."""\n']
    row: list[Function] = []
    for f in functions:
        if f.form == "lambda":
            row.append(f)
        elif f.form != "exec":
            parts.append(f.source)
        if len(row) == LAMBDAS_PER_LINE or (row and f is functions[-1]):
            parts.append(lambda_line(row))
            row = []
    if row:
        parts.append(lambda_line(row))
    source = "\n".join(parts)
    path.write_text(source)
    scope: dict = {"__name__": path.stem, "__file__": str(path)}
    exec(compile(source, str(path), "exec"), scope)
    live = {f.name: scope[f.name] for f in functions if f.form != "exec"}
    for f in functions:
        if f.form == "exec":
            live[f.name] = execute(f.source, f"<{path.stem}-{f.name}>", f.name)
    return live


def lambda_line(functions: list[Function]) -> str:
    captured = "".join(f.captured_text for f in functions)
    if len(functions) == 1:
        return f"{captured}{functions[0].name} = {functions[0].lambda_text}\n"
    names = ", ".join(f.name for f in functions)
    return f"{captured}{names} = {', '.join(f'({f.lambda_text})' for f in functions)}\n"
