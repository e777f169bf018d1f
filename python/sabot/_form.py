"""The row form of a batch function: its text, read as what it does with each row.

The body is walked once, statement by statement, keeping what each local stands for: the batch, an array of it, a list that is being
filled, the number of rows, or any value that does not depend on the batch. What depends on rows becomes statements of a row function, and
the result a tuple of the columns that were made; columns that are only passed on are told by name. Whatever is not understood ends the
reading with a reason, and the function runs in CPython as it is.

What a row function computes for a row is what the batch function computes for it, or the row leaves and with it the batch. So the order in
which a batch function goes through its rows, and which of two failures comes first, need no care here.
"""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from sabot import _form_filters as filters
from sabot._capture import seen_functions
from sabot._form_arrays import changed
from sabot._form_constants import known
from sabot._form_numpy_whole import taken
from sabot._form_parts import RowForm, Text, parts_of
from sabot._form_rows import COMPREHENSIONS, FUNCTIONS, RowLoop, free, stored
from sabot._form_stages import MADE
from sabot._form_state import Held, check_used
from sabot._form_turns import row_comprehension, row_loop
from sabot._form_ufunc import Call
from sabot._form_unroll import comprehension, display, filled, loop
from sabot._form_values import (
    ARROW,
    LIST,
    NOTHING,
    Array,
    Batch,
    Builder,
    Columns,
    Count,
    FieldOf,
    Function,
    Gone,
    Known,
    Lists,
    NoFormError,
    Schema,
    Several,
    Value,
    batch_parameter,
    input_batch,
    is_mutable,
    listed,
    may_be_rows,
)
from sabot._guards import is_scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from sabot._capture import Captured
    from sabot._encode_program import Callee
    from sabot._form_parts import WholeCall
    from sabot._form_rows import Turn
    from sabot._form_ufunc import Loop
    from sabot._guards import Found

_SLOT = "\2"  # begins the names of what the row function makes


def row_form(
    captured: Captured, found: Mapping[str, Found], schema: pa.Schema, is_filter: bool | None
) -> RowForm:
    """Reads a captured batch function.

    Parameters:
        is_filter: whether it gives one array of Booleans; None: where that is what it gives.

    Raises:
        NoFormError: it has no row form, or none that is known here.
    """
    node = captured.node
    assert node is not None
    if isinstance(node, ast.AsyncFunctionDef):
        raise NoFormError(node, "an async function")
    if not batch_parameter(captured):
        raise NoFormError(node, "no parameter that is the batch")
    if len(set(schema.names)) < len(schema.names):
        raise NoFormError(node, "two columns of one name")
    if any(name.startswith(MADE) for name in schema.names):
        raise NoFormError(node, "a column whose name begins with \\3")
    try:
        return Reader(captured, found, schema).form(node, is_filter)
    except RecursionError:
        raise NoFormError(node, "nested too deeply") from None


class Reader:
    def __init__(self, captured: Captured, found: Mapping[str, Found], schema: pa.Schema) -> None:
        self._captured = captured
        self._found = found
        self._mangle: Callable[[str], str] = captured.mangle
        self.callees = seen_functions(captured)
        self.within: tuple[Hashable, ...] = ()  # the functions whose texts are read
        self._schema = schema
        self.param = batch_parameter(captured)
        types = dict(zip(schema.names, schema.types, strict=True))
        batch = input_batch(types)
        self._input = dict(batch.columns)
        self.env: dict[str, Value] = {self.param: batch}
        self.plain_names: set[str] = set()  # locals with a value that does not depend on the batch
        self.body: list[ast.stmt] = []
        self.kept_rows = filters.Rows()
        self.slots: dict[str, None] = {}
        self._loops = 0
        self._calls: list[Call] = []  # of loops of NumPy's
        self._wholes: list[WholeCall] = []  # of what NumPy does with whole arrays
        self.untouched: dict[str, str] = {}  # locals that hold a column's items, and these columns
        self.length: list[str] = []  # the local that holds the number of rows, where one does
        self.masks: list[ast.expr] = []  # what is read now for the rows of a mask alone
        self.fresh = False
        self.operations: list[str] = []  # of arrays, item by item
        self.constants: dict[str, object] = {}  # locals that are numbers or texts now
        self.functions: dict[str, Function] = {}  # functions inside that the rows have, too
        self._told: dict[int, tuple[ast.expr, Value | None]] = {}  # what nodes stand for
        self._of_rows: set[str] = set()  # locals that stood for something of the batch at any time
        # Dicts and lists with one name alone, which may be filled.
        self._filling: set[str] = set()
        self.held = Held(self)
        self.strict: dict[str, ast.AST] = {}  # locals that may fail, and where they are made
        self._locals: set[str] = set()  # of a function that is read inside another: all of them
        self._inner: dict[
            str, ast.AST
        ] = {}  # names that functions beside the loops read, and where

    def _defaults(self, node: ast.FunctionDef | ast.Lambda) -> None:
        """Parameters that nobody gives have their defaults in every row."""
        for one in self._captured.params or ():
            if one.name == self.param:
                continue
            if not is_scalar(one.default):
                raise NoFormError(node, f"a default of {one.name} that is no number")
            place = node.body if isinstance(node, ast.Lambda) else node.body[0]
            target = ast.Name(one.name, ast.Store())
            value = ast.Constant(cast("Any", one.default))
            made = ast.copy_location(ast.Assign([target], value), place)
            self.body.append(cast("ast.stmt", made))
            self.plain_names.add(one.name)
            self.constants[one.name] = one.default

    def form(self, node: ast.FunctionDef | ast.Lambda, is_filter: bool | None) -> RowForm:
        self._defaults(node)
        result = self._result(node)
        if is_filter is None:
            is_filter = isinstance(result, Array)
        columns: tuple[tuple[str, str | None], ...] = ()
        fields: tuple[str | None, ...] = ()
        keeps = False
        made: dict[str, Array] = {}
        kept: str | None = ""
        if is_filter:
            if not isinstance(result, Array) or result.family == LIST:
                raise NoFormError(node, "a result that is no array of rows")
            if self.kept_rows.of(result.name):
                raise NoFormError(node, "a mask for some of the rows")
            made = {"": result}
        else:
            batch = self._batch(result, node)
            twice = {name for name in batch.names if batch.names.count(name) > 1}
            if twice:
                raise NoFormError(node, f"two columns named {min(twice)!r}")
            columns = tuple((name, array.passed) for name, array in batch.columns)
            fields = tuple(array.field for _, array in batch.columns)
            keeps = batch.keeps
            made = {n: array for n, array in batch.columns if array.passed is None}
            kept = self.kept_rows.of_batch(batch)
            if kept is None:
                raise NoFormError(node, "columns of different rows")
            if not made and not kept:
                raise NoFormError(node, "it computes nothing row by row", NOTHING)
            if kept and filters.MASK in batch.names:
                raise NoFormError(node, "a column whose name begins with \\3")
        for name, inner in self._inner.items():
            if name in self._of_rows:
                raise NoFormError(
                    inner, f"a function inside that reads {name}, which changes from row to row"
                )
        place = node.body if isinstance(node, ast.Lambda) else node
        value = self.kept_rows.results(made.values(), kept, place)
        body = self.kept_rows.without_copies(self.body, value)
        check_used(body, value, self.strict.items(), (*self._calls, *self._wholes))
        if kept and self._wholes:
            raise NoFormError(node, "arrays as a whole beside rows that masks leave")
        slots = tuple(self.slots)
        text = Text(node, slots, self._schema.names, body, value)
        end = node.body if isinstance(node, ast.Lambda) else node.body[-1]
        parts = parts_of(
            text,
            self._calls,
            self._wholes,
            self.untouched,
            lambda last: self.kept_rows.closed(last, made.values(), kept, end),
        )
        given = {filters.MASK: None} if kept else {}
        types = (one.wanted or one.type if one.family == ARROW else None for one in made.values())
        wanted = (*given.values(), *types)
        return RowForm(
            parts.tree,
            slots,
            parts.read,
            columns,
            fields,
            keeps,
            (*given, *made),
            wanted,
            is_filter,
            self.kind,
            parts.stages,
            parts.phases,
            kept != "",
            self.fresh,
            len(self.operations),
        )

    def inside(
        self, env: dict[str, Value], within: tuple[Hashable, ...], callee: Callee | None = None
    ) -> Reader:
        """What reads a function that is called here; callee: one that is defined elsewhere."""
        made = copy.copy(self)
        made.env, made.constants, made.functions, made._told = env, {}, {}, {}
        made.plain_names, made._of_rows, made._inner, made._filling = set(), set(), {}, set()
        made._locals = set()
        made.within = within
        if callee is not None:
            made._found, made._mangle = callee.found, callee.mangle
        return made

    def hide(self, names: set[str]) -> None:
        """Names that are locals of this function: nothing outside is meant by them."""
        self._locals = names

    def given_back(self, node: ast.FunctionDef | ast.Lambda) -> Value:
        """What a function gives that is read inside another."""
        value = self._result(node)
        if isinstance(value, (dict, Function, Builder)):
            raise NoFormError(node, "a result that is no array, batch or number")
        return value

    @property
    def kind(self) -> str:
        return "row" if self._loops else "array"

    def _result(self, node: ast.FunctionDef | ast.Lambda) -> Value | dict[str, Value]:
        if isinstance(node, ast.Lambda):
            return self._given(node.body)
        for place, statement in enumerate(node.body):
            if isinstance(statement, ast.Return):
                if statement.value is None:
                    break
                return self._given(statement.value)
            self.statement(statement, first=place == 0)
        raise NoFormError(node.body[-1], "an end without a result")

    def _given(self, node: ast.expr) -> Value | dict[str, Value]:
        """What is returned: a dict display counts as columns."""
        if isinstance(node, ast.Dict):
            return self._columns(node)
        if isinstance(node, ast.Tuple) and self.within:
            given = [self._given(one) for one in node.elts]
            return Several(tuple(given))
        value = self.value(node)
        if isinstance(value, Columns):
            return dict(value.pairs)
        if not self.within and not isinstance(value, (Array, Batch, type(None))):
            raise NoFormError(node, "a result that is no batch")
        if value is None:
            if self.within and (found := known(self, node)) is not None:
                return found
            raise NoFormError(node, "a result that does not depend on the batch")
        return value

    def _columns(self, node: ast.Dict) -> dict[str, Value]:
        columns: dict[str, Value] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            name = self.constant(key) if key is not None else None
            value = self.value(item)
            if not isinstance(name, str) or value is None or name in columns:
                raise NoFormError(item, "a column that the text does not tell")
            columns[name] = value
        return columns

    def _batch(self, value: Value | dict[str, Value], node: ast.AST) -> Batch:
        if isinstance(value, Batch):
            return value
        if isinstance(value, dict):
            return Batch(tuple((name, self.as_arrow(one, node)) for name, one in value.items()))
        raise NoFormError(node, "a result that is no batch")

    def as_arrow(self, value: Value | None, node: ast.AST) -> Array:
        """What pa.array makes of a value, or of one that is an Arrow array already: itself."""
        if isinstance(value, Array):
            if value.family == ARROW:
                return value
            name, self.fresh = value.name, value.own
            # Arrow has bits of its own, else the same memory.
            if value.own and value.type.kind == "b":
                name = self.make(value.value(node), node)
            if value.family == LIST:
                self.strict[name] = node
            else:
                self.kept_rows.put_dtype(name, value.type)
            return Array(ARROW, name)
        raise NoFormError(node, "a column that is no array of rows")

    def columns_of(self, given: ast.expr, node: ast.AST) -> tuple[tuple[str, Array], ...]:
        """The columns of a batch that is made of a dict."""
        columns = self.value(given)
        if not isinstance(columns, Columns):
            raise NoFormError(node, "columns that the text does not tell")
        return tuple((name, self.as_arrow(one, node)) for name, one in columns.pairs)

    def as_array(self, value: ast.expr, node: ast.AST) -> Array:
        """A column of the result."""
        return self.as_arrow(self.value(value), node)

    # Statements

    def statement(self, node: ast.stmt, first: bool = False) -> None:
        match node:
            case ast.Expr(ast.Constant(str())) if first:
                pass
            case ast.FunctionDef(decorator_list=[]):
                self._define(node, node.name, node)
            case ast.Assign([ast.Name(name)], ast.Lambda() as value):
                self._define(node, name, value)
            case ast.Assign([ast.Name(name)], value):
                self._assign(node, name, value)
            case ast.AnnAssign(ast.Name(name), value=ast.expr() as value):
                self._assign(node, name, value)
            case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)) if len(targets) == len(values):
                self._assign_all(node, targets, values)
            case ast.Assign([ast.Tuple(targets)], value) if isinstance(
                given := self.value(value), Several
            ):
                self._unpack(node, targets, given)
            case ast.Import() | ast.ImportFrom():
                for name in stored([node]) & {*self.env, *self.plain_names}:
                    raise NoFormError(node, f"{name} is bound anew")
                self.body += [] if self.within else [copy.deepcopy(node)]
            case ast.Assign() | ast.AugAssign() if changed(self, node):
                pass
            case ast.Assign() | ast.Expr() if filled(self, node):
                pass
            case ast.For() if loop(self, node):
                pass
            case ast.If(test) if (told := known(self, test)) is not None:
                for inner in node.body if told.value else node.orelse:
                    self.statement(inner)
            case ast.For() if row_loop(self, node):
                pass
            case _:
                self._aside(node)

    def row_loop(self, turn: Turn) -> RowLoop:
        """One more loop over rows."""
        self._loops += 1
        return RowLoop(self.env, frozenset(self.plain_names), self._loops, turn)

    def add_locals(self, names: Iterable[str]) -> None:
        """Locals of the row function that a loop has."""
        self.slots.update((name, None) for name in names)
        self.slots["\1once"] = None

    def _assign(self, node: ast.stmt, name: str, value: ast.expr) -> None:
        given = self.value(value)
        if given is None:
            found = known(self, value)
            if self.within and found is not None:
                self.stands(name, found)
                return
            self._aside(node)
            if found is not None and is_scalar(found.value):
                self.constants[name] = found.value
            return
        if is_mutable(given) and isinstance(value, ast.Name):
            raise NoFormError(node, f"another name of the list {value.id}")
        self.stands(name, given)
        if isinstance(value, _DISPLAYS) or isinstance(given, Builder):
            self._filling.add(name)

    def freeze(self, node: ast.AST) -> None:
        """What these names stand for, dicts and lists, may not be filled any more: something else has them too."""
        for one in ast.walk(node):
            if isinstance(one, ast.Name):
                self._filling.discard(one.id)

    def may_fill(self, name: str, node: ast.AST) -> None:
        """Raises:
        NoFormError: there may be another name of a dict or list.
        """
        if name not in self._filling:
            raise NoFormError(node, f"{name}, which something else has too, is changed")

    def _define(self, node: ast.stmt, name: str, function: ast.FunctionDef | ast.Lambda) -> None:
        """A function inside: the rows have it too where it sees nothing of the batch."""
        loads = (one for one in ast.walk(node) if isinstance(one, ast.Name))
        if self.within or any(one.id in self.env for one in loads):
            self.stands(name, Function(function, self))
        else:
            self._aside(node)
            self.functions[name] = Function(function, self)

    def _unpack(self, node: ast.stmt, targets: Sequence[ast.expr], given: Several) -> None:
        if len(targets) != len(given.items):
            raise NoFormError(node, "as many targets as values")
        for target, value in zip(targets, given.items, strict=True):
            if not isinstance(target, ast.Name) or value is None:
                raise NoFormError(target, "a target that is given what the text does not tell")
            self.stands(target.id, value)

    def stands(self, name: str, value: Value) -> None:
        self.env[name] = value
        self.plain_names.discard(name)
        self.constants.pop(name, None)
        self._of_rows.add(name)

    def _assign_all(
        self, node: ast.stmt, targets: Sequence[ast.expr], values: Sequence[ast.expr]
    ) -> None:
        """`a, b = x, y`: one after the other, where no value reads a name that is assigned here."""
        given = [self.value(value) for value in values]
        if not any(one is not None for one in given):
            if self.within:
                self._unpack(node, targets, Several(tuple(known(self, one) for one in values)))
                return
            told = [known(self, one) for one in values]
            self._aside(node)
            for target, one in zip(targets, told, strict=True):
                if isinstance(target, ast.Name) and one is not None and is_scalar(one.value):
                    self.constants[target.id] = one.value
            return
        read = {one.id for one in ast.walk(ast.Tuple([*values])) if isinstance(one, ast.Name)}
        swapped = read & stored(targets)
        for target, value, one in zip(targets, values, given, strict=True):
            if not isinstance(target, ast.Name) or (swapped and one is None):
                raise NoFormError(target, "several targets at once")
            if one is None:
                made = ast.copy_location(ast.Assign([target], value), node)
                self._assign(made, target.id, value)
            elif is_mutable(one) and isinstance(value, ast.Name):
                raise NoFormError(node, f"another name of the list {value.id}")
            else:
                self.stands(target.id, one)
                if isinstance(value, _DISPLAYS) or isinstance(one, Builder):
                    self._filling.add(target.id)

    def _aside(self, node: ast.stmt) -> None:
        """A statement that has nothing to do with the batch: every row does it."""
        if self.within:
            raise NoFormError(node, "a statement that is no array's")
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
                self._check_own(inner)
        stack: list[ast.AST] = [node]
        while stack:
            inner = stack.pop()
            if isinstance(inner, (ast.Return, ast.For, ast.While, *COMPREHENSIONS)):
                raise NoFormError(inner, "a return or a loop beside those over the rows")
            if isinstance(inner, FUNCTIONS):
                self._inner.update(dict.fromkeys(free(inner), inner))
            else:
                stack.extend(ast.iter_child_nodes(inner))
        bound = stored([node])
        if not isinstance(node, (ast.Assign, ast.AnnAssign, ast.FunctionDef)):
            for name in sorted(bound & {*self.env}):
                raise NoFormError(node, self._what(name))
        for name in bound:
            self.env.pop(name, None)
            self.constants.pop(name, None)
            self.functions.pop(name, None)
        self.plain_names |= bound
        self.held.add(node, bound)
        self.body.append(copy.deepcopy(node))

    def _check_own(self, node: ast.Name) -> None:
        """Refuses what stands for something of the batch."""
        if node.id in self.env:
            raise NoFormError(node, self._what(node.id))

    def _what(self, name: str) -> str:
        value = self.env[name]
        if isinstance(value, Gone):
            return f"{name} as the last row left it"
        return f"{name} used in another way than row by row"

    # Values

    def value(self, node: ast.expr) -> Value | None:
        """What an expression stands for; None: a value that does not depend on the batch.

        Raises:
            NoFormError: it depends on the batch, and not as it is known here.
        """
        if id(node) not in self._told:
            found = self._read(node)
            if isinstance(found, Batch) and self.kept_rows.of_batch(found) is None:
                raise NoFormError(node, "columns of different rows")
            self._told[id(node)] = node, found
        return self._told[id(node)][1]

    def tell(self, node: ast.expr, value: Value) -> None:
        """Says what a node that was made here stands for."""
        self._told[id(node)] = node, value

    def _read(self, node: ast.expr) -> Value | None:
        match node:
            case ast.Name(name) if name in self.env:
                if isinstance(self.env[name], Gone):
                    raise NoFormError(node, self._what(name))
                self._filling.discard(name)
                return self.env[name]
            case ast.List([]):
                return Builder(self.slot())
            case ast.ListComp() | ast.DictComp() if (made := comprehension(self, node)) is not None:
                return made
            case ast.ListComp():
                made = row_comprehension(self, node)
                if made is not None:
                    return made
            case ast.Dict() if (made := display(self, node)) is not None:
                return made
            case ast.Subscript(of, key):
                given = self._item(node, of, key)
                if given is not None:
                    return given
            case ast.Attribute(of, name):
                given = self._attribute(of, name)
                if given is not None:
                    return given
            case ast.Call() | ast.BinOp() | ast.Compare() | ast.UnaryOp():
                made = self._made(node)
                if made is not None:
                    return made
            case _:
                pass
        loads = [one for one in ast.walk(node) if isinstance(one, ast.Name)]
        if any(isinstance(self.env.get(one.id), Known) for one in loads):
            found = known(self, node)
            if found is not None:
                return found
        self._check_aside(node)
        return None

    def _item(self, node: ast.Subscript, of: ast.expr, key: ast.expr) -> Value | None:
        owner = self.maybe(of)
        match owner, key:
            case Batch(), _:
                return self.column(owner, key, node)
            case Array("numpy"), ast.Slice(None, None, None):
                return owner  # a view of the same memory
            case Array("numpy"), _:
                given = taken(self, node, owner, key)
                return filters.item(self, node, owner, key) if given is None else given
            case Lists(batch), _ if isinstance(self.constant(key), str):
                return listed(self.column(batch, key, node), node)
            case Columns(pairs), _:
                name = self.constant(key)
                return dict(pairs).get(name) if isinstance(name, str) else None
            case Several(items), _:
                at = self.constant(key)
                if type(at) is int and -len(items) <= at < len(items):
                    return items[at]
            case _:
                pass
        return None

    def _attribute(self, of: ast.expr, name: str) -> Value | None:
        """What is known of an attribute of a batch, a schema or an array."""
        match self.maybe(of), name:
            case ((Batch(columns) as batch), "num_rows") if columns:
                return self.count(batch)
            case Batch(columns), "num_columns":
                return Known(len(columns))
            case Batch(columns, is_table=False), "columns":
                return Several(tuple(array._replace(field=None) for _, array in columns))
            case ((Batch() as batch), "schema"):
                return Schema(batch)
            case ((Batch() as batch), "column_names"):
                return Known(batch.names)
            case FieldOf(array), "type":
                return None if array.type is None else Known(array.type)
            case Schema(batch), "names":
                return Known(batch.names)
            case Array("arrow") as array, "type":
                return None if array.type is None else Known(array.type)
            case Array("numpy") as array, "dtype":
                return Known(array.type)
            case Array("numpy"), "ndim":
                return Known(1)
            case ((Array("numpy") as array), "size"):
                return self.count(array)
            case ((Array("numpy") as array), "shape"):
                return Several((self.count(array),))
            case _:
                return None

    def _made(self, node: ast.Call | ast.BinOp | ast.Compare | ast.UnaryOp) -> Value | None:
        from sabot import _form_numpy as of_numpy
        from sabot._form_calls import call

        match node:
            case ast.Call():
                return call(self, node)
            case ast.BinOp():
                return of_numpy.binary(self, node)
            case ast.Compare():
                return of_numpy.compare(self, node)
            case ast.UnaryOp():
                return of_numpy.unary(self, node)

    def maybe(self, node: ast.expr) -> Value | None:
        """What an expression stands for, where it can be told by its beginning."""
        if isinstance(node, ast.Name) and id(node) not in self._told:
            return self.env.get(node.id)
        return self.value(node) if may_be_rows(node) or id(node) in self._told else None

    def _check_aside(self, node: ast.expr) -> None:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                self._check_own(inner)

    def column(self, batch: Batch, key: ast.expr, node: ast.expr) -> Array:
        """A column of a batch, by name or number."""
        if batch.is_table:
            raise NoFormError(node, "a column of a table")
        wanted = self.constant(key)
        names = batch.names
        if type(wanted) is int and -len(names) <= wanted < len(names):
            return batch.columns[wanted][1]._replace(field=None)
        if isinstance(wanted, str) and names.count(wanted) == 1:
            return batch.columns[names.index(wanted)][1]._replace(field=None)
        raise NoFormError(node, "a column that the text does not tell")

    # Helpers

    def constant(self, node: ast.expr) -> object:
        """The int, text or bool that an expression is; None for anything else."""
        found = known(self, node)
        return found.value if found is not None and type(found.value) in (int, str, bool) else None

    def number(self, node: ast.expr) -> object:
        """Likewise, of all numbers."""
        found = known(self, node)
        return found.value if found is not None and is_scalar(found.value) else None

    def resolved(self, node: ast.AST) -> object:
        """The object that a name outside the function leads to."""
        from sabot._encode import dotted

        root, text = dotted(node)
        if root is None or root.id in self.env or root.id in self.plain_names | self._locals:
            return None
        found = self._found.get(text if text != root.id else self._mangle(root.id))
        return found.value if found is not None else None

    @property
    def schema(self) -> pa.Schema:
        """The input's."""
        return self._schema

    @property
    def calls_of_numpy(self) -> int:
        """How many functions NumPy itself computes so far, by its loops or as a whole."""
        return len(self._calls) + len(self._wholes)

    def called(self, node: ast.Call) -> object:
        return self.resolved(node.func)

    def slot(self) -> str:
        name = f"{_SLOT}{len(self.slots)}"
        self.slots[name] = None
        return name

    def called_loop(self, name: str, loop: Loop, arguments: tuple[str | float, ...]) -> str:
        """The column that a loop of NumPy's makes of locals and numbers."""
        column = f"{MADE}{len(self._calls)}"
        self._calls.append(Call(column, name, loop, arguments))
        return column

    def called_whole(self, call: WholeCall) -> str:
        """The column that NumPy makes of whole arrays."""
        column = f"{MADE}w{len(self._wholes)}"
        self._wholes.append(call._replace(column=column))
        return column

    def make(self, value: ast.expr, node: ast.AST, kept: str | None = None) -> str:
        """A local of the row function with this value. kept: the rows that have it, as of `emit`."""
        name = self.slot()
        target = ast.copy_location(ast.Name(name, ast.Store()), node)
        made = cast("ast.stmt", ast.copy_location(ast.Assign([target], value), node))
        self.kept_rows.put(name, self.emit([made], node, kept))
        return name

    def emit(self, made: list[ast.stmt], node: ast.AST, kept: str | None = None) -> str:
        """Adds statements of the row function, for the rows of their arrays, which it gives. kept: those that are meant."""
        kept = self.kept_rows.common(made, node, kept)
        self.body += self.kept_rows.behind(made, node, kept)
        return kept

    def count(self, of: Array | Batch) -> Count:
        """How many rows it has."""
        return Count(
            (self.kept_rows.of_batch(of) or "")
            if isinstance(of, Batch)
            else self.kept_rows.of(of.name)
        )


_DISPLAYS = (ast.Dict, ast.List, ast.ListComp, ast.DictComp)
