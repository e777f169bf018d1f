"""The forms of pyarrow.compute's functions as the Python that they are: where they give a value it is Arrow's."""

import itertools
import math
import struct

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sabot import _compute
from sabot._form_compute import FORMS

INTS = [0, 1, -1, 2, -7, 10, 63, 2**31, 2**62, -(2**63), 2**63 - 1]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.75, 1e300, -1e-310, math.inf, -math.inf, math.nan]
BOOLS = [True, False]
GIVEN = {
    "bool": [(BOOLS, pa.bool_())],
    "int": [(INTS, pa.int64())],
    "float": [(FLOATS, pa.float64())],
    "number": [(INTS, pa.int64()), (FLOATS, pa.float64())],
    "any": [(INTS, pa.int64()), (FLOATS, pa.float64()), (BOOLS, pa.bool_())],
}
OTHERS = {  # what of int64 is another function
    "is_finite": _compute.true_unless_null,
}


def bits(value):
    if isinstance(value, float):
        return "nan" if value != value else struct.pack("d", value)
    return type(value), value


@pytest.mark.parametrize("name", sorted(FORMS))
def test_a_form_gives_what_arrow_gives(name):
    form, real, compared = FORMS[name], getattr(pc, name), 0
    for values, type_ in GIVEN.get(form.kinds, GIVEN["any"]):
        floats = type_ == pa.float64()
        function = form.floats if floats and form.floats is not None else form.form
        if not floats:
            function = OTHERS.get(name, function)
        if function is _compute.power and not floats:
            continue
        count = function.__code__.co_argcount
        for args in itertools.product([*values, None], repeat=count):
            given = [pa.scalar(one, type_) for one in args]
            if form.kinds == "condition":
                first = None if args[0] is None else bool(args[0] == args[0] and args[0] != 0)
                args, given[0] = (first, *args[1:]), pa.scalar(first, pa.bool_())
            try:
                made = function(*args)
            except (ArithmeticError, ValueError):
                continue  # the batch is Arrow's
            if isinstance(made, int) and not -(2**63) <= made < 2**63:
                continue  # so is one that 64 bits do not hold
            try:
                wanted = real(*given).as_py()
            except (pa.ArrowNotImplementedError, TypeError):
                continue  # it is not compiled for these
            assert bits(made) == bits(wanted), (args, function.__name__)
            compared += 1
    assert compared > 2
