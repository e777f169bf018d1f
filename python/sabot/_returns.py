"""What a record function of a `map` gives, read from its text: the columns, and where each comes from.

Every `return` is a dict display, a call of `dict`, of a dataclass or of a NamedTuple, or a local that is only ever such a thing and only
ever returned. Columns that are the row's own on every path are passed on as they are; the others become a tuple, which is what the
compiler reads. What the text does not tell is left to CPython, row by row. The answer does not depend on whether or how the function
is compiled.
"""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa

from sabot._constructors import ClassGuard, Constructor, constructor_of
from sabot._errors import PlanError, TypeMismatchError
from sabot._guards import is_scalar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sabot._capture import Captured

_SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
_NO_RECORDS = (
    ast.BinOp,
    ast.Compare,
    ast.Constant,
    ast.GeneratorExp,
    ast.JoinedStr,
    ast.Lambda,
    ast.List,
    ast.ListComp,
    ast.Set,
    ast.SetComp,
    ast.Tuple,
    ast.UnaryOp,
)


class Given(NamedTuple):
    """The columns that a record function gives.

    names: in order. passed: those that are the input's on every path, by the input's name. results: the others, in order; one without
    a name where there is none. tree: the function with a tuple of the results in place of each record. slots: locals that it has
    besides. read: columns that its text names, whether it computes with them or passes them on. guards: of classes that it makes.
    """

    names: tuple[str, ...]
    passed: dict[str, str]
    results: tuple[str, ...]
    tree: ast.FunctionDef | ast.Lambda
    slots: tuple[str, ...]
    read: tuple[str, ...]
    guards: tuple[ClassGuard, ...]

    def columns(self) -> tuple[list[str | None], list[str]]:
        """As the engine takes them: of each column the input's that is passed on, or None, and its name."""
        return [self.passed.get(name) for name in self.names], list(self.names)


class _Record(NamedTuple):
    """A dict display or what amounts to one: what is evaluated, in order, and for each key the number of its value or a column."""

    node: ast.expr
    values: list[ast.expr]
    items: dict[str, int | str]


class _Other(NamedTuple):
    """A return that gives no record."""

    node: ast.AST
    what: str


def read_returns(captured: Captured, param: str, schema: pa.Schema) -> Given | ast.AST | None:
    """What a captured function gives, of which `param` is the row; where the text does not tell, the node that does not, if there is one.

    Raises:
        TypeMismatchError: two paths give different columns, or one gives none.
        PlanError: it gives one value a row.
    """
    if captured.node is None or isinstance(captured.node, ast.AsyncFunctionDef):
        return None
    try:
        return _Reader(captured, param, schema).given()
    except RecursionError:
        return None


class _Reader:
    def __init__(self, captured: Captured, param: str, schema: pa.Schema) -> None:
        self._captured = captured
        self._param = param
        self._schema = schema
        self._columns = frozenset(schema.names)
        self._tree = copy.deepcopy(cast("ast.FunctionDef | ast.Lambda", captured.node))
        self._slots: list[str] = []
        self._named: dict[str, None] = {}
        self._untold: ast.AST | None = None
        self._guards: list[ClassGuard] = []

    def given(self) -> Given | ast.AST | None:
        records: list[_Record] = []
        others: list[_Other] = []
        for value in self._returned():
            for path in self._paths(value):
                if isinstance(path, _Record):
                    records.append(path)
                else:
                    others.append(path)
        self._check(records, others)
        if not records or self._untold is not None:
            return self._untold
        first = records[0].items
        passed = {
            name: source
            for name, source in first.items()
            if isinstance(source, str) and all(one.items[name] == source for one in records)
        }
        results = tuple(name for name in first if name not in passed)
        table = {id(one.node): self._tuple_of(one, results) for one in records}
        tree = cast("ast.FunctionDef | ast.Lambda", _Replace(table).visit(self._tree))
        names, read = tuple(first), tuple(self._named)
        guards = tuple(self._guards)
        return Given(names, passed, results or ("",), tree, tuple(self._slots), read, guards)

    # What is returned

    def _returned(self) -> Iterator[ast.AST]:
        """The expressions that are returned; a bare `return` itself."""
        if isinstance(self._tree, ast.Lambda):
            yield self._tree.body
        for node in self._own():
            if isinstance(node, ast.Return):
                yield node if node.value is None else node.value

    def _own(self) -> Iterator[ast.AST]:
        """The function's own nodes in the order of the text, those of nested scopes left out."""
        tree = self._tree
        stack: list[ast.AST] = (
            [tree.body] if isinstance(tree, ast.Lambda) else [*reversed(tree.body)]
        )
        while stack:
            node = stack.pop()
            yield node
            if not isinstance(node, _SCOPES):
                stack.extend(reversed([*ast.iter_child_nodes(node)]))

    def _paths(self, node: ast.AST) -> Iterator[_Record | _Other]:
        """What an expression may give; what is not told is left out, and noted."""
        match node:
            case ast.IfExp():
                yield from self._paths(node.body)
                yield from self._paths(node.orelse)
            case ast.Return():
                yield _Other(node, "None")
            case ast.Constant(None):
                yield _Other(node, "None")
            case ast.Name() if (values := self._values_of(node.id)) is not None:
                for value in values:
                    yield from self._paths(value)
            case _ if isinstance(node, _NO_RECORDS) or self._is_plain_item(node):
                yield _Other(node, "one value")
            case ast.expr() if (record := self._record(node)) is not None:
                yield record
            case _:
                self._untold = self._untold or node

    def _is_plain_item(self, node: ast.AST) -> bool:
        """Whether it is a column of values that are no dicts."""
        name = self._item(node)
        if name is None or name not in self._columns:
            return False
        kind = self._schema.types[self._schema.names.index(name)]
        return not pa.types.is_nested(kind) and not isinstance(kind, pa.BaseExtensionType)

    def _values_of(self, name: str) -> list[ast.expr] | None:
        """All that is ever assigned to a local that is only assigned and returned; None for any other name."""
        if name == self._param or isinstance(self._tree, ast.Lambda):
            return None
        values: list[ast.expr] = []
        seen = 0
        outer: list[str] = []
        for node in self._own():
            match node:
                case ast.Global(names) | ast.Nonlocal(names):
                    outer += names
                case ast.Assign([ast.Name(target)], value) if target == name:
                    values.append(value)
                    seen += 1
                case ast.AnnAssign(ast.Name(target), _, ast.expr() as value) if target == name:
                    values.append(value)
                    seen += 1
                case ast.Return(ast.Name(returned)) if returned == name:
                    seen += 1
                case _:
                    pass
        uses = sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(self._tree))
        return values if values and uses == seen and name not in outer else None

    # Records

    def _is_row(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == self._param

    def _item(self, node: ast.AST) -> str | None:
        """The key of `row["key"]`, or of a `row.get` that gives the column if there is one."""
        match node:
            case ast.Subscript(row, ast.Constant(str(key))) if self._is_row(row):
                return key
            case ast.Call(ast.Attribute(row, "get"), [ast.Constant(str(key)), *rest], []) if (
                self._is_row(row) and len(rest) < 2
            ):
                return key if all(isinstance(one, ast.Constant) for one in rest) else None
            case _:
                return None

    def _key(self, node: ast.expr) -> str | None:
        """A key that is known: a text, or a captured name that stands for one."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        found = self._captured_value(node)
        return found if type(found) is str else None

    def _captured_value(self, node: ast.expr) -> object:
        guards = self._captured.guards
        if not isinstance(node, ast.Name) or guards is None:
            return None
        found = guards.names.get(self._captured.mangle(node.id))
        return found.value if found is not None else None

    def _record(self, node: ast.expr) -> _Record | None:
        """An expression as a record; None where it is not known to be one, or its keys are not."""
        record = _Record(node, [], {})
        match node:
            case ast.Name() if self._is_row(node):
                done = self._spread(record, node)
            case ast.Dict():
                done = all(
                    self._add(record, key, value)
                    for key, value in zip(node.keys, node.values, strict=True)
                )
            case ast.Call(function, args, keywords) if self._captured_value(function) is dict:
                done = len(args) < 2 and all(self._spread(record, value) for value in args)
                own: list[str] = []
                for keyword in keywords:
                    given = _Record(node, [], {})
                    if keyword.arg is not None:
                        done = done and self._put(given, keyword.arg, keyword.value)
                    else:
                        done = done and self._spread(given, keyword.value)
                    own += given.items
                    self._merge(record, given)
                done = done and len(set(own)) == len(own)  # else it is an error when it runs
            case ast.Call(function) if (
                constructor := constructor_of(self._captured_value(function))
            ) is not None:
                done = self._construct(record, constructor, node)
            case _:
                done = False
        return record if done else None

    def _construct(self, record: _Record, constructor: Constructor, node: ast.Call) -> bool:
        """The fields of what a dataclass or NamedTuple makes of its arguments; False where that raises, or is not known."""
        given = _Record(node, [], {})
        parameters = (*constructor.positional, *constructor.keyword_only)
        done = len(node.args) <= len(constructor.positional)
        for name, value in zip(constructor.positional, node.args, strict=False):
            done = done and not isinstance(value, ast.Starred) and self._put(given, name, value)
        for keyword in node.keywords:
            one = _Record(node, [], {})
            if keyword.arg is not None:
                done = done and self._put(one, keyword.arg, keyword.value)
            else:
                done = done and self._spread(one, keyword.value)
            done = done and not (one.items.keys() & given.items.keys())
            self._merge(given, one)
        done = done and given.items.keys() <= set(parameters)
        for name in parameters:
            if name not in given.items:
                default = constructor.defaults.get(name, ...)
                done = done and is_scalar(default)
                self._put(given, name, ast.Constant(cast("Any", default)))
        if done:
            record.values.extend(given.values)
            record.items.update((name, given.items[name]) for name in constructor.fields)
            self._guards.append(constructor.guard)
        return done

    def _add(self, record: _Record, key: ast.expr | None, value: ast.expr) -> bool:
        if key is None:
            return self._spread(record, value)
        name = self._key(key)
        return name is not None and self._put(record, name, value)

    def _put(self, record: _Record, name: str, value: ast.expr) -> bool:
        item = self._item(value)
        if item is not None and item in self._columns:
            self._named[item] = None
            record.items[name] = item
        else:
            record.items[name] = len(record.values)
            record.values.append(value)
        return True

    def _spread(self, record: _Record, value: ast.expr) -> bool:
        """Takes over what `**value` has."""
        if self._is_row(value):
            record.items.update((name, name) for name in self._schema.names)
            return True
        inner = self._record(value)
        if inner is not None:
            self._merge(record, inner)
        return inner is not None

    def _merge(self, record: _Record, inner: _Record) -> None:
        first = len(record.values)
        record.values.extend(inner.values)
        for name, source in inner.items.items():
            record.items[name] = source if isinstance(source, str) else first + source

    # Tuples

    def _tuple_of(self, record: _Record, results: Sequence[str]) -> ast.expr:
        """The results of one record, all that it evaluates evaluated in its order."""
        sources = [record.items[name] for name in results]
        numbers = [one for one in sources if isinstance(one, int)]
        if numbers == list(range(len(record.values))):
            items = [self._value(record, one) for one in sources]
            return self._tuple(record.node, items or [ast.Constant(None)])
        made: list[ast.expr] = []
        slots: list[str] = []
        for value in record.values:
            slot = f"\0{len(self._slots)}"  # no identifier, so that no local has the name
            self._slots.append(slot)
            slots.append(slot)
            made.append(ast.NamedExpr(ast.Name(slot, ast.Store()), value))
        wanted = [
            ast.Name(slots[one], ast.Load()) if isinstance(one, int) else self._value(record, one)
            for one in sources
        ]
        last = self._tuple(record.node, wanted or [ast.Constant(None)])
        both = self._tuple(record.node, [*made, last])
        return ast.Subscript(both, ast.Constant(len(made)), ast.Load())

    def _value(self, record: _Record, source: int | str) -> ast.expr:
        if isinstance(source, int):
            return record.values[source]
        return ast.Subscript(ast.Name(self._param, ast.Load()), ast.Constant(source), ast.Load())

    def _tuple(self, node: ast.expr, items: list[ast.expr]) -> ast.Tuple:
        return ast.Tuple(items, ast.Load())

    # Errors

    def _check(self, records: list[_Record], others: list[_Other]) -> None:
        name = self._captured.name
        if others and not records and self._untold is None:
            if all(one.what == "one value" for one in others):
                raise PlanError(
                    f"{name}: {self._where(others[0].node)} one value a row; a map function of a row gives a dict of all "
                    f"its columns. For a new column use with_columns(name={name})"
                )
            raise PlanError(f"{name}: {self._where(others[0].node)} {others[0].what}; {_WANTED}")
        if not records:
            return
        first = records[0]
        for other in others:
            raise TypeMismatchError(
                f"{name}: {self._where(first.node)} {_listed(first.items)}, but {self._where(other.node)} {other.what}; "
                f"{_WANTED}"
            )
        for record in records[1:]:
            if record.items.keys() != first.items.keys():
                raise TypeMismatchError(
                    f"{name}: {self._where(first.node)} {_listed(first.items)}, but {self._where(record.node)} "
                    f"{_listed(record.items)}; every path gives the same columns"
                )
        if not first.items:
            raise PlanError(f"{name}: {self._where(first.node)} no column")

    def _where(self, node: ast.AST) -> str:
        line: int = getattr(node, "lineno", 0)
        text = (self._captured.source_line(line) or "").strip()
        return f"line {line} ({text}) gives" if text else f"line {line} gives"


_WANTED = (
    "a map function of a row gives a dict of columns for every row; rows are dropped by filter"
)


def _listed(items: dict[str, int | str]) -> str:
    return ", ".join(items) or "no column"


class _Replace(ast.NodeTransformer):
    """Puts other nodes in place of some."""

    def __init__(self, table: dict[int, ast.expr]) -> None:
        self._table = table

    def visit(self, node: ast.AST) -> ast.AST:
        found = self._table.get(id(node))
        if found is None:
            return self.generic_visit(node)
        for inner in ast.walk(found):
            if isinstance(inner, ast.expr) and not hasattr(inner, "lineno"):
                ast.copy_location(inner, node)
        return found
