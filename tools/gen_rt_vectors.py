"""Writes src/rt/rt_vectors.inc: what CPython answers for every exact primitive on a grid of edge values.

    python tools/gen_rt_vectors.py > src/rt/rt_vectors.inc

The answers come from the interpreter that runs this; the text is the same on every supported version. Results are bit
patterns, row by row (first operand) and column by column (second one); reasons are one digit each, as in rt/reason.h.
"""

import math
import operator
import struct
import sys
from collections.abc import Callable

INTS = [
    0, 1, -1, 2, 7, -7, 2**31, 2**53 + 1, -(2**53), 2**62, 10**18 + 3, -3037000500, 2**63 - 1, -(2**63),
]  # fmt: skip
DOUBLES = [
    0.0, -0.0, 1.0, -3.0, 0.1, 7.5, 5e-324, 1.7976931348623157e308, -1e-310, 2.0**53, 2.0**53 + 2,
    -(2.0**63), float("inf"), float("-inf"), float("nan"),
]  # fmt: skip

# Counts of shifts, exponents, digits; doubles to round; bases and exponents whose powers every libm has exactly.
COUNTS = [0, 1, 2, 3, 5, 31, 62, 63, 64, 65, -1, -2, -3, -18, -19, -20, 2**40]
ROUNDED = [
    2.675, 1.005, 0.5, 1.5, 2.5, -0.5, -2.5, 25.0, 35.0, -150.0, 12345.678, 1e16, 1e22, 1e300, -1.7e308, 4503599627370495.5,
    5e-324, 0.0, -0.0, float("inf"), float("nan"),
]  # fmt: skip
SCALES = [0, 1, -1, 52, -52, 1023, 1024, -1022, -1074, 2098, -2098, 2**40, -(2**62)]
DIGITS = [0, 1, 2, 3, 5, 15, 22, 23, 100, 308, 323, 324, -1, -2, -3, -22, -23, -308, -309]
BASES = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 4.0, float("inf"), float("-inf"), float("nan")]
EXPONENTS = [
    0.0, -0.0, 1.0, -1.0, 2.0, 3.0, -3.0, 2000.0, 2001.0, -2001.0, 1e308, float("inf"), float("-inf"), float("nan"),
]  # fmt: skip

NONE, OVERFLOW, BIGINT, DIV_ZERO, RAISE = 0, 1, 2, 3, 6
EXACT = 2**53
Answer = tuple[int, int]  # bits, reason


def double_bits(x: float) -> int:
    if x != x:
        return 0x7FF8 << 48
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def int_answer(x: int) -> Answer:
    return (x % 2**64, NONE) if -(2**63) <= x < 2**63 else (0, OVERFLOW)


def answer(function: Callable[[], int | float]) -> Answer:
    try:
        x = function()
    except ZeroDivisionError:
        return (0, DIV_ZERO)
    return (double_bits(x), NONE) if isinstance(x, float) else int_answer(x)


def int_truediv(a: int, b: int) -> Answer:
    if b != 0 and max(abs(a), abs(b)) > EXACT:
        return (0, BIGINT)
    return answer(lambda: a / b)


def wrapped(x: int) -> Answer:
    return (x % 2**64, NONE)


def unsigned_div(a: int, b: int) -> Answer:
    return (0, NONE) if b == 0 else wrapped((a % 2**64) // (b % 2**64))


def exact_float(a: int) -> Answer:
    return (0, BIGINT) if abs(a) > EXACT else (double_bits(float(a)), NONE)


def left_shift(a: int, b: int) -> Answer:
    if b < 0:
        return (0, RAISE)
    return (0, OVERFLOW) if a != 0 and b > 63 else int_answer(a << min(b, 64))


def right_shift(a: int, b: int) -> Answer:
    return (0, RAISE) if b < 0 else int_answer(a >> b)


def int_power(a: int, b: int) -> Answer:
    if b < 0 or (abs(a) > 1 and b > 64):
        return (0, OVERFLOW)
    return int_answer(a**b)


def raising(function: Callable[..., int | float | complex]) -> Callable[..., Answer]:
    """What raises, or gives a complex number, leaves with RAISE."""

    def one(*operands: int | float) -> Answer:
        try:
            x = function(*operands)
        except (ArithmeticError, ValueError):
            return (0, RAISE)
        return (0, RAISE) if isinstance(x, complex) else answer(lambda: x)

    return one


def plain(function: Callable[..., int | float]) -> Callable[..., Answer]:
    return lambda *operands: answer(lambda: function(*operands))


ARITHMETIC: list[tuple[str, str, Callable[..., Answer]]] = [
    ("py_add_i64", "ii", plain(operator.add)),
    ("py_sub_i64", "ii", plain(operator.sub)),
    ("py_mul_i64", "ii", plain(operator.mul)),
    ("py_floordiv_i64", "ii", plain(operator.floordiv)),
    ("py_mod_i64", "ii", plain(operator.mod)),
    ("py_truediv_i64", "ii", int_truediv),
    ("ix_add", "ii", lambda a, b: wrapped(a + b)),
    ("ix_sub", "ii", lambda a, b: wrapped(a - b)),
    ("ix_udiv", "ii", unsigned_div),
    ("py_add_f64", "ff", plain(operator.add)),
    ("py_sub_f64", "ff", plain(operator.sub)),
    ("py_mul_f64", "ff", plain(operator.mul)),
    ("py_truediv_f64", "ff", plain(operator.truediv)),
    ("py_floordiv_f64", "ff", plain(operator.floordiv)),
    ("py_mod_f64", "ff", plain(operator.mod)),
    ("py_neg_i64", "i", plain(operator.neg)),
    ("py_neg_f64", "f", plain(operator.neg)),
    ("py_float_i64", "i", plain(float)),
    ("py_exact_float_i64", "i", exact_float),
    ("py_and_i64", "ii", plain(operator.and_)),
    ("py_or_i64", "ii", plain(operator.or_)),
    ("py_xor_i64", "ii", plain(operator.xor)),
    ("py_lshift_i64", "ic", left_shift),
    ("py_rshift_i64", "ic", right_shift),
    ("py_pow_i64", "ic", int_power),
    ("py_round_n_i64", "ic", lambda a, b: int_answer(round(a, b))),
    ("math_gcd_i64", "ii", plain(math.gcd)),
    ("math_isqrt_i64", "i", raising(math.isqrt)),
    ("py_invert_i64", "i", plain(operator.invert)),
    ("py_bit_count_i64", "i", plain(int.bit_count)),
    ("py_bit_length_i64", "i", plain(int.bit_length)),
    ("py_abs_i64", "i", plain(abs)),
    ("py_abs_f64", "f", plain(abs)),
    ("py_int_f64", "f", raising(int)),
    ("math_sqrt", "f", raising(math.sqrt)),
    ("math_ldexp", "fs", raising(math.ldexp)),
    ("math_exponent", "f", lambda a: int_answer(math.frexp(a)[1])),
    ("py_round_n_f64", "rd", raising(round)),
    ("py_pow_f64", "pe", raising(operator.pow)),
]
COMPARISONS: list[tuple[str, str, Callable[..., bool]]] = [
    ("py_eq_i64", "ii", operator.eq),
    ("py_lt_i64", "ii", operator.lt),
    ("py_le_i64", "ii", operator.le),
    ("py_eq_f64", "ff", operator.eq),
    ("py_lt_f64", "ff", operator.lt),
    ("py_le_f64", "ff", operator.le),
    ("py_eq_i64_f64", "if", operator.eq),
    ("py_lt_i64_f64", "if", operator.lt),
    ("py_le_i64_f64", "if", operator.le),
    ("py_gt_i64_f64", "if", operator.gt),
    ("py_ge_i64_f64", "if", operator.ge),
]


def grid(letters: str) -> list[tuple[int | float, ...]]:
    values: dict[str, list[int] | list[float]] = {
        "i": INTS, "f": DOUBLES, "c": COUNTS, "r": ROUNDED, "d": DIGITS, "s": SCALES, "p": BASES, "e": EXPONENTS,
    }  # fmt: skip
    first = values[letters[0]]
    if len(letters) == 1:
        return [(a,) for a in first]
    return [(a, b) for a in first for b in values[letters[1]]]


def lines_of(items: list[str], start: str = "    ") -> list[str]:
    lines: list[str] = []
    line = start
    for item in items:
        piece = item + ", "
        if len(line) + len(piece) > 100:
            lines.append(line.rstrip())
            line = start
        line += piece
    return [*lines, line.rstrip()]


def main() -> None:
    out = [
        "/* What CPython answers for every primitive of rt.h on a grid of edge values. Generated by",
        " * tools/gen_rt_vectors.py; the layout is described there. Included by rt_test.c only. */",
        "#ifndef SB_RT_RT_VECTORS_H",
        "#define SB_RT_RT_VECTORS_H",
        "",
        "#include <stdint.h>",
        "",
        "/* clang-format off */",
        "static const uint64_t vector_ints[] = {",
        *lines_of([hex(a % 2**64) for a in INTS]),
        "};",
        "static const uint64_t vector_doubles[] = {",
        *lines_of([hex(double_bits(a)) for a in DOUBLES]),
        "};",
    ]
    for name, ints in (("counts", COUNTS), ("digits", DIGITS), ("scales", SCALES)):
        out += [f"static const uint64_t vector_{name}[] = {{"]
        out += [*lines_of([hex(a % 2**64) for a in ints]), "};"]
    for name, doubles in (("rounded", ROUNDED), ("bases", BASES), ("exponents", EXPONENTS)):
        out += [f"static const uint64_t vector_{name}[] = {{"]
        out += [*lines_of([hex(double_bits(a)) for a in doubles]), "};"]
    for name, letters, function in ARITHMETIC:
        answers = [function(*operands) for operands in grid(letters)]
        digits = "".join(str(reason) for _, reason in answers)
        out += [f"static const uint64_t {name}_results[] = {{"]
        out += lines_of([hex(bits) for bits, _ in answers])
        out += ["};", f"static const char {name}_reasons[] ="]
        out += [f'    "{digits[k : k + 90]}"' for k in range(0, len(digits), 90)]
        out[-1] += ";"
    for name, letters, compare in COMPARISONS:
        digits = "".join(str(int(compare(*operands))) for operands in grid(letters))
        out += [f"static const char {name}_results[] ="]
        out += [f'    "{digits[k : k + 90]}"' for k in range(0, len(digits), 90)]
        out[-1] += ";"
    out += ["/* clang-format on */", "", "#endif"]
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
