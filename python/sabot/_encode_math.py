"""Calls of `math` functions that are no libm function: a form of `_math` is called in their place, once it has been compared with the
process's own at some places. fsum and prod become the loop that they are.
"""

from __future__ import annotations

import ast
import functools
import math
import sys
from typing import TYPE_CHECKING, Any, cast

from sabot import _math
from sabot._blob import BINARY
from sabot._bound import resolve
from sabot._encode import Inner, u8, u32
from sabot._encode_calls import (
    block_of,
    has_stars,
    is_simple,
    joined,
    libm,
    loops_of,
    own_slot,
    plain,
    refuse_call,
    turns_of,
)
from sabot._encode_user import call_function, inline, write_callee

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from types import FunctionType
    from typing import TypeAlias

    from sabot._bound import Called
    from sabot._encode import Callee, Encoder, Part

    Writer: TypeAlias = Callable[[Encoder, ast.Call], Sequence[Part]]

# Forms that are called as they are, and how their arguments are tried: f a number, i an int, t tuples of numbers.
FORMS = {
    "comb": "ii",
    "dist": "tt",
    "factorial": "i",
    "fma": "fff",
    "frexp": "f",
    "gamma": "f",
    "hypot": "ff",
    "isclose": "ff",
    "lcm": "ii",
    "lgamma": "f",
    "modf": "f",
    "nextafter": "ff",
    "perm": "ii",
    "sumprod": "tt",
    "ulp": "f",
}


def writers() -> dict[int, Writer]:
    """What writes a call of each function, by the function's id."""
    found: dict[int, Writer] = {
        id(math.fsum): _fsum,
        id(math.ldexp): plain("LDEXP", 2, 2),
        id(math.prod): _prod,
        id(_math.exponent): plain("EXPONENT", 1, 1),
        id(pow): _power,
    }
    for name in FORMS:
        if hasattr(math, name):
            found[id(getattr(math, name))] = _form(name)
    found[id(math.nextafter)] = _nextafter
    return found


# --- trust


def _tried(letters: str) -> Iterator[tuple[Any, ...]]:
    """64 lists of arguments: of all sizes, then with zeros, infinities, NaN, bounds."""
    odd = [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, -1e-310, 1.7976931348623157e308, 3, -2]
    for k in range(64):
        x = (k - 24) * 0.4375 + 1 / (k + 1) if k < 40 else (-1) ** k * 10.0 ** ((k - 47) * 19)
        x = odd[k - 54] if k >= 54 else x
        y = odd[k * 7 % 10] if k % 4 == 3 else 2.75 - x / 3
        z = 0.1 * k - 1 / (k + 3)
        given: dict[str, list[Any]] = {
            "f": [x, y, z],
            "i": [k % 27, k * 5 % 11, 0],
            "t": [(x, y, z)[: k % 4], (z, 1.5, y)[: k % 4], ()],
        }
        yield tuple(given[letter][place] for place, letter in enumerate(letters))


def _answer(function: Callable[..., Any], args: tuple[Any, ...]) -> str | None:
    """A value as text that tells all values apart; None where there is none."""
    try:
        return repr(function(*args))
    except (ArithmeticError, ValueError):
        return None


@functools.cache
def is_trusted(name: str) -> bool:
    """Whether a form gives what this process's function does, where it gives anything, at 64 places."""
    form, real = getattr(_math, name), getattr(math, name)
    for args in _tried(FORMS[name]):
        given = _answer(form, args)
        if given is not None and given != _answer(real, args):
            return False
    return True


# --- calls


@functools.cache
def _callees(form: FunctionType) -> dict[Hashable, Callee]:
    from sabot._capture import callees_of

    return callees_of(form)


def _callee(encoder: Encoder, form: Callable[..., object]) -> tuple[Callee, Called]:
    called = resolve(form)
    assert called is not None
    encoder.program.callees.update(_callees(cast("FunctionType", form)))
    return encoder.program.callees[called.key], called


def _form(name: str) -> Writer:
    def write(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
        if not is_trusted(name):
            return encoder.unsupported(node, "unknown_call", f"math.{name} of another Python")
        if has_stars(node):
            return refuse_call(encoder, node)
        return call_form(encoder, node, getattr(_math, name))

    return write


def call_form(encoder: Encoder, node: ast.Call, form: Callable[..., object]) -> Sequence[Part]:
    """The call of a form, with the arguments of the call of what it stands for."""
    return call_function(encoder, node, *_callee(encoder, form))


def call_of_form(
    encoder: Encoder, node: ast.Call, form: Callable[..., object], *args: Part
) -> list[Part]:
    """A call of a form with these parts as arguments."""
    callee, called = _callee(encoder, form)
    refused = write_callee(encoder, node, callee, called.key)
    if refused is not None:
        return [*encoder.unsupported(node, *refused)]
    slots = encoder.program.scopes[called.key].names
    names = callee.fn.__code__.co_varnames[: len(args)]
    pairs = [(slots[name], arg) for name, arg in zip(names, args, strict=True)]
    return inline(encoder, node, u32(encoder.program.numbers[called.key]), pairs)


def _power(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    """pow of two numbers, or of three."""
    named = [keyword.arg for keyword in node.keywords]
    if has_stars(node) or len(node.args) + len(named) > 3:
        return refuse_call(encoder, node)
    match [*node.args, *(keyword.value for keyword in node.keywords)]:
        case [left, right] | [left, right, ast.Constant(None)] if (
            named == ["base", "exp", "mod"][len(node.args) :][: len(named)]
        ):
            return [encoder.at("BINARY", node), u8(BINARY["Pow"]), left, right]
        case _:
            return call_form(encoder, node, _math.mod_power)


def _nextafter(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    """libm's own, but for many steps."""
    if node.keywords and sys.version_info >= (3, 12):
        return _form("nextafter")(encoder, node)
    return libm("nextafter")(encoder, node)


def _fsum(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    """A state of three doubles goes through the items, see `_math`."""
    if node.keywords or has_stars(node) or len(node.args) != 1:
        return refuse_call(encoder, node)
    turns = turns_of(encoder, node, node.args[0], ["state"])
    state = own_slot(turns, 0)
    added = call_of_form(encoder, node, _math.fsum_next, encoder.local(node, state), turns.item)
    loop = loops_of(encoder, node, turns, [u32(1), *encoder.assignment(node, state, *added)], [])
    begin = encoder.assignment(node, state, *encoder.value(node, (0.0, 0.0, 0.0)))
    end = call_of_form(encoder, node, _math.fsum_end, encoder.local(node, state))
    return block_of(encoder, node, turns, [begin, loop], end)


def _prod(encoder: Encoder, node: ast.Call) -> Sequence[Part]:
    start: Part = joined(encoder.value(node, 1))
    for keyword in node.keywords:
        if keyword.arg != "start" or not is_simple(keyword.value):
            return refuse_call(encoder, node)
        start = Inner(keyword.value, None, 3)
    if has_stars(node) or len(node.args) != 1:
        return refuse_call(encoder, node)
    turns = turns_of(encoder, node, node.args[0], ["product"])
    product = own_slot(turns, 0)
    times: list[Part] = [encoder.at("BINARY", node), u8(BINARY["Mult"])]
    times += [encoder.local(node, product), turns.item]
    loop = loops_of(encoder, node, turns, [u32(1), *encoder.assignment(node, product, *times)], [])
    begin = encoder.assignment(node, product, start)
    return block_of(encoder, node, turns, [begin, loop], [encoder.local(node, product)])
