"""Loops of a batch function over its rows, as statements of one row.

A loop is one of rows when each turn does with its row's values what no other turn sees: arrays are read at the loop's index alone, what a
turn assigns is read only after it was assigned in the same turn, and lists get exactly one item a turn. Locals of a turn get names of
their own in the row function, where they begin unbound: what is read too early sends the row, and so the batch, to CPython.
"""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from sabot._form_values import ARROW, LIST, Array, Builder, Count, Gone, NoFormError, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.Lambda)
_SCOPES = (*FUNCTIONS, *COMPREHENSIONS)
_Loop = ast.For | ast.While


class Turn(NamedTuple):
    """What a turn of a loop is given: names of the row's number, and targets that get a row's value."""

    numbers: frozenset[str]
    given: tuple[tuple[ast.expr, Array], ...]


def stored(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that some statements bind, those of nested scopes left out."""
    names: set[str] = set()
    stack = [*nodes]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name is not None:
            names.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest is not None:
            names.add(node.rest)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
            continue
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {one.asname or one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name is not None:
            names.add(node.name)
        if isinstance(node, _SCOPES):
            names |= {one.target.id for one in ast.walk(node) if isinstance(one, ast.NamedExpr)}
        else:
            stack.extend(ast.iter_child_nodes(node))
    return names


def free(function: ast.FunctionDef | ast.Lambda) -> set[str]:
    """The names that a nested function reads when it is called, and does not bind."""
    body = function.body if isinstance(function, ast.FunctionDef) else [function.body]
    arguments = {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
    return _reads(body) - stored(body) - arguments


def _reads(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that are read, by nested scopes too where they do not bind them."""
    names: set[str] = set()
    stack = [*nodes]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, FUNCTIONS):
            names |= free(node)
            stack += [node.args, *getattr(node, "decorator_list", ())]
        elif isinstance(node, COMPREHENSIONS):
            first = node.generators[0].iter
            bound = stored(one.target for one in node.generators)
            names |= _reads([first]) | (_reads(ast.iter_child_nodes(node)) - bound)
        else:
            stack.extend(ast.iter_child_nodes(node))
    return names


def turn_of(target: ast.expr, given: Sequence[Array | Count], node: ast.AST) -> Turn:
    """What the targets of a loop are given; `Count` stands for the row's number."""
    targets = [target] if len(given) == 1 else getattr(target, "elts", None)
    if targets is None or len(targets) != len(given):
        raise NoFormError(node, "a loop over rows with other targets")
    numbers: set[str] = set()
    pairs: list[tuple[ast.expr, Array]] = []
    for one, value in zip(targets, given, strict=True):
        if isinstance(value, Count):
            if not isinstance(one, ast.Name):
                raise NoFormError(node, "a loop over rows with other targets")
            numbers.add(one.id)
        else:
            pairs.append((one, value))
    return Turn(frozenset(numbers), tuple(pairs))


class RowLoop:
    """One loop over the rows.

    env: what the locals stand for before it. before: names that have a plain value then. number: tells its locals from other loops'.
    """

    def __init__(
        self, env: Mapping[str, Value], before: frozenset[str], number: int, turn: Turn
    ) -> None:
        self._env = env
        self._before = before
        self._number = number
        self._turn = turn
        self.names: dict[
            str, str
        ] = {}  # of a turn's locals: as they are called in the row function

    def statements(self, loop: ast.For) -> tuple[list[ast.stmt], set[str]]:
        """The statements of one turn, and the lists that it appends to."""
        if loop.orelse:
            raise NoFormError(loop.orelse[0], "an else of the loop over the rows")
        filled = self._filled(loop.body)
        self._bind(stored([*(target for target, _ in self._turn.given), *loop.body]), loop)
        _Flow(self._before, self.names).check(loop.body, self._targets())
        rewriter = self._rewriter()
        made = [*self._given(rewriter), *(rewriter.visit(copy.deepcopy(one)) for one in loop.body)]
        for jump in jumps(loop.body):
            if isinstance(jump, ast.Break):
                raise NoFormError(jump, "a break out of the loop over the rows")
            return [_once(loop, made)], filled
        return made, filled

    def element(self, node: ast.expr) -> tuple[list[ast.stmt], ast.expr]:
        """Of a comprehension over the rows: what gives the targets their values, and the item."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                raise NoFormError(inner, f"{inner.target.id} as the last row left it")
        self._bind(stored(target for target, _ in self._turn.given), node)
        rewriter = self._rewriter()
        return self._given(rewriter), rewriter.visit(copy.deepcopy(node))

    def _targets(self) -> set[str]:
        return stored(target for target, _ in self._turn.given)

    def _given(self, rewriter: _Rewriter) -> list[ast.stmt]:
        """What gives a turn's targets their values."""
        made: list[ast.stmt] = []
        for target, array in self._turn.given:
            bound = rewriter.visit(copy.deepcopy(target))
            made.append(ast.copy_location(ast.Assign([bound], array.value(target)), target))
        return made

    def _rewriter(self) -> _Rewriter:
        return _Rewriter(self._env, self._turn.numbers, self.names)

    def _bind(self, names: set[str], node: ast.AST) -> None:
        for name in sorted(names):
            if (
                isinstance(self._env.get(name), (Array, Builder, Count))
                or name in self._turn.numbers
            ):
                raise NoFormError(node, f"the loop over the rows binds {name} anew")
            self.names[name] = f"\1{self._number}{name}"

    def _filled(self, body: list[ast.stmt]) -> set[str]:
        """The lists that get exactly one item in each turn."""
        names = {_appended(node, self._env) for node in ast.walk(ast.Module(body, []))}
        filled = {name for name in names if name is not None}
        for name in sorted(filled):
            place = _Appends(name, self._env).wrong(body)
            if place is not None:
                raise NoFormError(place, f"{name} does not get exactly one item in each turn")
        return filled


def _once(loop: ast.For, body: list[ast.stmt]) -> ast.stmt:
    """A loop of one turn, for a body with `continue`."""
    one = ast.Tuple([ast.Constant(0)], ast.Load())
    again = ast.For(ast.Name("\1once", ast.Store()), one, body, [])
    ast.copy_location(again, loop)
    for node in (again.target, one, one.elts[0]):
        ast.copy_location(node, loop.iter)
    return again


def jumps(body: Iterable[ast.stmt]) -> Iterator[ast.Break | ast.Continue]:
    """The `break` and `continue` statements of the loop around these statements, breaks first."""
    found: list[ast.Break | ast.Continue] = []
    stack = [*body]
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.Break, ast.Continue)):
            found.append(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        inner = () if isinstance(node, (ast.For, ast.While)) else getattr(node, "body", ())
        stack += [*inner, *getattr(node, "orelse", ())]
        for case in getattr(node, "cases", ()):
            stack += case.body
    yield from sorted(found, key=lambda one: isinstance(one, ast.Continue))


def _appended(node: ast.AST, env: Mapping[str, Value]) -> str | None:
    """The list that a statement appends to, or None."""
    match node:
        case ast.Expr(ast.Call(ast.Attribute(ast.Name(name), "append"), [_], [])) if isinstance(
            env.get(name), Builder
        ):
            return name
        case _:
            return None


class _Appends:
    """Counts what the paths through a body append to one list."""

    def __init__(self, name: str, env: Mapping[str, Value]) -> None:
        self._name = name
        self._env = env
        self._wrong: ast.AST | None = None

    def wrong(self, body: list[ast.stmt]) -> ast.AST | None:
        """Where a path ends that did not append exactly once."""
        counts = self._counts(body, {0})
        if self._wrong is None and counts - {1}:
            self._wrong = body[-1]
        return self._wrong

    def _counts(self, body: list[ast.stmt], counts: set[int]) -> set[int]:
        for node in body:
            if not counts:
                break
            counts = self._after(node, counts)
        return counts

    def _after(self, node: ast.stmt, counts: set[int]) -> set[int]:
        if _appended(node, self._env) == self._name:
            return {min(2, count + 1) for count in counts}
        match node:
            case ast.If():
                return self._counts(node.body, counts) | self._counts(node.orelse, counts)
            case ast.Match():
                ends = set[int]() if _takes_all(node.cases[-1]) else set(counts)
                for case in node.cases:
                    ends |= self._counts(case.body, counts)
                return ends
            case ast.Continue():
                if counts != {1}:
                    self._wrong = self._wrong or node
                return set()
            case ast.Raise():
                return set()
            case ast.For() | ast.While():
                if any(_appended(inner, self._env) == self._name for inner in ast.walk(node)):
                    self._wrong = self._wrong or node
                return counts
            case _:
                return counts


def _takes_all(case: ast.match_case) -> bool:
    match case:
        case ast.match_case(ast.MatchAs(pattern=None), guard=None):
            return True
        case _:
            return False


class _Flow:
    """Whether a turn reads what an earlier turn, or what is before the loop, has assigned to a name that turns assign."""

    def __init__(self, before: frozenset[str], names: Mapping[str, str]) -> None:
        self._before = before
        self._names = names

    def check(self, body: list[ast.stmt], given: set[str]) -> None:
        """Raises:
        NoFormError: it does.
        """
        self._block(body, given & set(self._names), given & set(self._names))

    def _block(
        self, body: Sequence[ast.stmt], must: set[str], may: set[str]
    ) -> tuple[set[str] | None, set[str]]:
        """What is assigned for certain behind a block (None: nothing gets there), and what may be."""
        now: set[str] | None = set(must)
        for node in body:
            if now is None:
                return None, may
            now, may = self._statement(node, now, may)
        return now, may

    def _statement(
        self, node: ast.stmt, must: set[str], may: set[str]
    ) -> tuple[set[str] | None, set[str]]:
        match node:
            case ast.If():
                self._reads(node.test, must, may)
                may = may | stored([node.test])
                return self._joined([node.body, node.orelse], must, may)
            case ast.Match():
                self._reads(node.subject, must, may)
                blocks = [case.body for case in node.cases]
                bound = stored(case.pattern for case in node.cases)
                others: list[list[ast.stmt]] = [] if _takes_all(node.cases[-1]) else [[]]
                return self._joined([*blocks, *others], must, may | bound)
            case ast.For() | ast.While():
                return self._loop(node, must, may)
            case ast.Continue() | ast.Raise():
                return None, may
            case ast.Break():
                return None, may
            case ast.AugAssign(ast.Name(name)):
                self._read(node.target, name, must, may)
                self._reads(node.value, must, may)
                return must, may
            case _:
                self._reads(node, must, may)
                bound = stored([node])
                return must | bound, may | bound

    def _joined(
        self, blocks: Iterable[Sequence[ast.stmt]], must: set[str], may: set[str]
    ) -> tuple[set[str] | None, set[str]]:
        ends = [self._block(block, must, may) for block in blocks]
        reached = [end for end, _ in ends if end is not None]
        every = set(may).union(*(some for _, some in ends))
        if not reached:
            return None, every
        return {name for name in reached[0] if all(name in end for end in reached)}, every

    def _loop(self, node: _Loop, must: set[str], may: set[str]) -> tuple[set[str] | None, set[str]]:
        if isinstance(node, ast.For):
            self._reads(node.iter, must, may)
            target: set[str] = stored([node.target])
        else:
            self._reads(node.test, must, may)
            target: set[str] = set()
        # What a turn of this loop reads, a turn before may have assigned: the row itself has.
        inside = may | target | stored(node.body)
        self._block(node.body, must | target, inside)
        _, last = self._block(node.orelse, must, inside)
        return set(must), last

    def _reads(self, node: ast.AST, must: set[str], may: set[str]) -> None:
        bound = may | stored([node]) if not isinstance(node, ast.Assign | ast.AnnAssign) else may
        inner = [node.value] if isinstance(node, ast.Assign) else [node]
        if isinstance(node, ast.AnnAssign):
            inner = [node.value] if node.value is not None else []
        for top in inner:
            for one in ast.walk(top):
                if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load):
                    self._read(one, one.id, must, bound)

    def _read(self, node: ast.AST, name: str, must: set[str], may: set[str]) -> None:
        if name not in self._names or name in must:
            return
        if name not in may or name in self._before:
            raise NoFormError(node, f"{name} goes from one row to the next")


class _Rewriter(ast.NodeTransformer):
    """Puts a row's values in the place of items of arrays, and a turn's own names."""

    def __init__(
        self, env: Mapping[str, Value], numbers: frozenset[str], names: Mapping[str, str]
    ) -> None:
        self._env = env
        self._numbers = numbers
        self._names = names
        self._inside = 0  # functions that are defined in a turn

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        name = _appended(node, self._env)
        if name is None:
            return self.generic_visit(node)
        if self._inside:
            raise NoFormError(node, f"{name} is filled by a function inside")
        builder = self._env[name]
        assert isinstance(builder, Builder)
        assert isinstance(node.value, ast.Call)
        value = self.visit(node.value.args[0])
        target = ast.copy_location(ast.Name(builder.name, ast.Store()), node)
        return ast.copy_location(ast.Assign([target], value), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        array = self._array(node.value)
        if array is None:
            return self.generic_visit(node)
        if not (isinstance(node.slice, ast.Name) and node.slice.id in self._numbers):
            raise NoFormError(node, "an item of another row")
        if not isinstance(node.ctx, ast.Load):
            raise NoFormError(node, "an item of an array is given a value")
        if array.family == ARROW:
            raise NoFormError(node, "an Arrow scalar as a value")
        return array.value(node)

    def visit_Assign(self, node: ast.Assign) -> Any:
        match node.targets:
            case [ast.Subscript() as target] if self._array(target.value) is not None:
                value: ast.expr = self.visit(node.value)
                return self._stored(node, target, value)
            case _:
                return self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        match node.target:
            case ast.Subscript() as target if self._array(target.value) is not None:
                read: Any = self.visit_Subscript(
                    ast.copy_location(ast.Subscript(target.value, target.slice, ast.Load()), target)
                )
                made = ast.BinOp(read, node.op, self.visit(node.value))
                return self._stored(node, target, ast.copy_location(made, node))
            case _:
                return self.generic_visit(node)

    def _stored(self, node: ast.stmt, target: ast.Subscript, value: ast.expr) -> ast.stmt:
        """An item of an array of the function's own that gets a value."""
        from sabot._form_numpy import cast

        array = self._array(target.value)
        assert array is not None
        if self._inside:
            raise NoFormError(target, "an item of an array is given a value by a function inside")
        number = isinstance(target.slice, ast.Name) and target.slice.id in self._numbers
        if not array.own or not number:
            what = "another row's item" if array.own else "an item of an array that is not its own"
            raise NoFormError(target, f"{what} is given a value")
        place = ast.copy_location(ast.Name(array.name, ast.Store()), target)
        made = ast.Assign([place], cast(target, value, array.type))
        return ast.copy_location(made, node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node:
            case ast.Call(
                ast.Attribute(ast.Subscript(items, ast.Name(number)), "as_py"), [], []
            ) if number in self._numbers:
                array = self._array(items)
                if array is not None and array.family == ARROW:
                    return array._replace(family=LIST).value(node)
            case _:
                pass
        return self.generic_visit(node)

    def _array(self, node: ast.AST) -> Array | None:
        found = self._env.get(node.id) if isinstance(node, ast.Name) else None
        return found if isinstance(found, Array) else None

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self._names:
            return ast.copy_location(ast.Name(self._names[node.id], node.ctx), node)
        if node.id in self._numbers:
            raise NoFormError(node, "the number of the row as a value")
        if isinstance(self._env.get(node.id), Gone):
            raise NoFormError(node, f"{node.id} of an earlier loop's last row")
        if node.id in self._env:
            raise NoFormError(node, f"{node.id} as a whole, in a loop over the rows")
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        if not self._inside:
            raise NoFormError(node, "a return in a loop over the rows")
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        self._inside += 1
        made = self.generic_visit(node)
        self._inside -= 1
        return made

    def generic_visit(self, node: ast.AST) -> Any:
        if isinstance(node, _SCOPES):
            self._check_scope(node)
        if isinstance(node, (ast.FunctionDef, ast.MatchAs, ast.MatchStar)) and node.name:
            node.name = self._names.get(node.name, node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            node.rest = self._names.get(node.rest, node.rest)
        return super().generic_visit(node)

    def _check_scope(self, node: ast.AST) -> None:
        """A nested scope: its own names stay its own."""
        own = {
            one.id
            for one in ast.walk(node)
            if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)
        }
        own |= {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
        taken = own & {*self._names, *self._numbers, *self._env}
        if taken:
            raise NoFormError(node, f"{min(taken)} of the loop is bound anew inside")
