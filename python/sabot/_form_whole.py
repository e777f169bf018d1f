"""The whole form of a batch function: its text as a function that is called once per batch, with columns as lists.

What the function does with numbers stays as it stands: loops that carry values from row to row, lists that grow, items of neighbours.
Only what it does with the batch is read: columns taken as lists or arrays become lists in memory, and what is returned becomes a tuple of
the lists that the new columns are made of. So this form takes what has no row form (`_form`), and a batch is one call of native code.

An array of NumPy is a list of np.float64 here, and its name may only be used as such a list can be: its items, its length, loops over it.
"""

from __future__ import annotations

import ast
import copy
import functools
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any
from typing import cast as cast_to

import pyarrow as pa

from sabot._blob import COLUMN_NULLS, COLUMN_NUMPY
from sabot._encode_numpy import writer_of
from sabot._encode_program import Own
from sabot._form import Reader, RowForm
from sabot._form_calls import FUNCTIONS, arguments, call, needed
from sabot._form_constants import type_of_text
from sabot._form_numpy import cast, numpy
from sabot._form_rows import FUNCTIONS as INNER
from sabot._form_rows import free, stored
from sabot._form_values import ARROW, Array, Batch, NoFormError, batch_parameter
from sabot._piece import arrow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sabot._capture import Captured
    from sabot._encode import Encoder
    from sabot._encode_program import Part
    from sabot._form_values import Value
    from sabot._guards import Found

_CHANGING = frozenset(["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"])
_CALLING = (map, filter, sorted, min, max)  # what calls functions that it is given
_FRESH = (ast.List, ast.ListComp, ast.BinOp)  # what makes a list that nobody else has
_OF_ITEMS = (len, enumerate, zip, reversed, sum, min, max, list)  # what arrays may be given to


def whole_form(
    captured: Captured, found: Mapping[str, Found], schema: pa.Schema, is_filter: bool | None
) -> RowForm:
    """Reads a captured batch function; parameters as of `row_form`.

    Raises:
        NoFormError: it has no such form, or none that is known here.
    """
    node = captured.node
    assert node is not None
    if not isinstance(node, ast.FunctionDef) or not batch_parameter(captured):
        raise NoFormError(node, "no function with a parameter that is the batch")
    try:
        form = WholeReader(captured, found, schema).form(node, is_filter)
    except RecursionError:
        raise NoFormError(node, "nested too deeply") from None
    if not form.read:
        raise NoFormError(node, "it reads no column")
    return form


class WholeReader(Reader):
    """Keeps statements as they are, but for what they do with the batch."""

    def __init__(self, captured: Captured, found: Mapping[str, Found], schema: pa.Schema) -> None:
        super().__init__(captured, found, schema)
        self.arrays: dict[str, bool] = {}  # names of NumPy arrays: is it the function's own
        self._nodes: list[ast.AST] = []
        self._read_inside: set[str] = set()  # names that functions inside read
        self._returning = False
        self._changes = False  # lists may change while what is read is made
        nodes = [] if captured.node is None else [*ast.walk(captured.node)]
        takes_arrays = any(isinstance(n, ast.Attribute) and n.attr == "to_numpy" for n in nodes)
        # Lists may hold None where the text says something about it; else a batch with nulls is CPython's.
        self._has_functions = any(isinstance(n, INNER) for n in nodes[1:])
        says_none = any(isinstance(n, ast.Constant) and n.value is None for n in nodes)
        self._nulls = says_none and not takes_arrays

    @property
    def kind(self) -> str:
        return "whole"

    # Statements

    def _given(self, node: ast.expr) -> Value | dict[str, Value]:
        self._returning = True
        self._changes = not self._changes_nothing(node)
        return super()._given(node)

    def _changes_nothing(self, node: ast.expr) -> bool:
        """Whether no list changes while what is returned is made."""
        for one in ast.walk(node):
            match one:
                case ast.Call(ast.Attribute(attr=name)):
                    if name in _CHANGING:
                        return False
                case ast.Call():
                    # A function of the user's may change a list that it is given, or finds.
                    target = self.called(one)
                    kind: object = type(target)
                    if kind is not type and kind is not BuiltinFunctionType:
                        return False
                    calls = any(target is known for known in _CALLING) or any(
                        word.arg == "key" for word in one.keywords
                    )
                    if target is functools.reduce or (calls and self._has_functions):
                        return False
                case _:
                    pass
        return True

    def statement(self, node: ast.stmt, first: bool = False) -> None:
        match node:
            case ast.Expr(ast.Constant(str())) if first:
                return
            case ast.Assign([ast.Name(name)], value):
                pass
            case ast.AnnAssign(ast.Name(name), value=ast.expr() as value):
                pass
            case _:
                name, value = "", None
        if value is None or not self._stands_for(node, name, value):
            self._keep(node)

    def _stands_for(self, node: ast.stmt, name: str, value: ast.expr) -> bool:
        """Whether a name now stands for a part of the batch, or for an array."""
        self._changes = not self._changes_nothing(value)
        given = self.value(value)
        made = None if given is not None else self.array(value)
        if given is None and made is None:
            return False
        if name in self.arrays:
            raise NoFormError(node, f"{name}, an array, is bound anew")
        if name in self._read_inside:
            raise NoFormError(node, f"{name}, which a function above reads")
        if given is not None:
            self.stands(name, given)
            return True
        assert made is not None
        items, self.arrays[name] = made
        self.env.pop(name, None)
        target = ast.copy_location(ast.Name(name, ast.Store()), node)
        self.body.append(ast.copy_location(ast.Assign([target], items), node))
        return True

    def _keep(self, node: ast.stmt) -> None:
        """A statement that stays, with the batch's columns as lists."""
        match node:
            case ast.Assign([ast.Name(name)], value) if name in self.env:
                kept = ast.Assign([ast.Name(name, ast.Store())], self.rewritten(value))
                ast.copy_location(kept.targets[0], node)
                made = ast.copy_location(kept, node)
                self.env.pop(name)
            case _:
                made = cast_to("ast.stmt", _Rewriter(self).visit(self._copied(node)))
        self._plain |= stored([node])
        self.body.append(made)

    # Values

    def _read(self, node: ast.expr) -> Value | None:
        match node:
            case ast.Name(name):
                return self.env.get(name)
            case ast.Subscript(of, key):
                if isinstance(batch := self.maybe(of), Batch):
                    return self.column(batch, key, node)
            case ast.Call(ast.Attribute(of)) if isinstance(self.maybe(of), Batch):
                return call(self, node)
            case ast.Call():
                target = self.called(node)
                if target is arrow.array:
                    return self._pa_array(node)
                if any(target is known for known, _ in FUNCTIONS):
                    return call(self, node)
            case _:
                pass
        return None

    def as_array(self, value: ast.expr, node: ast.AST) -> Array:
        """A column of the result, of an array or of what pyarrow makes one of: a list of the function's."""
        given = self.value(value)
        if given is not None:
            return self.as_arrow(given, node)
        if self._changes:
            raise NoFormError(value, "a list that may change while the result is made")
        return Array(ARROW, self._list(value, copies=not self._returning))

    def columns_of(self, given: ast.expr, node: ast.AST) -> tuple[tuple[str, Array], ...]:
        if not isinstance(given, ast.Dict):
            raise NoFormError(node, "columns that the text does not tell")
        pairs: dict[str, Array] = {}
        for key, item in zip(given.keys, given.values, strict=True):
            name = self.constant(key) if key is not None else None
            if not isinstance(name, str) or name in pairs:
                raise NoFormError(item, "a column that the text does not tell")
            pairs[name] = self.as_array(item, node)
        return tuple(pairs.items())

    def _columns(self, node: ast.Dict) -> dict[str, Value]:
        columns: dict[str, Value] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            name = self.constant(key) if key is not None else None
            if not isinstance(name, str) or name in columns:
                raise NoFormError(item, "a column that the text does not tell")
            given = self.value(item)
            if given is None:  # becomes an array behind the return
                given = Array(ARROW, self._list(item, copies=False))
            columns[name] = given
        return columns

    def _pa_array(self, node: ast.Call) -> Array:
        values, type_node = arguments(node, "obj", "type")
        wanted = None if type_node is None else type_of_text(self, node, type_node)
        copies = self._changes or not self._returning
        return Array(ARROW, self._list(needed(node, values), copies=copies), wanted=wanted)

    def _list(self, node: ast.expr, *, copies: bool) -> str:
        """A local that holds the items of an array of Arrow that is made of an expression."""
        self.fresh = isinstance(node, ast.Name) and self.arrays.get(node.id, False)
        if isinstance(node, ast.Name) and node.id in self.arrays:
            return self.make(node, node)  # they share memory
        name = self.make(self.rewritten(node), node)
        self.strict[name] = node
        if not copies or isinstance(node, _FRESH):
            return name
        held = ast.copy_location(ast.Name(name, ast.Load()), node)  # the list may change later
        copied = ast.Subscript(held, ast.Slice(), ast.Load())
        return self.make(ast.copy_location(copied, node), node)

    def rewritten(self, node: ast.expr) -> ast.expr:
        return cast_to("ast.expr", _Rewriter(self).visit(self._copied(node)))

    def _copied(self, node: ast.AST) -> ast.AST:
        """A copy whose nodes stay: what they stand for is remembered by their identity."""
        made = copy.deepcopy(node)
        for one in ast.walk(made):
            self._nodes.append(one)
            if isinstance(one, INNER):
                read = free(one)
                for name in sorted(read & {*self.env}):
                    raise NoFormError(one, f"a function inside that reads {name}, of the batch")
                self._read_inside |= read
        return made

    # Columns and arrays

    def items(self, array: Array, node: ast.AST, *, of_numpy: bool = False) -> ast.expr:
        """A column of the batch as a list."""
        if array.family != ARROW or array.column is None:
            raise NoFormError(node, "the values of an array that was made here")
        flags = (COLUMN_NULLS if self._nulls else 0) | (COLUMN_NUMPY if of_numpy else 0)
        return _builtin(node, "COLUMN", array.value(node), flags)

    def rows(self, node: ast.AST) -> ast.expr:
        """The number of rows: any column's length."""
        read = {array.column: array for array in self._input.values()}
        for array in read.values():
            if _is_listed(array.type):
                return ast.copy_location(_len(self.items(array, node)), node)
        raise NoFormError(node, "a batch without a column of numbers")

    def array(self, node: ast.expr) -> tuple[ast.expr, bool] | None:
        """The items of a NumPy array, and whether it is the function's own; None: it is no array."""
        match node:
            case ast.Call(ast.Attribute(of, "to_numpy")):
                array = self.value(of)
                if not isinstance(array, Array):
                    return None
                arguments(node, "zero_copy_only")
                if array.type != pa.float64():
                    raise NoFormError(node, f"to_numpy of {array.type}")
                return self.items(array, node, of_numpy=True), False
            case ast.Call(ast.Attribute(ast.Name(name) as of, "copy"), [], []):
                if name in self.arrays:
                    made = ast.Subscript(of, ast.Slice(), ast.Load())
                    return ast.copy_location(made, node), True
                return None
            case ast.Call():
                return self._new_array(node)
            case _:
                return None

    def _new_array(self, node: ast.Call) -> tuple[ast.expr, bool] | None:
        np, target = numpy(), self.called(node)
        if target is None or np is None or writer_of(np.sqrt) is None:
            return None
        fill: object = 0.0
        if target is np.empty_like or target is np.zeros_like:
            [like] = arguments(node, "prototype" if target is np.empty_like else "a")
            if not isinstance(like, ast.Name) or like.id not in self.arrays:
                raise NoFormError(node, "an array like another that is not known")
            count = ast.copy_location(_len(like), node)
        elif target is np.empty or target is np.zeros or target is np.ones:
            [shape, dtype] = arguments(node, "shape", "dtype")
            of = None if dtype is None else self._type_name(dtype)
            if dtype is not None and of is not np.float64 and of is not float:
                raise NoFormError(node, "an array that is not of float64")
            fill = 1.0 if target is np.ones else 0.0
            count = self._count(needed(node, shape))
        elif target is np.full:
            [shape, value] = arguments(node, "shape", "fill_value")
            fill = self.number(needed(node, value))
            if type(fill) is not float:
                raise NoFormError(node, "an array that is not of float64")
            count = self._count(needed(node, shape))
        else:
            return None
        item = cast(node, ast.copy_location(ast.Constant(fill), node), np.dtype("float64"))
        made = ast.BinOp(ast.List([item], ast.Load()), ast.Mult(), count)
        return _placed(made, node), True

    def _type_name(self, node: ast.expr) -> object:
        return node.value if isinstance(node, ast.Constant) else self.resolved(node)

    def _count(self, node: ast.expr) -> ast.expr:
        """The length of a new array; a negative one fails, as a row does that leaves."""
        made = self.rewritten(node)
        if (isinstance(made, ast.Call) and self.called(made) is len) or isinstance(made, Own):
            return made
        name = self.make(_builtin(node, "ARRAY_INDEX", made), node)

        def count() -> ast.expr:
            return ast.Name(name, ast.Load())

        fails = ast.BinOp(count(), ast.FloorDiv(), ast.Constant(0))
        test = ast.Compare(count(), [ast.Lt()], [ast.Constant(0)])
        return _placed(ast.IfExp(test, fails, count()), node)


class _Rewriter(ast.NodeTransformer):
    """Puts lists in the place of the batch's columns, and refuses what else a statement does with the batch or with arrays."""

    def __init__(self, reader: WholeReader) -> None:
        self._reader = reader
        self._inside = 0  # functions that are defined here

    # Names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        reader = self._reader
        if node.id in reader.arrays:
            what = "as a whole" if isinstance(node.ctx, ast.Load) else "is bound anew"
            raise NoFormError(node, f"the array {node.id} {what}")
        if node.id in reader.env:
            what = "in another way than by its columns' values"
            raise NoFormError(node, f"{node.id}, of the batch, {what}")
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        self._check_bound(node, node.arg)
        return node

    def visit_MatchAs(self, node: ast.MatchAs) -> ast.AST:
        self._check_bound(node, node.name)
        return self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> ast.AST:
        self._check_bound(node, node.name)
        return node

    def visit_MatchMapping(self, node: ast.MatchMapping) -> ast.AST:
        self._check_bound(node, node.rest)
        return self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> ast.AST:
        self._check_bound(node, node.asname or node.name.partition(".")[0])
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self._check_bound(node, node.name)
        return self.generic_visit(node)

    def _check_bound(self, node: ast.AST, name: str | None) -> None:
        if name in self._reader.arrays or name in self._reader.env:
            raise NoFormError(node, f"{name} is bound anew inside")

    # What is read of the batch

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        reader = self._reader
        if node.attr == "num_rows" and isinstance(reader.maybe(node.value), Batch):
            return reader.rows(node)
        if node.attr == "size" and self._is_array(node.value):
            return ast.copy_location(_len(node.value), node)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        reader = self._reader
        match node:
            case ast.Call(ast.Attribute(of, "to_pylist"), [], []):
                if isinstance(array := reader.maybe(of), Array):
                    return reader.items(array, node)
            case ast.Call(ast.Attribute(ast.Subscript(of, index), "as_py"), [], []):
                array = reader.maybe(of)
                if isinstance(array, Array) and not isinstance(index, ast.Slice):
                    item = ast.Subscript(reader.items(array, node), self.visit(index), ast.Load())
                    return ast.copy_location(item, node)
            case _:
                pass
        target = reader.called(node)
        if target is len and len(node.args) == 1 and not node.keywords:
            given = reader.maybe(node.args[0])
            if isinstance(given, Batch):
                return reader.rows(node)
            if isinstance(given, Array):
                return ast.copy_location(_len(reader.items(given, node)), node)
        if any(target is known for known in _OF_ITEMS):
            node.args = [self._items(one) for one in node.args]
            node.keywords = [self.visit(one) for one in node.keywords]
            return node
        return self.generic_visit(node)

    # Arrays

    def _is_array(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in self._reader.arrays

    def _items(self, node: ast.expr) -> ast.expr:
        """Where all items of an array are taken one by one, it may stand as it is."""
        if self._is_array(node):
            return node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            made = self._reader.array(node) if node.func.attr == "to_numpy" else None
            if made is not None:
                return made[0]
        return self.visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        match node:
            case ast.Subscript(ast.Attribute(ast.Name() as of, "shape"), ast.Constant(0)):
                if self._is_array(of):
                    return ast.copy_location(_len(of), node)
            case _:
                pass
        if not self._is_array(node.value):
            return self.generic_visit(node)
        name = cast_to("ast.Name", node.value)
        if isinstance(node.slice, (ast.Slice, ast.Tuple)):
            raise NoFormError(node, f"a part of the array {name.id}")
        if not isinstance(node.ctx, ast.Load) and not self._reader.arrays[name.id]:
            raise NoFormError(node, "an item of an array that is not its own is given a value")
        if isinstance(node.ctx, ast.Del):
            raise NoFormError(node, "an item of an array is deleted")
        index = _builtin(node, "ARRAY_INDEX", self.visit(node.slice))
        return ast.copy_location(ast.Subscript(name, index, node.ctx), node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        for target in node.targets:
            for one in ast.walk(target):
                if isinstance(one, ast.Subscript) and self._is_array(one.value):
                    if len(node.targets) > 1 or one is not target:
                        raise NoFormError(node, "an item of an array among several targets")
                    value = cast(node, self.visit(node.value), numpy().dtype("float64"))
                    return ast.copy_location(ast.Assign([self.visit(one)], value), node)
        return self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        target = node.target
        if isinstance(target, ast.Subscript) and self._is_array(target.value):
            made = ast.AugAssign(self.visit(target), node.op, self.visit(node.value))
            return ast.copy_location(made, node)
        return self.generic_visit(node)

    def visit_For(self, node: ast.For) -> ast.AST:
        self._check_items(node.target)
        node.iter = self._items(node.iter)
        node.target = self.visit(node.target)
        node.body = [self.visit(one) for one in node.body]
        node.orelse = [self.visit(one) for one in node.orelse]
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self._check_items(node.target)
        node.iter = self._items(node.iter)
        node.target = self.visit(node.target)
        node.ifs = [self.visit(one) for one in node.ifs]
        return node

    def _check_items(self, target: ast.expr) -> None:
        for one in ast.walk(target):
            if isinstance(one, ast.Subscript) and self._is_array(one.value):
                raise NoFormError(one, "an item of an array as the target of a loop")

    # Scopes

    def visit_Return(self, node: ast.Return) -> ast.AST:
        if not self._inside:
            raise NoFormError(node, "a return before the end")
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._check_bound(node, node.name)
        self._inside += 1
        made = self.generic_visit(node)
        self._inside -= 1
        return made


def _builtin(node: ast.AST, name: str, value: ast.expr, *constants: int) -> ast.expr:
    """A call of a builtin of the blob's format."""

    def write(encoder: Encoder) -> Sequence[Part]:
        from sabot._encode_calls import builtin, joined

        place = ast.copy_location(ast.Call(ast.Constant(None), [], []), node)
        return builtin(
            encoder, place, name, value, *(joined(encoder.value(node, one)) for one in constants)
        )

    return Own(node, write, [value])


def _len(items: ast.expr) -> ast.expr:
    return _builtin(items, "LEN", items)


def _placed(made: ast.expr, node: ast.AST) -> ast.expr:
    for one in ast.walk(made):
        if not hasattr(one, "lineno") and isinstance(one, ast.expr):
            ast.copy_location(one, node)
    return made


def _is_listed(type: Any) -> bool:
    types = arrow.types
    return types.is_integer(type) or types.is_floating(type) or types.is_boolean(type)
