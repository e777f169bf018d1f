"""math in compiled code: the values of this process's libm, checked before they are trusted."""

import math
import random
import struct

import pyarrow as pa
import pytest

import sabot
from sabot import _core, _encode_calls
from sabot._blob import MATH


def bits(value):
    return None if value is None else struct.pack("<d", value) if value == value else b"nan"


def in_python(name, args):
    try:
        return getattr(math, name)(*args)
    except (ValueError, OverflowError):
        return None


EDGES = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    1e-310,
    1e308,
    -1e308,
    math.inf,
    -math.inf,
    math.nan,
    710.0,
]


@pytest.mark.parametrize("name", [name for name in MATH if hasattr(math, name)])
def test_values_are_those_of_math(name):
    chance = random.Random(name)
    drawn = [chance.choice([1, 10, 1e3, 1e-3]) * chance.uniform(-1, 1) for _ in range(400)]
    count = MATH[name][1]
    pairs = [(x, y) for x in EDGES for y in EDGES] + list(zip(drawn, reversed(drawn)))
    for x, y in pairs:
        given = _core.math_value(name, x, y)
        assert bits(given) == bits(in_python(name, (x, y)[:count])), (x, y)


def test_another_libm_is_not_trusted(monkeypatch):
    real = _core.math_value

    def off(name, a, b):
        value = real(name, a, b)
        return value if value is None or name != "sin" else math.nextafter(value, math.inf)

    monkeypatch.setattr(_core, "math_value", off)
    _encode_calls.is_same_libm.cache_clear()
    try:
        report = sabot.explain(lambda x: math.sin(x) + 1.0, pa.schema([("x", pa.float64())]))
        assert report.mode == "interpreted"
        assert report.reasons[0].message.endswith("math.sin of another libm")
        assert (
            sabot.explain(lambda x: math.cos(x) + 1.0, pa.schema([("x", pa.float64())])).mode
            == "compiled"
        )
    finally:
        _encode_calls.is_same_libm.cache_clear()


def test_names_that_are_not_there():
    with pytest.raises(ValueError, match="no math.hypot"):
        _core.math_value("hypot", 1.0, 2.0)
