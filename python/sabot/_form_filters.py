"""Fewer rows than the batch has: what masks leave of batches and arrays in a batch function.

Which rows an array has is told by the local that holds its value: those of the batch, or those that a mask leaves, of which a further mask
may leave fewer. Each mask is a local of the row function that says whether the row is kept, and what is made of kept rows alone stands
behind a test of it: a row that is dropped costs nothing there, and cannot leave. The last mask is a result, by which the engine drops rows.
What arrays of different rows give together is CPython's.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, NamedTuple

from sabot._form_arrays import plain
from sabot._form_narrow import as_result, item_of, unless_null
from sabot._form_numpy import cast
from sabot._form_stages import MADE, names_of
from sabot._form_values import ARROW, NUMPY, Array, Batch, NoFormError, Value
from sabot._piece import arrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sabot._form import Reader

MASK = f"{MADE}rows"  # the name of the result that says which rows are kept


class _Read(NamedTuple):
    """A mask that was read: by whom, its text, what the names in it stood for, how often arrays had changed by then, and what it is."""

    reader: Reader
    text: str
    names: Mapping[str, object]
    changes: int
    mask: Array


class Rows:
    """Which rows the arrays of a row function have: "", all of the batch, or the local that says whether a row is among them."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}  # by the array's local
        self._dtypes: dict[
            str, Any
        ] = {}  # of Arrow arrays that share memory with NumPy's, by local
        self._tests: dict[int, str] = {}  # statements that test a mask, by id
        self._copies: dict[int, str] = {}  # statements that only give an array's rows another local
        self._changes: dict[str, int] = {}  # how often an array was changed in place
        self._masks: list[_Read] = []
        self._guards: dict[tuple[str, int], str] = {}

    def put(self, name: str, kept: str) -> None:
        self._of[name] = kept

    def put_dtype(self, name: str, dtype: Any) -> None:
        self._dtypes[name] = dtype

    def may_be_null(self, array: Array) -> bool:
        """Whether pyarrow makes an array of type null of it where no row is left: of a list."""
        typed = array.type is not None or array.wanted is not None or array.name in self._dtypes
        return self.of(array.name) != "" and not typed

    def of(self, name: str) -> str:
        """The rows of the array that a local holds; columns of the batch have all."""
        return self._of.get(name, "")

    def of_batch(self, batch: Batch) -> str | None:
        """The rows of a batch; None where its columns have different ones."""
        kept = {self.of(array.name) for _, array in batch.columns}
        return None if len(kept) > 1 else next(iter(kept), "")

    def common(self, nodes: Iterable[ast.AST], place: ast.AST, kept: str | None = None) -> str:
        """The rows of all arrays in some statements. kept: those that are meant; None: whichever.

        Raises:
            NoFormError: they are different ones.
        """
        names = {name for node in nodes for name in names_of(node)}
        found = {self.of(name) for name in names if name in self._of or name.startswith("\0")}
        found |= set[str]() if kept is None else {kept}
        if len(found) > 1:
            raise NoFormError(place, "arrays of different rows beside each other")
        return next(iter(found), "")

    def behind(self, nodes: list[ast.stmt], place: ast.AST, kept: str) -> list[ast.stmt]:
        """Statements for some of the rows alone."""
        for node in nodes:
            for one in ast.walk(node):
                if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
                    self._changes[one.id] = self._changes.get(one.id, 0) + (one.id in self._of)
        if not kept or not nodes:
            return nodes
        made = ast.copy_location(ast.If(ast.Name(kept, ast.Load()), nodes, []), place)
        self._tests[id(made)] = kept
        return [made]

    # Masks

    def guard(self, reader: Reader, node: ast.expr, mask: Array) -> str:
        """The rows that a mask leaves of those that it is for."""
        key = mask.name, self._changes.get(mask.name, 0)
        if key not in self._guards:
            kept = self.of(mask.name)
            test = _truth(mask, node)
            if kept:
                test = ast.IfExp(ast.Name(kept, ast.Load()), test, ast.Constant(False))
            made = self._guards[key] = reader.slot()
            assigned = ast.Assign([ast.Name(made, ast.Store())], test)
            reader.body.append(ast.copy_location(assigned, node))
        return self._guards[key]

    def same(self, reader: Reader, node: ast.expr) -> Array | None:
        """The mask that the same text gave, where nothing that it reads has changed."""
        text, changes = ast.dump(node), sum(self._changes.values())
        for one in self._masks:
            same_names = one.reader is reader and (one.text, one.changes) == (text, changes)
            if same_names and all(reader.env.get(k) is value for k, value in one.names.items()):
                return one.mask
        return None

    def remember(self, reader: Reader, node: ast.expr, mask: Array) -> None:
        names = names_of(node)
        if names.isdisjoint(reader.plain_names):
            stood = {name: reader.env.get(name) for name in names}
            changes = sum(self._changes.values())
            self._masks.append(_Read(reader, ast.dump(node), stood, changes, mask))

    # Arrays

    def part(self, reader: Reader, node: ast.AST, array: Array, guard: str) -> Array:
        """An array's rows that a mask leaves: a copy, which may be changed where it is NumPy's."""
        name = reader.slot()
        made = ast.Assign([ast.Name(name, ast.Store())], array.value(node))
        [test] = self.behind([ast.copy_location(made, node)], node, guard)
        reader.body.append(test)
        self._of[name] = guard
        self._copies[id(test)] = name
        if array.name in reader.strict:
            reader.strict[name] = reader.strict[array.name]
        if array.name in self._dtypes:
            self._dtypes[name] = self._dtypes[array.name]
        return array._replace(name=name, own=array.family == NUMPY)

    def filled(
        self, reader: Reader, node: ast.expr, name: str, value: ast.expr, other: ast.expr
    ) -> str:
        """A local with a value for all rows of the batch: what is made of the array `name`, and for rows that it has not another."""
        made = reader.slot()
        test = ast.Name(self.of(name), ast.Load())
        whole = ast.Assign([ast.Name(made, ast.Store())], ast.IfExp(test, value, other))
        reader.body.append(ast.copy_location(whole, node))
        self._of[made] = ""
        return made

    # The end

    def without_copies(self, body: Sequence[ast.stmt], result: ast.expr) -> list[ast.stmt]:
        """Statements without those that give arrays locals that nothing reads."""
        names = names_of(result)
        made: list[ast.stmt] = []
        for node in reversed(body):
            if id(node) not in self._copies or self._copies[id(node)] in names:
                made.append(node)
                names |= names_of(node)
        return made[::-1]

    def results(self, arrays: Iterable[Array], kept: str, place: ast.expr | ast.stmt) -> ast.Tuple:
        """The row's results; where rows are dropped, first whether this one is kept."""
        items = [item_of(array, place) for array in arrays]
        given = [ast.copy_location(ast.Name(kept, ast.Load()), place)] if kept else []
        return ast.Tuple([*given, *items], ast.Load())

    def closed(
        self,
        body: Sequence[ast.stmt],
        arrays: Iterable[Array],
        kept: str,
        place: ast.expr | ast.stmt,
    ) -> list[ast.stmt]:
        """A body with its end: rows that are dropped are through before what is for kept rows alone."""
        end = ast.copy_location(ast.Return(self.results(arrays, kept, place)), place)
        at = len(body)
        while at > 0 and kept and self._tests.get(id(body[at - 1])) == kept:
            at -= 1
        inner = [one for test in body[at:] if isinstance(test, ast.If) for one in test.body]
        nothing = [self._nothing(array, place) for array in arrays]
        before = self._joined(body[:at])
        if not kept or not (inner or nothing):
            return [*before, end]
        dropped = ast.Return(ast.Tuple([ast.Constant(False), *nothing], ast.Load()))
        test = ast.If(ast.UnaryOp(ast.Not(), ast.Name(kept, ast.Load())), [dropped], [])
        return [*before, ast.copy_location(test, place), *inner, end]

    def _nothing(self, array: Array, place: ast.expr | ast.stmt) -> ast.expr:
        """What stands for the value of a row that is dropped: one of the result's type, where that is known."""
        dtype = array.type if array.family == NUMPY else self._dtypes.get(array.name)
        zeros: dict[str, object] = {"b": False, "i": 0, "u": 0, "f": 0.0}
        if dtype is not None:
            return cast(place, _constant(zeros[dtype.kind], place), dtype)
        if array.family != ARROW or array.type is None:
            return _constant(None, place)
        kind = str(array.type)
        zero = 0.0 if kind in ("double", "float") else kind != "bool" and 0
        return as_result(_constant(zero, place), array.type)

    def _joined(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Statements behind the same test that follow one another, as one."""
        made: list[ast.stmt] = []
        last = ""
        for node in body:
            kept = self._tests.get(id(node), "")
            before = made[-1] if kept and kept == last else None
            if isinstance(before, ast.If) and isinstance(node, ast.If):
                joined = ast.If(before.test, [*before.body, *node.body], [])
                made[-1] = ast.copy_location(joined, before)
            else:
                made.append(node)
            last = kept
        return made


def _constant(value: Any, place: ast.AST) -> ast.expr:
    return ast.copy_location(ast.Constant(value), place)


def _truth(mask: Array, node: ast.expr) -> ast.expr:
    """Whether a mask keeps the row: a null does not."""
    value = mask.value(node)
    if mask.family == NUMPY:
        return plain(node, value, "b")
    return unless_null(node, value, value, False)


def _mask(reader: Reader, given: ast.expr) -> Value | None:
    """What selects rows, read once for the same text."""
    made = reader.kept_rows.same(reader, given)
    if made is None:
        made = reader.value(given)
        if isinstance(made, Array):
            reader.kept_rows.remember(reader, given, made)
    return made


def _part(
    reader: Reader, node: ast.expr, owner: Array | Batch, given: ast.expr, mask: Value | None
) -> Array | Batch:
    """The rows of an array or a batch that a mask leaves."""
    rows = reader.kept_rows
    if not isinstance(mask, Array) or not _is_boolean(mask):
        raise NoFormError(given, "rows by something else than a mask of booleans")
    kept = rows.of(owner.name) if isinstance(owner, Array) else rows.of_batch(owner)
    if kept != rows.of(mask.name):
        raise NoFormError(node, "a mask for other rows")
    guard = rows.guard(reader, given, mask)
    if isinstance(owner, Array):
        return rows.part(reader, node, owner, guard)
    parts = tuple((name, rows.part(reader, node, one, guard)) for name, one in owner.columns)
    return owner._replace(columns=parts)


def _is_boolean(mask: Array) -> bool:
    if mask.family == NUMPY:
        return bool(mask.type.kind == "b")
    return mask.family == ARROW and mask.type == arrow.bool_()


def item(reader: Reader, node: ast.Subscript, array: Array, key: ast.expr) -> Array | None:
    """`x[mask]` of NumPy arrays; None: it is none."""
    if isinstance(key, (ast.Slice, ast.Tuple, ast.Constant)):
        return None
    mask = _mask(reader, key)
    if not isinstance(mask, Array):
        return None
    if mask.family != NUMPY:
        raise NoFormError(key, "items of an array of NumPy by something that is none")
    made = _part(reader, node, array, key, mask)
    assert isinstance(made, Array)
    return made


def filtered(
    reader: Reader, node: ast.Call, owner: Array | Batch, given: ast.expr, nulls: ast.expr | None
) -> Array | Batch:
    """The rows of a batch or an Arrow array that a mask leaves; nulls: `null_selection_behavior=`."""
    if reader.kind == "whole":
        raise NoFormError(node, "some of the rows")
    if nulls is not None and reader.constant(nulls) != "drop":
        raise NoFormError(node, "a null_selection_behavior= that keeps rows")
    if isinstance(owner, Batch) and not owner.columns:
        raise NoFormError(node, "rows of a batch without columns")
    return _part(reader, node, owner, given, _mask(reader, given))


def filter_method(reader: Reader, node: ast.Call, owner: Array | Batch) -> Value:
    from sabot._form_calls import arguments, needed

    mask, nulls = arguments(node, "mask", "null_selection_behavior")
    if isinstance(owner, Array) and len(node.args) > 1:
        raise NoFormError(node, "its arguments")
    return filtered(reader, node, owner, needed(node, mask), nulls)


def filter_function(reader: Reader, node: ast.Call) -> Value:
    """pc.filter"""
    from sabot._form_calls import arguments, needed

    given, mask, nulls = arguments(node, "input", "selection_filter", "null_selection_behavior")
    owner = reader.value(needed(node, given))
    arrays = isinstance(owner, Batch) or (isinstance(owner, Array) and owner.family == ARROW)
    if not arrays or len(node.args) < 2:
        raise NoFormError(node, "pc.filter of no Arrow array or batch")
    assert isinstance(owner, (Array, Batch))
    return filtered(reader, node, owner, needed(node, mask), nulls)


def drop_null(reader: Reader, node: ast.Call, owner: Array | Batch) -> Value:
    """The rows without a null."""
    from sabot._form_compute import computed

    if reader.kind == "whole" or (isinstance(owner, Batch) and not owner.columns):
        raise NoFormError(node, "some of the rows")
    arrays = [owner] if isinstance(owner, Array) else [one for _, one in owner.columns]
    masks = [computed(reader, node, "is_valid", [one]) for one in arrays]
    mask = masks[0]
    for one in masks[1:]:
        mask = computed(reader, node, "and_", [mask, one])
    return _part(reader, node, owner, node, mask)


def drop_null_method(reader: Reader, node: ast.Call, owner: Array | Batch) -> Value:
    from sabot._form_calls import arguments

    arguments(node)
    return drop_null(reader, node, owner)


def drop_null_function(reader: Reader, node: ast.Call) -> Value:
    """pc.drop_null"""
    from sabot._form_calls import arguments, needed

    [given] = arguments(node, "input")
    owner = reader.value(needed(node, given))
    arrays = isinstance(owner, Batch) or (isinstance(owner, Array) and owner.family == ARROW)
    if not arrays or not node.args:
        raise NoFormError(node, "pc.drop_null of no Arrow array or batch")
    assert isinstance(owner, (Array, Batch))
    return drop_null(reader, node, owner)
