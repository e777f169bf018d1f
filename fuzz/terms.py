"""What the fuzzer's grammar is made of: constants, what is known of a variable or an expression, a finished function."""

from __future__ import annotations

from dataclasses import dataclass

INT_LITERALS = [0, 1, 2, 3, 4, 5, 7, 10, 60, 100, 1000]
INT_EDGE_LITERALS = [
    2**31 - 1, 2**31, 2**32, 2**53, 2**53 + 1, 2**53 - 1, 2**62, 2**62 + 1, 2**63 - 1, -(2**63) + 1, -(2**63),
]  # fmt: skip
FLOAT_LITERALS = [0.5, 1.0, 1.5, 2.0, 3.0, 0.1, 10.0, 100.0, 0.25, -1.0, -2.5]
FLOAT_EDGE_LITERALS = [0.0, -0.0, 1e308, 5e-324, 2.0**53, 2.0**62, 2.0**63, 1e16, 1e-300]
INT_DIVISORS = [
    2, 2, 2, 4, 8, 16, 1024, 2**40, 3, 5, 7, 10, 60, 1, -1, -1, -1, -2, -3, -7, -10,
    2**31, 2**53 + 1, 2**62, 2**63 - 1, -(2**63),
]  # fmt: skip
FLOAT_DIVISORS = [2.0, 0.5, 3.0, -1.5, 1e-3, 60.0, 0.1, -0.1, 1e300, float("inf")]
CAPTURED = [
    0,
    1,
    3,
    -2,
    7,
    2**53 + 1,
    2**62,
    True,
    False,
    0.5,
    -0.0,
    1e300,
    2.0**53,
    float("inf"),
    float("nan"),
    -1.5,
]
PARAMETER_NAMES = ["a", "b", "c", "d", "v", "w", "price", "total_", "n0", "x1"]
COMPARISONS = ["<", "<=", ">", ">=", "==", "!="]

TURNS_MAX = 40
WEIGHT_MAX = 12  # factors in one product


def join(*tags: str) -> str:
    return "".join(sorted(set("".join(tags))))


def kind_of(value: object) -> str:
    return {bool: "b", int: "i", float: "f", type(None): "n"}[type(value)]


def literal(value: object) -> str:
    """Text that is an expression with exactly this value, usable as an operand."""
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))},)"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, frozenset):
        return f"frozenset({literal(set(value))})"
    if isinstance(value, set):
        return f"{{{', '.join(map(literal, sorted(value)))}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    if isinstance(value, float):
        if value != value:
            return '(float("nan"))'
        text = repr(value).replace("inf", "1e999")
    else:
        text = repr(value)
    return f"({text})" if text.startswith("-") else text


@dataclass(frozen=True)
class Var:
    tags: str
    dynamic: bool = True
    maybe_unbound: bool = False
    loopy: bool = False
    weight: int = 1


@dataclass(frozen=True)
class Expr:
    text: str
    tags: str
    dynamic: bool = False
    loopy: bool = False
    weight: int = 1


@dataclass
class Function:
    """One function of the grammar. `source` is a module that defines `name`; `result` the letters of what it returns."""

    name: str
    source: str
    params: dict[str, str]
    result: str
    operator: str
    form: str
    lambda_text: str = ""  # form "lambda": the expression alone, for several on one line
    captured_text: str = ""  # form "lambda": the assignments before it
