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
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot._capture import seen_functions
from sabot._form_arrays import changed
from sabot._form_constants import known
from sabot._form_narrow import item_of
from sabot._form_rows import COMPREHENSIONS, FUNCTIONS, RowLoop, free, stored, turn_of
from sabot._form_stages import MADE, cut
from sabot._form_state import Held, check_used
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
    columns_of_tree,
    definition,
    input_batch,
    is_mutable,
    listed,
    may_be_rows,
)
from sabot._guards import is_scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from sabot._capture import Captured
    from sabot._encode_program import Callee
    from sabot._form_stages import Part
    from sabot._form_ufunc import Loop
    from sabot._guards import Found

_SLOT = "\2"  # begins the names of what the row function makes


class RowForm(NamedTuple):
    """A batch function as a function of rows.

    tree: gives a tuple of `results`; of a filter there is one. slots: its locals that the batch function has not.
    read: the columns it reads, those that loops of `stages` make behind the batch's. columns: of the result: each with the input's column
    that is passed on, or None. fields: of each, the input's column whose field it has, or None: a new one. keeps: it has the metadata of
    the input's schema. wanted: types that the results were given by `type=`. kind: "row" where it has loops over rows, else "array";
    "whole" where the function is of whole columns and its results are lists (`_form_whole`). stages: what is computed before it.
    fresh: the last column is made of a NumPy array that nobody else has.
    """

    tree: ast.FunctionDef
    slots: tuple[str, ...]
    read: tuple[str, ...]
    columns: tuple[tuple[str, str | None], ...]
    fields: tuple[str | None, ...]
    keeps: bool
    results: tuple[str, ...]
    wanted: tuple[Any, ...]
    is_filter: bool
    kind: str
    stages: tuple[Stage, ...] = ()
    fresh: bool = False

    @property
    def calls(self) -> tuple[Call, ...]:
        """The loops of NumPy's that it needs."""
        return tuple(call for stage in self.stages for call in stage.calls)


class Stage(NamedTuple):
    """What is computed before the row function: `tree` gives a tuple of `results`, the arguments of loops of NumPy's.

    read: as of a RowForm, with columns that loops of earlier stages made.
    """

    tree: ast.FunctionDef
    slots: tuple[str, ...]
    read: tuple[str, ...]
    results: tuple[str, ...]
    calls: tuple[Call, ...]


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
        self._plain: set[str] = set()  # locals with a value that does not depend on the batch
        self.body: list[ast.stmt] = []
        self.slots: dict[str, None] = {}
        self._loops = 0
        self._calls: list[Call] = []  # of loops of NumPy's
        self.fresh = False
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
            self._plain.add(one.name)
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
        if is_filter:
            if not isinstance(result, Array) or result.family == LIST:
                raise NoFormError(node, "a result that is no array of rows")
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
            if not made:
                raise NoFormError(node, "it computes nothing row by row", NOTHING)
        for name, inner in self._inner.items():
            if name in self._of_rows:
                raise NoFormError(
                    inner, f"a function inside that reads {name}, which changes from row to row"
                )
        place = node.body if isinstance(node, ast.Lambda) else node
        items = [item_of(array, place) for array in made.values()]
        value = ast.Tuple(items, ast.Load())
        check_used(self.body, value, self.strict.items())
        parts, last = cut(self.body, self._calls, value)
        stages = tuple(self._stage(node, part) for part in parts)
        tree = self._tree(node, last, value)
        wanted = tuple(
            one.wanted or one.type if one.family == ARROW else None for one in made.values()
        )
        slots, read = tuple(self.slots), self._read_by(tree)
        return RowForm(
            tree,
            slots,
            read,
            columns,
            fields,
            keeps,
            tuple(made),
            wanted,
            is_filter,
            self.kind,
            stages,
            self.fresh,
        )

    def _stage(self, node: ast.FunctionDef | ast.Lambda, part: Part) -> Stage:
        given = {one: None for call in part.calls for one in call.arguments if type(one) is str}
        place = node.body if isinstance(node, ast.Lambda) else node
        items: list[ast.expr] = [
            ast.copy_location(ast.Name(one, ast.Load()), place) for one in given
        ]
        tree = self._tree(node, part.body, ast.Tuple(items, ast.Load()))
        return Stage(tree, tuple(self.slots), self._read_by(tree), tuple(given), part.calls)

    def _read_by(self, tree: ast.FunctionDef) -> tuple[str, ...]:
        columns = columns_of_tree(tree)
        names = (*self._schema.names, *(call.column for call in self._calls))
        return tuple(name for name in names if name in columns)

    def inside(
        self, env: dict[str, Value], within: tuple[Hashable, ...], callee: Callee | None = None
    ) -> Reader:
        """What reads a function that is called here; callee: one that is defined elsewhere."""
        made = copy.copy(self)
        made.env, made.constants, made.functions, made._told = env, {}, {}, {}
        made._plain, made._of_rows, made._inner, made._filling = set(), set(), {}, set()
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

    def _tree(
        self, node: ast.FunctionDef | ast.Lambda, body: list[ast.stmt], value: ast.expr
    ) -> ast.FunctionDef:
        end = node.body if isinstance(node, ast.Lambda) else node.body[-1]
        last = ast.copy_location(ast.Return(value), end)
        tree = copy.copy(node) if isinstance(node, ast.FunctionDef) else definition(node)
        tree.body = [*body, last]
        for statement in tree.body:
            for inner in ast.walk(statement):
                if isinstance(inner, (ast.expr, ast.stmt)) and not hasattr(inner, "lineno"):
                    ast.copy_location(inner, statement)
        return tree

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
                for name in stored([node]) & {*self.env, *self._plain}:
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
            case ast.For() if (turn := self._turn(node.target, node.iter)) is not None:
                self._loops += 1
                self.held.check([node.target, *node.body])
                rows = RowLoop(self.env, frozenset(self._plain), self._loops, turn)
                body, lists = rows.statements(node)
                self._add_loop(rows, body)
                for name in lists:
                    builder = self.env[name]
                    assert isinstance(builder, Builder)
                    self.env[name] = Array(LIST, builder.name)
                for name in (*rows.names, *turn.numbers):
                    self.stands(name, Gone())
            case _:
                self._aside(node)

    def _add_loop(self, loop: RowLoop, body: list[ast.stmt]) -> None:
        self.slots.update((name, None) for name in loop.names.values())
        self.slots["\1once"] = None
        self.body += body

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
        self._plain.discard(name)
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
        self._plain |= bound
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
            self._told[id(node)] = node, self._read(node)
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
                made = self._comprehension(node)
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
            case Batch(columns), "num_rows" if columns:
                return Count()
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
            case Array("numpy"), "size":
                return Count()
            case Array("numpy"), "shape":
                return Several((Count(),))
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

    def _comprehension(self, node: ast.ListComp) -> Array | None:
        first = node.generators[0]
        turn = self._turn(first.target, first.iter)
        if turn is None:
            return None
        if len(node.generators) > 1 or first.ifs or first.is_async:
            raise NoFormError(node, "a comprehension over rows with conditions or loops inside")
        self._loops += 1
        self.held.check([first.target, node.elt])
        rows = RowLoop(self.env, frozenset(self._plain), self._loops, turn)
        given, item = rows.element(node.elt)
        self._add_loop(rows, given)
        return Array(LIST, self.make(item, node))

    def _turn(self, target: ast.expr, items: ast.expr) -> Any:
        """What each turn of a loop is given, when it is one over the rows."""
        given = self._items(items)
        if given is not None and self.within:
            raise NoFormError(items, "a loop over the rows")
        return None if given is None else turn_of(target, given, items)

    def _items(self, node: ast.expr) -> Sequence[Array | Count] | None:
        if isinstance(node, ast.Call) and not node.keywords:
            name = self.called(node)
            args = node.args
            if name is range:
                return self._range(node)
            if name is enumerate and len(args) == 1:
                inner = self._items(args[0])
                if inner is not None and len(inner) == 1:
                    return [Count(), *inner]
                return self._none(inner, node)
            if name is zip and len(args) == 1 and self._items(args[0]) is not None:
                raise NoFormError(node, "rows in tuples of one")
            if name is zip and args:
                found = [self._items(one) for one in args]
                known = [one for one in found if one is not None and len(one) == 1]
                if len(known) == len(args):
                    return [one[0] for one in known]
                return self._none(next((one for one in found if one is not None), None), node)
        value = self.maybe(node)
        if value is None:
            return None
        if isinstance(value, Array) and value.family != ARROW:
            return [value]
        raise NoFormError(node, "a loop over something else than arrays and lists of the batch")

    def _none(self, inner: object, node: ast.AST) -> None:
        if inner is not None:
            raise NoFormError(node, "rows beside something else")

    def _range(self, node: ast.Call) -> Sequence[Array | Count] | None:
        args = node.args
        if len(args) == 2 and self.constant(args[0]) == 0:
            args = args[1:]
        if len(args) == 1 and isinstance(self.maybe(args[0]), Count):
            return [Count()]
        if any(isinstance(self.maybe(one), Count) for one in args):
            raise NoFormError(node, "a range of some of the rows")
        return None

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
        if root is None or root.id in self.env or root.id in self._plain | self._locals:
            return None
        found = self._found.get(text if text != root.id else self._mangle(root.id))
        return found.value if found is not None else None

    @property
    def schema(self) -> pa.Schema:
        """The input's."""
        return self._schema

    @property
    def loop_calls(self) -> int:
        """How many functions NumPy's own loops compute so far."""
        return len(self._calls)

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

    def make(self, value: ast.expr, node: ast.AST) -> str:
        """A local of the row function with this value."""
        name = self.slot()
        target = ast.copy_location(ast.Name(name, ast.Store()), node)
        self.body.append(cast("ast.stmt", ast.copy_location(ast.Assign([target], value), node)))
        return name


_DISPLAYS = (ast.Dict, ast.List, ast.ListComp, ast.DictComp)
