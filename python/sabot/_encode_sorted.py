"""Sorting by a key, and `bisect`, in a blob.

A key is applied to each item, into a list of keys, and both are sorted together. A key that is a tuple is one sort for each of its
items, the last first: sorts are stable. `bisect` of a captured table that is sorted counts the items on one side.
"""

from __future__ import annotations

import ast
import bisect
import operator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from sabot import _sorted
from sabot._blob import BINARY, BUILTINS, COMPARE
from sabot._encode import Inner, Own, u8, u32
from sabot._encode_tables import frozen_of, readable
from sabot._times import is_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from sabot._encode import Encoder, Part

    Writer: TypeAlias = Callable[[Encoder, ast.Call], Sequence[Part]]


# --- sorting by a key


def key_of(node: ast.Call) -> ast.expr | None:
    """The `key` of a sort; None where there is none, or it is None."""
    for keyword in node.keywords:
        if keyword.arg == "key":
            is_none = isinstance(keyword.value, ast.Constant) and keyword.value.value is None
            return None if is_none else keyword.value
    return None


def without_key(node: ast.Call) -> ast.Call:
    keywords = [keyword for keyword in node.keywords if keyword.arg != "key"]
    return ast.copy_location(ast.Call(node.func, node.args, keywords), node)


def sorted_by(
    encoder: Encoder,
    node: ast.Call,
    first: list[Part],
    key: ast.expr,
    reverse: bool,
    in_place: bool,
) -> Sequence[Part]:
    """The list that `first` gives, sorted by a key."""
    slot = encoder.program.new_slots(["items", "keys"])
    items = encoder.local(node, slot)
    parts: list[Part] = encoder.assignment(node, slot, *first)
    keys = _parts_of(key)
    for one in reversed(keys):
        name = ast.copy_location(ast.Name(" item", ast.Load()), node)
        ranked = ast.copy_location(ast.Call(one, [name], []), one)
        parts += encoder.assignment(node, slot + 1, _ranks(node, ranked, items))
        made: list[Part] = [encoder.at("CALL", node), u8(BUILTINS["SORT_BY"]), u32(4)]
        made += [items, encoder.local(node, slot + 1)]
        made += [*encoder.value(node, reverse), *encoder.value(node, in_place)]
        parts += encoder.assignment(node, slot, *made)
    head: list[Part] = [encoder.at("BLOCK", node), u32(slot), u32(2), u32(1 + 2 * len(keys))]
    return [*head, *parts, *(encoder.value(node, None) if in_place else [items])]


def _ranks(node: ast.AST, ranked: ast.expr, items: bytes) -> ast.expr:
    """[key(item) for item in items]"""
    target = ast.copy_location(ast.Name(" item", ast.Store()), node)
    through = ast.comprehension(target, Own(node, lambda _: [items]), [], 0)
    return ast.copy_location(ast.ListComp(ranked, [through]), node)


def _parts_of(key: ast.expr) -> list[ast.expr]:
    match key:
        case ast.Lambda(args, ast.Tuple([_, *_] as items)) if not any(
            isinstance(item, (ast.Starred, ast.NamedExpr)) for item in items
        ):
            return [ast.copy_location(ast.Lambda(args, item), item) for item in items]
        case _:
            return [key]


def sees_list(encoder: Encoder, key: ast.expr) -> bool:
    """Whether a key may look at locals, among them the list, which is empty while CPython sorts it."""
    from sabot._encode_functions import chosen

    if isinstance(key, ast.Lambda):
        own = {arg.arg for arg in [*key.args.args, *key.args.posonlyargs]}
        names = [place.id for place in ast.walk(key.body) if isinstance(place, ast.Name)]
        return any(
            name not in own and not _is_column(encoder, encoder.mangle(name)) for name in names
        )
    found = chosen(encoder, key)
    return found is None or not all(target.is_captured for target in found.targets)


def _is_column(encoder: Encoder, name: str) -> bool:
    """Whether a name is no local, or a parameter of the whole function that is never bound anew: no list then."""
    slot = encoder.scope.slot(name)
    return slot is None or slot in encoder.program.columns


# --- bisect


def writers() -> dict[int, Writer]:
    """What writes a call of each function, by the function's id."""
    return {
        id(bisect.bisect_right): _bisect(False),
        id(bisect.bisect_left): _bisect(True),
        id(bisect.insort_right): _insort(_sorted.insort_right),
        id(bisect.insort_left): _insort(_sorted.insort_left),
    }


def _bisect(is_left: bool) -> Writer:
    plain = _sorted.bisect_left if is_left else _sorted.bisect_right
    by_key = _sorted.bisect_left_by if is_left else _sorted.bisect_right_by

    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        from sabot._encode_calls import has_stars, refuse_call
        from sabot._encode_math import call_form

        if has_stars(node):
            return refuse_call(encoder, node)
        if key_of(node) is not None:
            return call_form(encoder, node, by_key)
        node = without_key(node)
        match node:
            case ast.Call(args=[table, x], keywords=[]):
                items = _ascending(encoder, table)
                if items is not None:
                    return _counted(encoder, node, items, x, is_left)
            case _:
                pass
        args = [*map(partial(readable, encoder), node.args[:1]), *node.args[1:]]
        made = ast.copy_location(ast.Call(node.func, args, node.keywords), node)
        return call_form(encoder, made, plain)

    return write


def _insort(form: Callable[..., object]) -> Writer:
    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        from sabot._encode_calls import has_stars, refuse_call
        from sabot._encode_math import call_form

        own = bool(node.args) and isinstance(node.args[0], ast.Name)
        if has_stars(node) or not own or encoder.known(node.args[0]) is not None:
            return refuse_call(encoder, node)
        return call_form(encoder, node, form)

    return write


def _ascending(encoder: Encoder, node: ast.expr) -> tuple[object, ...] | None:
    """The items of a captured tuple or list of numbers, or of dates, that is sorted."""
    found = encoder.known(node)
    value = found.value if found is not None else None
    frozen = frozen_of(encoder, node)
    if frozen is not None and frozen.kind == "list":
        value = frozen.items
    if type(value) is not tuple:
        return None
    items = cast("tuple[Any, ...]", value)
    numbers = all(type(item) is int or type(item) is float for item in items)
    times = all(is_time(item) for item in items)
    if not numbers and not times:
        return None
    try:
        rising = all(map(operator.le, items, items[1:]))
    except TypeError:  # dates beside datetimes
        return None
    return items if rising and all(item == item for item in items) else None


def _counted(
    encoder: Encoder, node: ast.Call, items: tuple[object, ...], x: ast.expr, is_left: bool
) -> Sequence[Part]:
    """How many items are less than x, or not more: all comparisons are `<`, also with a NaN."""
    slot = encoder.program.new_slots(["x", "place"])
    parts: list[Part] = encoder.assignment(node, slot, Inner(x, None, 2))
    parts += encoder.assignment(node, slot + 1, *encoder.value(node, 0))
    for item in items:
        one = [*encoder.value(node, item)]
        local = encoder.local(node, slot)
        less: list[Part] = [encoder.at("COMPARE", node)]
        less += (
            [*one, u32(1), u8(COMPARE["Lt"]), local]
            if is_left
            else [local, u32(1), u8(COMPARE["Lt"]), *one]
        )
        step: list[Part] = [encoder.at("AUGASSIGN", node), u32(slot + 1)]
        parts += [*step, u8(BINARY["Add" if is_left else "Sub"]), *less]
    result: list[Part] = [encoder.local(node, slot + 1)]
    if not is_left:
        result = [encoder.at("BINARY", node), u8(BINARY["Add"]), *result]
        result += encoder.value(node, len(items))
    head: list[Part] = [encoder.at("BLOCK", node), u32(slot), u32(2), u32(2 + len(items))]
    return [*head, *parts, *result]
