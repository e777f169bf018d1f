"""Generators that are gone through where they stand, in a blob: map, filter, iter, generator expressions as iterables, and next.

A loop through a generator is the loop that the generator makes. That its parts may be evaluated in another order than CPython's cannot
be told from outside: an expression that fails sends its row to CPython, and none has effects.
"""

from __future__ import annotations

import ast
import struct
from typing import TYPE_CHECKING, cast

from sabot._blob import BUILTINS
from sabot._encode import Inner, Own, Scope, u8, u32
from sabot._encode_tables import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._encode import Encoder, Part


def generator_of(encoder: Encoder, node: ast.expr) -> ast.GeneratorExp | None:
    """A generator expression, or the one that a call of map, filter or iter is the same as; None for anything else."""
    match node:
        case ast.GeneratorExp():
            return node
        case ast.Call(function, args, []) if not any(isinstance(a, ast.Starred) for a in args):
            found = encoder.known(function)
            make = _GENERATORS.get(id(found.value)) if found is not None else None
            return make(node) if make is not None else None
        case _:
            return None


def _mapped(node: ast.Call) -> ast.GeneratorExp | None:
    """map(f, a, b): f(x, y) for x, y in zip(a, b)."""
    if not 2 <= len(node.args) <= 255:
        return None
    function, *iterables = node.args
    names = [f" {number}" for number in range(len(iterables))]
    call = ast.Call(function, [_load(node, name) for name in names], [])
    element = ast.copy_location(call, function)
    if len(iterables) == 1:
        return _generator(node, element, _store(node, names[0]), iterables[0])
    target = ast.Tuple([_store(node, name) for name in names], ast.Store())

    def zipped(encoder: Encoder) -> Sequence[Part]:
        return [
            encoder.at("CALL", node),
            u8(BUILTINS["ZIP"]),
            u32(len(iterables)),
            *(readable(encoder, one) for one in iterables),
        ]

    return _generator(node, element, ast.copy_location(target, node), Own(node, zipped))


def _filtered(node: ast.Call) -> ast.GeneratorExp | None:
    """filter(f, a): x for x in a if f(x)."""
    if len(node.args) != 2:
        return None
    function, iterable = node.args
    condition = _load(node, " 0")
    if not (isinstance(function, ast.Constant) and function.value is None):
        condition = ast.copy_location(ast.Call(function, [condition], []), function)
    return _generator(node, _load(node, " 0"), _store(node, " 0"), iterable, condition)


def _iterator(node: ast.Call) -> ast.GeneratorExp | None:
    """iter(a): x for x in a."""
    if len(node.args) != 1:
        return None
    return _generator(node, _load(node, " 0"), _store(node, " 0"), node.args[0])


_GENERATORS: dict[int, Callable[[ast.Call], ast.GeneratorExp | None]] = {
    id(map): _mapped,
    id(filter): _filtered,
    id(iter): _iterator,
}


def _generator(
    node: ast.Call, element: ast.expr, target: ast.expr, iterable: ast.expr, *conditions: ast.expr
) -> ast.GeneratorExp:
    inner = ast.comprehension(target, iterable, [*conditions], 0)
    return ast.copy_location(ast.GeneratorExp(element, [inner]), node)


def _load(place: ast.AST, name: str) -> ast.expr:
    return ast.copy_location(ast.Name(name, ast.Load()), place)


def _store(place: ast.AST, name: str) -> ast.expr:
    return ast.copy_location(ast.Name(name, ast.Store()), place)


def loop(
    encoder: Encoder,
    node: ast.AST,
    target: Sequence[Part],
    iterable: ast.expr,
    scope: Scope | None,
    body: list[Part],
    orelse: list[Part],
) -> list[Part]:
    """A FOR through an iterable; where that is a generator, through what the generator goes through.

    scope: of the iterable; None: the one around. body, orelse: lists of statements.
    """
    before = encoder.scope
    encoder.scope = scope or before
    generator = generator_of(encoder, iterable)
    if generator is None or len(generator.generators) != 1 or generator.generators[0].is_async:
        held = readable(encoder, iterable)
        encoder.scope = before
        return [encoder.at("FOR", node), *target, Inner(held, scope, 4), *body, *orelse]
    inner = generator.generators[0]
    inside = _scope_of(encoder, inner.target)
    encoder.scope = inside
    place = encoder.target(inner.target)
    encoder.scope = before
    if isinstance(place, list):
        return [*place]
    (count,) = struct.unpack("<I", cast("bytes", body[0]))
    turn: list[Part] = [u32(count + 1), encoder.at("ASSIGN", node), u32(1), *target]
    turn += [Inner(generator.elt, inside, 4), *body[1:]]
    for condition in reversed(inner.ifs):
        turn = [u32(1), encoder.at("IF", node), Inner(condition, inside, 4), *turn, u32(0)]
    return loop(encoder, node, place, inner.iter, scope, turn, orelse)


def _scope_of(encoder: Encoder, target: ast.expr) -> Scope:
    """A scope with slots for the names of a target."""
    names = [encoder.mangle(name.id) for name in ast.walk(target) if isinstance(name, ast.Name)]
    names = [*dict.fromkeys(names)]
    first = encoder.program.new_slots(names)
    return Scope({name: first + k for k, name in enumerate(names)}, encoder.scope)


def next_(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    """next of a generator: the item at which a loop through it is left at once, or the default."""
    count = len(node.args)
    if not 1 <= count <= 2 or node.keywords or generator_of(encoder, node.args[0]) is None:
        return encoder.refuse(node)
    item = encoder.program.new_slots(["item", "default"][:count])
    otherwise: list[Part] = [u32(1), encoder.at("RAISE", node)]
    statements: list[Part] = []
    if count == 2:
        statements += encoder.assignment(node, item + 1, Inner(node.args[1], None, 2))
        otherwise = [u32(1), *encoder.assignment(node, item, encoder.local(node, item + 1))]
    leave: list[Part] = [u32(1), encoder.at("BREAK", node)]
    statements += loop(encoder, node, [u8(0) + u32(item)], node.args[0], None, leave, otherwise)
    head: list[Part] = [encoder.at("BLOCK", node), u32(item), u32(count), u32(count)]
    return [*head, *statements, encoder.local(node, item)]


def call_of_lambda(encoder: Encoder, node: ast.Call) -> Sequence[Part] | None:
    """A call of a lambda where it stands; None where its parameters are not plain ones that are given by position."""
    match node:
        case ast.Call(ast.Lambda(ast.arguments([], [*params], None, [], [], None, []), body), args):
            names = [encoder.mangle(param.arg) for param in params]
            starred = any(isinstance(arg, ast.Starred) for arg in args)
            if len(names) != len(args) or node.keywords or starred or _binds(body):
                return None
        case _:
            return None
    first = encoder.program.new_slots(names)
    scope = Scope({name: first + k for k, name in enumerate(names)}, encoder.scope)
    parts: list[Part] = [encoder.at("BLOCK", node), u32(first), u32(len(names)), u32(len(names))]
    for k, arg in enumerate(args):
        parts += encoder.assignment(node, first + k, Inner(arg, None, 1))
    return [*parts, Inner(body, scope, 1)]


def _binds(body: ast.expr) -> bool:
    """Whether it binds names by `:=`, which would be the lambda's own."""
    return any(isinstance(place, ast.NamedExpr) for place in ast.walk(body))
