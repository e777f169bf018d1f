"""Constant tables in a blob: captured lists, sets and dicts that are only read, and dict displays with constant keys.

A captured list that is indexed or gone through, and the keys of a set or dict, stand as constants. A look-up is one comparison an entry:
numbers are equal keys of a dict where they are equal. Keys that are text are never equal to what compiled code has.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple, cast

from sabot._blob import COMPARE
from sabot._encode import Inner, Own, u8, u32
from sabot._guards import Frozen, is_scalar
from sabot._scope import bindings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sabot._encode import Encoder, FunctionNode, Part

ENTRIES_MAX = 256

_KIND_OF_ITEMS = {"keys": 0, "values": 1, "items": 2}


class Table(NamedTuple):
    """A dict: constant keys; `value` gives the parts of the value at a place; `begin`: statements to run first, with their count."""

    keys: tuple[object, ...]
    value: Callable[[int], Sequence[Part]]
    slots: int  # the first of those below
    own: int  # how many locals the statements use
    begin: tuple[int, list[Part]]


def frozen_of(encoder: Encoder, node: ast.expr) -> Frozen | None:
    """The captured list, set or dict that an expression names."""
    found = encoder.known(node)
    value = found.value if found is not None else None
    return value if isinstance(value, Frozen) and value.is_plain else None


def readable(encoder: Encoder, node: ast.expr) -> ast.expr:
    """An iterable or a container that is only read: captured ones as constants."""
    match node:
        case ast.Call(ast.Attribute(inner, ("keys" | "values" | "items") as view), [], []):
            frozen = frozen_of(encoder, inner)
            if frozen is None or frozen.kind != "dict":
                return node
            pairs = cast("tuple[tuple[object, object], ...]", frozen.items)
            place = _KIND_OF_ITEMS[view]
            items = pairs if place == 2 else tuple(pair[place] for pair in pairs)
        case _:
            frozen = frozen_of(encoder, node)
            if frozen is None:
                return node
            if frozen.kind == "list":
                return _items(node, "LIST", frozen.items)
            items = keys_of(frozen)
    return _items(node, "TUPLE", items)


def keys_of(frozen: Frozen) -> tuple[object, ...]:
    """What going through it gives."""
    if frozen.kind != "dict":
        return frozen.items
    return tuple(key for key, _ in cast("tuple[tuple[object, object], ...]", frozen.items))


def _items(node: ast.expr, kind: str, items: Sequence[object]) -> ast.expr:
    def write(encoder: Encoder) -> Sequence[Part]:
        parts: list[Part] = [encoder.at(kind, node), u32(len(items))]
        for item in items:
            parts += encoder.value(node, item)
        return parts

    return Own(node, write)


def member(encoder: Encoder, operator: ast.cmpop, node: ast.expr) -> ast.expr:
    """What stands right of an operator: `in` of a table compares with its keys."""
    if not isinstance(operator, (ast.In, ast.NotIn)):
        return node
    if isinstance(node, ast.Name):
        keys = encoder.scope.table(encoder.mangle(node.id))
        if keys is not None:
            return _items(node, "TUPLE", _numbers(keys))
    if isinstance(node, (ast.Set, ast.Dict)):
        keys = node.elts if isinstance(node, ast.Set) else [key for key in node.keys if key]
        constants = [_constant(key) for key in keys]
        if (
            keys
            and None not in constants
            and (isinstance(node, ast.Set) or _are_simple(node.values))
        ):
            values = [constant[0] for constant in constants if constant is not None]
            return node if _has_nan(values) else _items(node, "TUPLE", _numbers(values))
        return node
    frozen = frozen_of(encoder, node)
    if frozen is None:
        return node
    items = keys_of(frozen)
    return _items(node, "TUPLE", items if frozen.kind == "list" else _numbers(items))


def _numbers(items: Sequence[object]) -> tuple[object, ...]:
    """Without texts: a number is in none of them, and a text cannot be looked for."""
    return tuple(item for item in items if not isinstance(item, str))


def _has_nan(items: Sequence[object]) -> bool:
    return any(item != item for item in items)


def _are_simple(nodes: Sequence[ast.expr]) -> bool:
    return all(_constant(node) is not None for node in nodes)


def _constant(node: ast.expr) -> tuple[object] | None:
    """The value of a constant expression, in a tuple of one."""
    match node:
        case ast.Constant(value) if is_scalar(value):
            return (value,)
        case ast.UnaryOp(ast.USub(), ast.Constant(int(value) | float(value))):
            return (-value,)
        case _:
            return None


def table_of(encoder: Encoder, node: ast.expr) -> Table | None:
    """The table that an expression is: a captured dict or a display."""
    from sabot._encode_functions import table_of_local

    match node:
        case ast.Dict():
            return _display(encoder, node)
        case ast.Name(name) if table_of_local(encoder, encoder.mangle(name)) is not None:
            return None
        case ast.Name(name) if (keys := encoder.scope.table(encoder.mangle(name))) is not None:
            return _local(encoder, node, keys)
        case _:
            frozen = frozen_of(encoder, node)
    if frozen is None or frozen.kind != "dict" or not _numbers(keys_of(frozen)):
        return None
    pairs = cast("tuple[tuple[object, object], ...]", frozen.items)

    def value(place: int) -> Sequence[Part]:
        return encoder.value(node, pairs[place][1])

    return Table(keys_of(frozen), value, 0, 0, (0, []))


def constant_keys(node: ast.Dict) -> tuple[object, ...] | None:
    """The keys of a display, where they are constants, none twice, and not texts alone."""
    keys = [_constant(key) if key is not None else None for key in node.keys]
    constants = tuple(key[0] for key in keys if key is not None)
    plain = len(constants) == len(keys) and _numbers(constants) and not _has_nan(constants)
    if not plain or len(set(constants)) < len(keys) or not 1 <= len(keys) <= ENTRIES_MAX:
        return None
    return constants


def _local(encoder: Encoder, node: ast.Name, keys: tuple[object, ...]) -> Table:
    """A local that is always one display: it holds the values, in a tuple."""
    slot = encoder.scope.slot(encoder.mangle(node.id))
    assert slot is not None

    def value(place: int) -> Sequence[Part]:
        index = encoder.value(node, place)
        return [encoder.at("SUBSCRIPT", node), encoder.local(node, slot), *index]

    bound: list[Part] = [encoder.at("EXPR", node), encoder.local(node, slot)]
    return Table(keys, value, 0, 0, (1, bound))


def local_tables(node: FunctionNode, mangle: Callable[[str], str]) -> dict[str, tuple[object, ...]]:
    """The locals that a function binds once, to a display with constant keys; with the keys."""
    if isinstance(node, ast.Lambda):
        return {}
    found: dict[str, tuple[object, ...]] = {}
    for place in ast.walk(node):
        match place:
            case ast.Assign([ast.Name(name)], ast.Dict() as display):
                keys = constant_keys(display)
                if keys is not None:
                    found[mangle(name)] = keys
            case _:
                pass
    if not found:
        return found
    counts = bindings(node, mangle)
    return {name: keys for name, keys in found.items() if counts[name] == 1}


def _display(encoder: Encoder, node: ast.Dict) -> Table | None:
    """A display: its values are made in order, then looked into."""
    keys = constant_keys(node)
    if keys is None:
        return None
    first = encoder.program.new_slots(["value"] * len(keys))
    begin: list[Part] = []
    for place, value in enumerate(node.values):
        begin += encoder.assignment(node, first + place, Inner(value, None, 2))

    def made(place: int) -> Sequence[Part]:
        return [encoder.local(node, first + place)]

    return Table(keys, made, first, len(keys), (len(keys), begin))


def look_up(
    encoder: Encoder, node: ast.expr, table: Table, key: ast.expr, default: ast.expr | None
) -> Sequence[Part]:
    """The value at a key. Without a default a key that is not there fails, as reading an unbound local does.

    default: what `get` gives otherwise.
    """
    wanted = encoder.program.new_slots(["key", "found"])
    found = wanted + 1
    count, parts = table.begin
    parts = [*parts, *encoder.assignment(node, wanted, Inner(key, None, 2))]
    if default is not None:
        parts += encoder.assignment(node, found, Inner(default, None, 2))
        count += 1
    count += 1
    for place, one in enumerate(table.keys):
        if isinstance(one, str):
            continue
        parts += [encoder.at("IF", node), encoder.at("COMPARE", node)]
        parts += [encoder.local(node, wanted), u32(1)]
        parts += [u8(COMPARE["Is" if one is None else "Eq"]), *encoder.value(node, one)]
        parts += [u32(1), *encoder.assignment(node, found, *table.value(place)), u32(0)]
        count += 1
    first = table.slots if table.own else wanted
    head: list[Part] = [encoder.at("BLOCK", node), u32(first), u32(table.own + 2), u32(count)]
    return [*head, *parts, encoder.local(node, found)]


def call_of_get(encoder: Encoder, node: ast.Call) -> Sequence[Part] | None:
    """`table.get(key)` and `table.get(key, default)`; None for other calls."""
    match node:
        case ast.Call(ast.Attribute(inner, "get"), [key, *rest], []) if len(rest) < 2:
            table = table_of(encoder, inner)
        case _:
            return None
    if table is None:
        return None
    default = rest[0] if rest else ast.copy_location(ast.Constant(None), node)
    return look_up(encoder, node, table, key, default)
