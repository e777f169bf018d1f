"""Functions of pyarrow.compute in batch functions: compiled, they give what pyarrow gives, on values at the borders of every type."""

import itertools
import math

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import bits, cell

import sabot as sb
from sabot import Stream
from sabot._form_compute import FORMS

INTS = [None, 0, 1, -1, 2, 7, -7, 63, 64, 2**53, -(2**53) + 1, 2**63 - 1, -(2**63)]
SMALL = [None, 0, 1, -1, 5, -7, 127, -128, 100, 3, 2, -2, 64]
FLOATS = [
    None,
    0.0,
    -0.0,
    1.0,
    -1.5,
    0.5,
    math.nan,
    math.inf,
    -math.inf,
    1e308,
    5e-324,
    2.0**53,
    709.5,
]
BOOLS = [None, True, False]
COLUMNS = {
    "i": (pa.int64(), INTS),
    "s": (pa.int8(), SMALL),
    "f": (pa.float64(), FLOATS),
    "h": (pa.float32(), [x if x is None or abs(x) < 1e38 or x != x else 1e38 for x in FLOATS]),
    "b": (pa.bool_(), BOOLS),
}
ARITY = {"if_else": 3}
CONSTANTS = {"i": "2", "f": "0.5", "b": "True", "s": "3", "h": "1.5"}


def pairs(letters):
    """Every combination of the values of some columns, as a batch with the columns x, y, z."""
    rows = [*itertools.product(*(COLUMNS[letter][1] for letter in letters))]
    arrays = [
        pa.array([row[k] for row in rows], COLUMNS[letter][0]) for k, letter in enumerate(letters)
    ]
    return pa.record_batch(arrays, names=["x", "y", "z"][: len(letters)])


def arity(name):
    if name in ARITY:
        return ARITY[name]
    return FORMS[name].form.__code__.co_argcount


def cases(name):
    """The combinations of column types that pyarrow takes, with the text of the call."""
    wanted = ["b" + two for two in ("ii", "ff", "fi", "bb")] if name == "if_else" else None
    for letters in wanted or map("".join, itertools.product(COLUMNS, repeat=arity(name))):
        given = [f'b["{n}"]' for n in ("x", "y", "z")[: len(letters)]]
        yield letters, ", ".join(given)
        if len(letters) == 2 and letters[0] == letters[1]:
            yield letters, f"{given[0]}, {CONSTANTS[letters[1]]}"


def by_rows(fn, batch):
    """What a batch function gives for each row alone, or "raises"."""
    given = []
    for k in range(batch.num_rows):
        try:
            given.append(bits(fn(batch.slice(k, 1))["r"].to_pylist())[0])
        except pa.ArrowInvalid:
            given.append("raises")
    return given


@pytest.mark.parametrize("name", sorted(FORMS))
def test_compute_gives_what_pyarrow_gives(name):
    compiled = 0
    for letters, arguments in cases(name):
        batch = pairs(letters)
        text = f'def f(b):\n    return pa.record_batch({{"r": pc.{name}({arguments})}})\n'
        fn = cell(text, pa=pa, pc=pc)["f"]
        try:
            fn(batch.slice(0, 0))
        except (pa.ArrowInvalid, NotImplementedError, AttributeError):
            continue
        report = sb.explain(fn, batch.schema)
        if report.mode != "compiled":
            continue
        compiled += 1
        # One batch for each row, so that a row that leaves or fails is alone with that.
        wanted = by_rows(fn, batch)
        good = [k for k, value in enumerate(wanted) if value != "raises"]
        table = pa.Table.from_batches([batch]).take(good)
        got = Stream.from_table(table, batch_size=1).map(fn).collect()
        assert got.schema.field("r").type == fn(batch.slice(0, 1))["r"].type, letters
        assert bits(got["r"].to_pylist()) == [wanted[k] for k in good], (letters, arguments)
        for k in range(batch.num_rows):
            if wanted[k] == "raises":
                with pytest.raises(pa.ArrowInvalid):
                    Stream.from_batches([batch.slice(k, 1)]).map(fn).collect()
                break
    assert compiled > 0


def test_the_table_has_the_names_of_pyarrow():
    assert all(hasattr(pc, name) for name in FORMS)
