"""What the tests of capture share: modules from texts, and blobs as text."""

from __future__ import annotations

import importlib.util
import itertools
import re
from pathlib import Path

from sabot._blob import dump
from sabot._capture import capture

counter = itertools.count()


def load(folder: Path, text: str | bytes, name: str | None = None):
    """Imports a module from a text; functions in it come with their file."""
    name = name or f"captured_{next(counter)}"
    path = folder / f"{name}.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def body(fn) -> list[str]:
    """The lines of a dumped blob below its header, without positions."""
    captured = capture(fn)
    assert captured.refusals == (), captured.refusals
    return [line.split("  @")[0] for line in dump(captured.blob).split("\n")[2:]]


def codes(fn) -> list[str]:
    return [refusal.code for refusal in capture(fn).refusals]


def refused(fn) -> tuple[str, str, str]:
    """The one UNSUPPORTED node of a function: its code, its detail and the text it is placed at."""
    captured = capture(fn)
    text = dump(captured.blob)
    found = re.findall(r"UNSUPPORTED (\w+) '(.*)'  @(\d+):(\d+)-(\d+)$", text, re.MULTILINE)
    assert len(found) == 1, text
    code, detail, line, start, end = found[0]
    source = captured.source_line(int(line)).encode()
    return code, detail, source[int(start) : int(end)].decode()
