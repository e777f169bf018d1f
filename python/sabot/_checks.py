"""Arguments of a stream's operators, checked when they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from sabot._errors import PlanError, UnknownColumnError, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable


def check_schema(schema: object) -> None:
    if schema is not None and not isinstance(schema, pa.Schema):
        raise PlanError(f"schema= takes a pyarrow.Schema, not {type(schema).__name__}")


def check_rows(what: str, rows: object, least: int) -> None:
    if not isinstance(rows, int) or isinstance(rows, bool) or not least <= rows < 2**63:
        raise PlanError(f"{what}({rows!r}): it takes a whole number from {least} on")


def check_names(what: str, names: Iterable[object], schema: pa.Schema | None) -> list[str]:
    """Refuses what is no name of a column; of a schema that is not known, only what is no name at all."""
    checked: list[str] = []
    for name in names:
        if not isinstance(name, str):
            raise PlanError(
                f"{what} takes names of columns, one argument each, not {type(name).__name__}"
            )
        if schema is not None and name not in schema.names:
            raise UnknownColumnError(f"there is no column {name!r}{suggest(name, schema.names)}")
        checked.append(name)
    return checked


def check_same(first: pa.Schema, other: pa.Schema) -> None:
    if not first.equals(other):
        raise PlanError(unlike(first, other))


def unlike(first: pa.Schema, other: pa.Schema) -> str:
    """In what two schemas of a union differ."""
    names = dict.fromkeys([*first.names, *other.names])
    shown: list[str] = []
    for name in names:
        types = [_type_text(schema, name) for schema in (first, other)]
        if types[0] != types[1]:
            shown.append(f"{name!r}: {types[0]} and {types[1]}")
    what = ", ".join(shown) or "the order of columns"
    return f"union needs equal schemas; they differ in {what}"


def _type_text(schema: pa.Schema, name: str) -> str:
    if name not in schema.names:
        return "none"
    field = cast("Any", schema).field(schema.names.index(name))
    return f"{field.type}{'' if field.nullable else ' not null'}"


def known(schema: pa.Schema | None, what: str) -> pa.Schema:
    if schema is None:
        raise PlanError(
            f"{what}: the columns are not known before the run; give schema= to the source or the map before it"
        )
    return schema
