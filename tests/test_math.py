"""math in compiled code, beyond libm: the forms of sabot._math against CPython's own functions, by themselves and compiled."""

import math
import random
import struct
import sys

import pyarrow as pa
import pytest
from support import TIERS, cell, function_report

import sabot as sb
from sabot import Stream, _encode_math, _math

ODD = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -1.5,
    5e-324,
    -1e-310,
    2.2250738585072014e-308,
    1e308,
    -1.7976931348623157e308,
    math.inf,
    -math.inf,
    math.nan,
    22.0,
    23.0,
    24.0,
    170.0,
    171.5,
    -180.5,
    9e-21,
    2.0**52 + 1,
    -(2.0**51) - 0.5,
]
WHOLE = [0, 1, 2, 3, 5, 20, 21, 33, 34, 66, 67, 70, -1, -4, 2**40, 2**62, -(2**63)]
ROWS = 6000

# What is compiled, with the share of rows that must not leave; 0.0 where most numbers are beyond what is compiled.
CALLS = {
    "math.hypot(x, y)": 0.9,
    "math.hypot(x, y, i)": 0.9,
    "math.hypot(x)": 0.9,
    "math.hypot() + x": 0.9,
    "math.dist((x, y, i), [y, j, x])": 0.9,
    "math.gamma(x)": 0.4,
    "math.lgamma(x)": 0.5,
    "math.comb(i, min(j, 70))": 0.4,
    "math.perm(i, min(j, 70))": 0.3,
    "math.perm(min(i, 70))": 0.3,
    "math.factorial(min(i, 70))": 0.3,
    "math.lcm(i, j, 6)": 0.7,
    "math.lcm(i)": 0.9,
    "math.lcm(i, *(i, 2))": 0.9,
    "math.lcm() + i": 0.9,
    "math.gcd(i, j, 12)": 0.9,
    "pow(i, j, 97)": 0.9,
    "pow(i, -3, 97)": 0.9,
    "pow(i, j, -10)": 0.6,
    "pow(i, abs(j), 1_000_000_007)": 0.9,
    "pow(exp=3, base=i, mod=j)": 0.6,
    "pow(i, abs(j), 2**40)": 0.3,
    "math.fsum((x, y, i, 0.1))": 0.5,
    "math.fsum(x / k for k in range(1, j % 7 + 1))": 0.5,
    "math.prod((x, y, i))": 0.9,
    "math.prod(range(1, j % 9 + 2))": 0.9,
    "math.prod([i % 9, j % 5], start=-0.5)": 0.9,
    "math.isclose(x, y)": 0.9,
    "math.isclose(x, x * 1.0000001, rel_tol=1e-6 * j, abs_tol=0.5)": 0.6,
    "math.modf(x)[0]": 0.9,
    "math.modf(x)[1]": 0.9,
    "math.frexp(x)[0]": 0.9,
    "math.frexp(y)[1]": 0.9,
    "math.ldexp(x, j)": 0.6,
    "math.ulp(x)": 0.9,
    "math.nextafter(x, y)": 0.9,
}
if sys.version_info >= (3, 12):
    CALLS["math.nextafter(x, y, steps=3)"] = 0.7
    CALLS["math.sumprod((x, y, i), (y, 0.5, x))"] = 0.3
    CALLS["math.sumprod((i % 99, j), (j % 7, 3))"] = 0.9
if sys.version_info >= (3, 13):
    CALLS["math.fma(x, y, x)"] = 0.3


def drawn(chance):
    """A number of any size, most of them of the sizes that programs have."""
    kind = chance.random()
    if kind < 0.15:
        return chance.choice(ODD)
    if kind < 0.6:
        return chance.uniform(-100, 100)
    if kind < 0.8:
        return chance.randint(-40, 40) / 4
    if kind < 0.9:
        return chance.lognormvariate(0, 5)
    return struct.unpack("<d", struct.pack("<Q", chance.getrandbits(64)))[0]


def whole(chance):
    kind = chance.random()
    if kind < 0.1:
        return chance.choice(WHOLE)
    return chance.randint(0, 25) if kind < 0.8 else chance.randint(-900, 900)


def bits(value):
    if isinstance(value, tuple):
        return tuple(map(bits, value))
    if isinstance(value, float):
        return "nan" if value != value else struct.pack("<d", value)
    return type(value), value


def outcome(function, *args):
    """The value, or None where there is none."""
    try:
        return function(*args)
    except (ValueError, OverflowError, ZeroDivisionError):
        return None


# --- the forms by themselves


def arguments(letters, chance):
    size = chance.randint(0, 5)
    number = chance.choice([drawn, drawn, lambda chance: chance.randint(-9, 9)])
    kinds = {
        "f": lambda: drawn(chance),
        "i": lambda: whole(chance),
        "t": lambda: tuple(number(chance) for _ in range(size)),
    }
    return tuple(kinds[letter]() for letter in letters)


def fsum(items):
    state = (0.0, 0.0, 0.0)
    for item in items:
        state = _math.fsum_next(state, item)
    return _math.fsum_end(state)


def is_here(name):
    """Whether this Python has the function, and with it what the form is for."""
    return hasattr(math, name) and (name != "nextafter" or sys.version_info >= (3, 12))


@pytest.mark.parametrize("name", [*filter(is_here, [*_encode_math.FORMS, "fsum"])])
def test_a_form_gives_what_the_function_gives(name):
    form = fsum if name == "fsum" else getattr(_math, name)
    chance = random.Random(name)
    given = 0
    for _ in range(20000):
        letters = _encode_math.FORMS.get(name, "t")
        if name in ("hypot", "lcm"):
            letters = letters[0] * chance.randint(0, 5)
        args = arguments(letters, chance)
        if name in ("comb", "perm", "factorial"):
            args = tuple(min(arg, 70) for arg in args)  # what is larger takes CPython hours
        value = outcome(form, *args)
        if value is not None:
            assert bits(value) == bits(outcome(getattr(math, name), *args)), args
            given += 1
    assert given > 4000


@pytest.mark.parametrize("name", [*filter(is_here, ["isclose", "nextafter"])])
def test_keywords_of_forms(name):
    chance = random.Random(name)
    for _ in range(5000):
        x = drawn(chance)
        y = chance.choice([drawn(chance), x * (1 + chance.uniform(-1e-3, 1e-3))])
        given = {"steps": chance.choice([0, 1, 2, 3, 50, 64, 65, True])}
        if name == "isclose":
            tolerances = [0.0, 1e-3, -1, 0.5, math.inf, math.nan]
            given = {
                "rel_tol": chance.choice(tolerances),
                "abs_tol": chance.choice(tolerances),
            }
        value = outcome(lambda: getattr(_math, name)(x, y, **given))  # noqa: B023
        if value is not None:
            assert bits(value) == bits(getattr(math, name)(x, y, **given)), (x, y, given)


def test_another_algorithm_is_not_trusted(monkeypatch):
    right = _math.gamma
    monkeypatch.setattr(_math, "gamma", lambda x: math.nextafter(right(x), 0.0))
    _encode_math.is_trusted.cache_clear()
    try:
        report = sb.explain(lambda x: math.gamma(x) + 1.0, pa.schema([("x", pa.float64())]))
        assert report.mode == "interpreted"
        assert report.reasons[0].message.endswith("math.gamma of another Python")
    finally:
        _encode_math.is_trusted.cache_clear()


# --- compiled


def table():
    chance = random.Random(2)
    names = {"x": drawn, "y": drawn, "i": whole, "j": whole}
    types = {"x": pa.float64(), "y": pa.float64(), "i": pa.int64(), "j": pa.int64()}
    columns = {name: [draw(chance) for _ in range(ROWS)] for name, draw in names.items()}
    return pa.table({name: pa.array(columns[name], types[name]) for name in columns})


ROWS_OF_ALL = table()


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("call", CALLS)
def test_compiled(call, tier):
    fn = cell(f"def fn(x, y, i, j):\n    return {call}\n", math=math)["fn"]
    rows = list(zip(*(column.to_pylist() for column in ROWS_OF_ALL.columns), strict=True))
    values = [outcome(fn, *row) for row in rows]
    fits = [
        value is not None and not (isinstance(value, int) and not -(2**63) <= value < 2**63)
        for value in values
    ]
    wanted = [value for value, fit in zip(values, fits, strict=True) if fit]
    with sb.config(tier=tier):
        stream = Stream.from_table(ROWS_OF_ALL.filter(pa.array(fits))).with_columns(z=fn)
        made = stream.collect()["z"].to_pylist()
    report = function_report(stream)
    assert report["mode"] == "compiled"
    assert list(map(bits, made)) == list(map(bits, wanted))
    left = sum(report["rows_left"].values())
    assert 1 - left / len(wanted) >= CALLS[call]


@pytest.mark.parametrize("tier", TIERS)
def test_tuples_are_unpacked(tier):
    def f(x):
        part, rest = math.modf(x)
        m, e = math.frexp(x)
        return part * 3 + rest + m * e

    values = [x for x in ODD if x - x == 0.0]
    with sb.config(tier=tier):
        stream = Stream.from_table(pa.table({"x": values})).with_columns(z=f)
        made = stream.collect()["z"].to_pylist()
    assert function_report(stream)["mode"] == "compiled"
    assert list(map(bits, made)) == [bits(f(x)) for x in values]


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("call", "bad"),
    [
        ("math.gamma(x)", -1.0),
        ("math.gamma(x)", 200.0),
        ("math.lgamma(x)", 0.0),
        ("math.factorial(int(x))", -1.0),
        ("math.comb(int(x), 2)", -1.0),
        ("math.perm(3, int(x))", -1.0),
        ("math.isclose(x, 1.0, rel_tol=x)", -1.0),
        ("math.ldexp(x, 4000)", 1.0),
        ("math.fsum((x, x, x))", 1.7976931348623157e308),
        ("math.fsum((x, -x))", math.inf),
    ],
)
def test_errors(call, bad, tier):
    fn = cell(f"def fn(x):\n    return {call}\n", math=math)["fn"]
    with pytest.raises((ValueError, OverflowError)) as wanted:
        fn(bad)
    good = 0.0 if call == "math.ldexp(x, 4000)" else 2.0
    with sb.config(tier=tier), pytest.raises(wanted.type) as raised:
        Stream.from_table(pa.table({"x": [good, good, bad, good]})).with_columns(z=fn).collect()
    assert raised.value.args == wanted.value.args
    assert f"row 2: x={bad}" in raised.value.__notes__[0]


@pytest.mark.parametrize(
    "call",
    [
        "math.comb(n=5, k=i)",
        "math.factorial(n=i)",
        "math.hypot(x=x)",
        "math.dist(*zip((x,), (x,)))",
        "math.prod(values=(x, x))",
        "math.lcm(i, *range(3))",
    ],
)
def test_what_is_not_compiled_says_so(call):
    fn = cell(f"def fn(x, i):\n    return {call}\n", math=math)["fn"]
    report = sb.explain(fn, pa.schema([("x", pa.float64()), ("i", pa.int64())]))
    assert report.mode == "interpreted"
    assert report.reasons
