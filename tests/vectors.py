"""Numbers to call functions with: those of CPython's own tests, read from the installed ones, and grids of limits.

CPython's tests are read, not run: calls and operators of constants in their text, and the cases of their tables. Where a Python
comes without them, what is written here stays.
"""

from __future__ import annotations

import ast
import itertools
import math
import operator
import sys
import sysconfig
from collections import defaultdict
from functools import cache
from pathlib import Path

FOLDER = Path(sysconfig.get_paths()["stdlib"]) / "test"
TABLES = ("math_testcases.txt", "cmath_testcases.txt")
TEXTS = (
    "test_bool.py test_builtin.py test_complex.py test_float.py test_int.py test_long.py test_math.py test_numeric_tower.py "
    "test_operator.py test_pow.py"
).split()

INTS = sorted(
    {
        sign * 2**bits + off
        for bits in (0, 1, 5, 31, 52, 53, 62)
        for off in (-1, 0, 1)
        for sign in (1, -1)
    }
    | {-(2**63), 1 - 2**63, 2**63 - 2, 2**63 - 1, 3037000499, -3037000500, 10**18, -(10**15)}
    | {5, 7, 10, 15, 25, 35, 63, 64, 65, 99, 100, -7, -10, -15, -25, -99}
)
FLOATS = [
    *(0.0, -0.0, 5e-324, -5e-324, 1e-310, sys.float_info.min, -sys.float_info.min, 1e-300, 1e-16),
    *(0.1, 1 / 3, 0.5, -0.5, math.nextafter(0.5, 0), math.nextafter(0.5, 1), 2 / 3, 0.7, 0.9),
    *(math.nextafter(1, 0), 1.0, -1.0, math.nextafter(1, 2), 1.1, 1.5, -1.5, 2.0, -2.0, 2.5, -2.5),
    *(2.675, 3.0, 3.5, -3.5, math.pi, -math.pi, math.e, 4.35, 8.0, -8.0, 9.999999999999998, 10.0),
    *(100.0, 0.125, 1234.5, -1234.5, 25.5, 709.0, 710.0, -745.0, -746.0, 1023.0, 1024.0, -1074.0),
    *(2.0**31, -(2.0**31), 2.0**52 - 0.5, 2.0**52 + 1, 2.0**53 - 1, 2.0**53, 2.0**53 + 2, 5e15 + 1),
    *(math.nextafter(2.0**63, 0), 2.0**63, -(2.0**63), math.nextafter(-(2.0**63), -math.inf)),
    *(1e16, 1e22, 1e23, 1e100, 1e154, 1.34e154, 1e200, 1e300, 1e308, -1e308, sys.float_info.max),
    *(-sys.float_info.max, math.inf, -math.inf, math.nan),
]
BOOLS = [False, True]
FEW = {
    "i": [-(2**63), -7, -1, 0, 1, 2, 3, 63, 2**53 + 1],
    "f": [-0.0, -1.5, 0.5, 2.0, 3.0, 1e300, math.inf],
    "b": BOOLS,
}

OPERATORS = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
    ast.Pow: ("**", operator.pow),
    ast.LShift: ("<<", operator.lshift),
    ast.RShift: (">>", operator.rshift),
    ast.BitAnd: ("&", operator.and_),
    ast.BitOr: ("|", operator.or_),
    ast.BitXor: ("^", operator.xor),
}
NAMES = {"INF": math.inf, "NINF": -math.inf, "NAN": math.nan, "nan": math.nan, "inf": math.inf}
NAMES |= {"True": True, "False": False, "pi": math.pi, "sys.maxsize": sys.maxsize}
NAMES |= {f"math.{name}": getattr(math, name) for name in ("pi", "e", "tau", "inf", "nan")}
ALIASES = {"pow_op": "**", "mod": "%"}  # what CPython's tests call them
BITS_MAX = 4096


class NotConstantError(Exception):
    """A part of a test's text that is no number."""


def kind(value: object) -> str:
    """The column that holds a value: "i", "f" or "b"; "" where none does."""
    if type(value) is int:
        return "i" if -(2**63) <= value < 2**63 else ""
    return {float: "f", bool: "b"}.get(type(value), "")


@cache
def rows(name: str, kinds: str) -> list[tuple]:
    """Arguments for a function or operator: those of CPython's tests, all pairs of limits, and each number with a few others."""
    given = {"i": INTS, "f": FLOATS, "b": BOOLS}
    found = [*calls().get((name, kinds), ()), *itertools.product(*(given[one] for one in kinds))]
    for number in numbers():
        one = kind(number)
        if kinds == one:
            found.append((number,))
        if len(kinds) == 2 and kinds[0] == one:
            found += [(number, other) for other in FEW[kinds[1]]]
        if len(kinds) == 2 and kinds[1] == one:
            found += [(other, number) for other in FEW[kinds[0]]]
    return [args for args in found if _is_small(name, *args)]


def _is_small(name: str, *args: int | float | bool) -> bool:
    """Whether CPython can hold the result: 2 ** 2**62 has no place anywhere."""
    if all(type(arg) is not float for arg in args):
        if name in ("**", "pow", "<<"):
            return abs(args[0]) < 2 - (name == "<<") or args[1] <= 700
        if name == "round" and len(args) == 2:
            return args[1] > -700  # CPython makes that power of ten
    return True


@cache
def calls() -> dict[tuple[str, str], list[tuple]]:
    """By the name of a function or operator and the kinds of its arguments, the arguments of CPython's tests."""
    found: dict[tuple[str, str], dict[tuple, tuple]] = defaultdict(dict)

    for name, args in itertools.chain(_of_tables(), _of_texts()):
        kinds = [kind(arg) for arg in args]
        name = ALIASES.get(name, f"math.{name}" if hasattr(math, name) and name != "pow" else name)
        if all(kinds):
            found[name, "".join(kinds)][tuple(map(repr, args))] = args
    return {key: list(values.values()) for key, values in found.items()}


@cache
def numbers() -> list[int | float | bool]:
    """Every number that stands in CPython's tests and fits a column."""
    found: dict[str, int | float | bool] = {}
    for tree in _trees():
        for node in ast.walk(tree):
            try:
                value = _value(node)
            except NotConstantError:
                continue
            if kind(value):
                found[repr(value)] = value
    return list(found.values())


def _of_tables():
    for name in TABLES:
        for path in FOLDER.rglob(name):
            for line in path.read_text().splitlines():
                given, arrow, _ = line.partition("->")
                if not arrow or line.startswith("--"):
                    continue
                _, function, *args = given.split()
                if len(args) == 1 or float(args[1]) == 0.0:  # a complex number on the real axis
                    yield f"math.{function}", (float(args[0]),)


def _trees() -> list[ast.Module]:
    return [ast.parse((FOLDER / name).read_text()) for name in TEXTS if (FOLDER / name).exists()]


def _of_texts():
    for tree in _trees():
        for node in ast.walk(tree):
            try:
                match node:
                    case ast.BinOp(left, op, right) if type(op) in OPERATORS:
                        yield OPERATORS[type(op)][0], (_value(left), _value(right))
                    case ast.Call(ast.Attribute(_, "assertRaises"), [_, called, *args], []):
                        yield ast.unparse(called), tuple(map(_value, args))
                    case ast.Call(called, args, []):
                        yield ast.unparse(called), tuple(map(_value, args))
                    case _:
                        pass
            except NotConstantError:
                pass


def _value(node: ast.AST) -> int | float | bool:
    match node:
        case ast.Constant(bool() | int() | float() as number):
            return number
        case ast.UnaryOp(ast.USub(), operand):
            return -_value(operand)
        case ast.Name() | ast.Attribute() if ast.unparse(node) in NAMES:
            return NAMES[ast.unparse(node)]
        case ast.Call(ast.Name("float"), [ast.Constant(str(text))], []):
            return _tried(float, text)
        case ast.Call(ast.Attribute(ast.Name("float"), "fromhex"), [ast.Constant(str(text))], []):
            return _tried(float.fromhex, text)
        case ast.BinOp(left, op, right) if type(op) in OPERATORS:
            a, b = _value(left), _value(right)
            if isinstance(op, (ast.Pow, ast.LShift)) and abs(b) > BITS_MAX:
                raise NotConstantError
            return _tried(OPERATORS[type(op)][1], a, b)
        case _:
            raise NotConstantError


def _tried(function, *args):
    try:
        return function(*args)
    except (ArithmeticError, ValueError, TypeError) as error:
        raise NotConstantError from error
