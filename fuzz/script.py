"""A failure as a script: the function, the rows, the settings, and a main that checks again.

The same file is what a person runs (`python -m fuzz.corpus.<name>`), and what tests/test_differential.py replays for ever.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pyarrow as pa

from fuzz.columns import ARROW
from fuzz.engine import Engine, Settings
from fuzz.oracle import Mismatch, compare, expect

CORPUS = Path(__file__).parent / "corpus"


def make_table(
    params: dict[str, str], rows: list[tuple], keep: list[bool] | None = None
) -> pa.Table:
    """The parameters' columns and `_row`, from row tuples; and `_keep`, if some rows are to be filtered out before."""
    columns = list(zip(*rows, strict=True)) or [()] * len(params)
    arrays = [pa.array(c, ARROW[kind]) for c, kind in zip(columns, params.values(), strict=True)]
    arrays.append(pa.array(range(len(rows)), pa.int64()))
    names = [*params, "_row"]
    if keep is not None:
        arrays.append(pa.array(keep, pa.bool_()))
        names.append("_keep")
    return pa.Table.from_arrays(arrays, names=names)


def value_text(value: object) -> str:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f'float("{value}")'
    return repr(value)


def row_text(row: tuple) -> str:
    return f"({', '.join(value_text(v) for v in row)}{',' if len(row) == 1 else ''})"


def write(
    source: str,
    name: str,
    params: dict,
    rows: list,
    result: str,
    operator: str,
    settings: Settings,
    what: str,
    keep: list[bool] | None = None,
) -> str:
    """The text of the script."""
    lines = "".join(f"    {row_text(row)},\n" for row in rows)
    kept = f"KEEP = {keep!r}\n" if keep is not None else ""
    about = what.replace("\\", "\\\\").replace('"""', "'''").rstrip('"')
    return f'''"""{about}."""

# ruff: noqa
# fmt: off
{source.strip()}


FUNCTION = {name}
PARAMS = {params!r}
RESULT = {result!r}
OPERATOR = {operator!r}
SETTINGS = {{
    "batch_size": {settings.batch_size},
    "threads": {settings.threads},
    "tier": {settings.tier!r},
    "morsel_rows": {settings.morsel_rows},
    "record": {settings.record},
}}
ROWS = [
{lines}]
{kept}
if __name__ == "__main__":
    from fuzz.script import main

    main(globals())
'''


def check(engine: Engine, module: dict, settings: Settings | None = None) -> Mismatch | None:
    """Runs what a script holds; `settings` in place of its own."""
    table = make_table(module["PARAMS"], module["ROWS"], module.get("KEEP"))
    fn, result, operator = module["FUNCTION"], module["RESULT"], module["OPERATOR"]
    expected = expect(fn, module["ROWS"], result, operator)
    outcome = engine.run(fn, table, operator, settings or Settings(**module["SETTINGS"]))
    return compare(expected, result, operator, outcome, table, engine.data_error)


def load(path: Path) -> dict:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


def main(module: dict) -> None:
    from fuzz.engine import SabotEngine

    found = check(SabotEngine(), module)
    if found is not None:
        raise SystemExit(f"differs: {found}")
    print("equal to CPython")
