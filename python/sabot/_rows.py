"""Items of an iterable turned into record batches: batch objects of any library. Dicts are gathered in `_dicts`."""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from sabot._errors import DataError, PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_VALUE_MAX = 60  # characters of a value in a message


class Items(Protocol):
    """What one pass makes of the items of its iterable.

    at_once: how many items may be waited for before any of them is looked at.
    """

    @property
    def at_once(self) -> int: ...

    def feed(self, item: object) -> Iterable[pa.RecordBatch]:
        """The batches that are complete with another item."""
        ...

    def finish(self) -> Iterable[pa.RecordBatch]:
        """The batches that are left at the end."""
        ...


def is_batch(item: object) -> bool:
    """Whether `batches_of` takes an object."""
    return not isinstance(item, type) and (
        isinstance(item, pa.RecordBatch | pa.Table)
        or hasattr(item, "__arrow_c_array__")
        or hasattr(item, "__arrow_c_stream__")
    )


def batches_of(item: Any) -> Iterator[pa.RecordBatch]:
    """The batches of a RecordBatch, a Table or an object that offers Arrow's C interface; an empty one keeps its schema."""
    if isinstance(item, pa.RecordBatch):
        yield item
        return
    from sabot._stream import Stream

    if isinstance(item, Stream):  # as an Arrow stream it would give only the text of an error
        yield from item
        return
    if isinstance(item, pa.Table):
        schema, pieces = item.schema, iter(item.to_batches())
    else:
        try:
            if hasattr(item, "__arrow_c_array__"):
                batch = pa.record_batch(item)
                batch.validate()
                schema, pieces = batch.schema, iter((batch,))
            else:
                reader = pa.RecordBatchReader.from_stream(item)
                schema, pieces = reader.schema, iter(reader)
        except ValueError as error:
            if not isinstance(error, pa.ArrowException) and "PyCapsule" not in str(error):
                raise
            raise DataError(f"{class_of(item)} holds no table: {error}") from error
        except pa.ArrowException as error:
            raise DataError(f"{class_of(item)} holds no table: {error}") from error
    empty = True
    try:
        for batch in pieces:
            empty = False
            batch.validate()
            yield batch
    except pa.ArrowException as error:
        raise DataError(f"{class_of(item)} failed: {error}") from error
    if empty:
        yield pa.RecordBatch.from_pylist([], schema=schema)


class BatchItems:
    """Items that are batches."""

    __slots__ = ("_count", "_what")

    at_once = 1

    def __init__(self, what: str) -> None:
        self._what = what
        self._count = 0

    def feed(self, item: object) -> Iterator[pa.RecordBatch]:
        if not is_batch(item):
            hint = "; from_dicts takes rows" if isinstance(item, Mapping) else ""
            raise DataError(
                f"item {self._count} of {self._what} is {describe(item)}, not a record batch{hint}"
            )
        self._count += 1
        return batches_of(item)

    def finish(self) -> tuple[pa.RecordBatch, ...]:
        return ()


def describe(value: object) -> str:
    """A value and its class, cut short."""
    try:
        text = repr(value)
    except Exception:
        text = "(its repr fails)"
    if len(text) > _VALUE_MAX:
        text = text[: _VALUE_MAX - 1] + "…"
    return f"{type(value).__name__} {text}"


def class_of(value: object) -> str:
    """A value's class with its package."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    return kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"


def check_size(batch_size: object, optional: bool = True) -> None:
    """Refuses what is no number of rows."""
    if batch_size is None and optional:
        return
    if type(batch_size) is bool or not isinstance(batch_size, int) or not 1 <= batch_size < 2**63:
        raise PlanError(f"batch_size={batch_size!r}: it is a whole number from 1 on, below 2**63")


def check_schema(schema: object) -> None:
    """Refuses what is no schema."""
    if schema is not None and not isinstance(schema, pa.Schema):
        raise PlanError(f"schema={describe(schema)}: it is a pyarrow.Schema, as pa.schema() makes")
