"""Batch functions that go through columns, make them of schemas, or ask for types: read turn by turn, they give what CPython gives."""

import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import cell, function_report
from test_batch_numpy import as_batch, same

import sabot as sb
from sabot import Stream

SCHEMA = pa.schema({"x": pa.float64(), "k": pa.int64()})
NAMES = ["x", "k"]
FORMS = {
    "names_of_the_schema": """
        def f(batch):
            made = []
            for name in batch.schema.names:
                made.append(pc.add(batch[name], 1))
            return pa.RecordBatch.from_arrays(made, names=batch.schema.names)
    """,
    "comprehensions": """
        def f(batch):
            arrays = [pc.multiply(batch.column(name), 2) for name in batch.column_names]
            columns = {name: pc.negate(batch[name]) for name in batch.schema.names if name != "s"}
            columns["two"] = arrays[0]
            return pa.record_batch(columns)
    """,
    "captured_names": """
        def f(batch):
            out = {}
            for place, name in enumerate(NAMES):
                out[name] = batch[name].to_numpy() * (place + 1)
            return out
    """,
    "zip_of_names_and_columns": """
        def f(batch: pa.RecordBatch):
            out = {}
            for name, column in zip(batch.schema.names, batch.columns):
                if pa.types.is_floating(column.type):
                    out[name] = pc.multiply(column, 0.5)
                elif name in ("k", "s"):
                    out[f"{name}_{1}" if name == "k" else "of_" + name] = pc.add(column, batch.num_columns)
            return pa.table(out)
    """,
    "columns_added_in_turn": """
        def f(batch):
            result = batch
            for name, by in (("x", 2), ("k", 3)):
                result = result.set_column(result.schema.get_field_index(name), name, pc.multiply(result[name], by))
            return result
    """,
    "rows_inside": """
        def f(batch: pa.RecordBatch):
            out = {}
            for name in ("x", "k"):
                values = batch.column(name).to_pylist()
                made = []
                for v in values:
                    if v > 3:
                        made.append(v * 2)
                        continue
                    made.append(v)
                out[name] = pa.array(made)
            return out
    """,
    "fields": """
        def f(batch):
            made = batch.append_column(pa.field("y", pa.float64()), pc.divide(batch["x"], 2.0))
            made = made.append_column(pa.field("z", pa.int64()), pa.array([v + 1 for v in batch["k"].to_pylist()]))
            return made.drop_columns(["s"])
    """,
    "a_captured_schema": """
        def f(batch):
            x = pc.add(batch["x"], 1.5)
            return pa.RecordBatch.from_arrays([x, batch["k"]], schema=SCHEMA)
    """,
    "the_own_schema": """
        def f(batch: pa.RecordBatch):
            return pa.RecordBatch.from_arrays([pc.negate(c) for c in batch.columns], schema=batch.schema)
    """,
    "a_table_of_the_batch": """
        def f(batch):
            return pa.Table.from_batches([batch.append_column("y", pc.add(batch["k"], 1))])
    """,
    "lists_of_a_dict": """
        def f(batch: pa.RecordBatch):
            rows = batch.to_pydict()
            return {"r": [a * b for a, b in zip(rows["x"], rows["k"])]}
    """,
    "imports_inside": """
        def f(batch):
            import pyarrow.compute as compute
            from pyarrow.compute import add
            return {"r": compute.multiply(add(batch["x"], 1), compute.sqrt(batch["s"]))}
    """,
    "a_condition_on_a_constant": """
        def f(batch: pa.RecordBatch):
            x = batch["x"].to_numpy()
            k = 2
            if k > 2.5:
                x = x * 3
            if "s" in batch.schema.names and 1 < 2:
                x = x + 1
            else:
                x = nothing
            if not 1 == 1.0:
                x = nothing
            return {"r": x * k}
    """,
    "constants": """
        def f(batch):
            low, scale = 2, 3 * 0.5
            one = pa.scalar(1, pa.int16())
            return {"r": pc.multiply(pc.add(batch["x"], low), scale), "s": pc.add(batch["s"], one), "t": batch["k"].to_numpy() * scale}
    """,
}


def table(rows=120):
    return pa.table(
        {
            "x": pa.array([(k * 53 % 97 - 40) / 8 for k in range(rows)]),
            "k": pa.array([k * 37 % 101 - 50 for k in range(rows)], pa.int64()),
            "s": pa.array([k * 31 % 2001 for k in range(rows)], pa.int16()),
        }
    )


def defined(text):
    return cell(textwrap.dedent(text).strip("\n"), pa=pa, pc=pc, np=np, SCHEMA=SCHEMA, NAMES=NAMES)[
        "f"
    ]


@pytest.mark.parametrize("name", FORMS)
def test_columns_give_what_cpython_gives(name):
    fn, given = defined(FORMS[name]), table()
    report = sb.explain(fn, given.schema)
    assert (report.mode, report.kind) == ("compiled", "batch"), str(report)
    batch = given.to_batches()[0]
    wanted = pa.Table.from_batches([as_batch(fn(batch))])
    stream = Stream.from_table(given, batch_size=50).map(fn)
    got = stream.collect()
    assert got.schema.equals(wanted.schema), (got.schema, wanted.schema)
    for column in wanted.schema.names:
        assert same(got[column], wanted[column]), column
    assert function_report(stream)["rows_cpython"] == 0
    fast = sb.auto_compile(fn)
    again, plain = fast(batch), fn(batch)
    assert type(again) is type(plain)
    assert as_batch(again).equals(as_batch(plain))


def test_captured_names_are_watched():
    fn = defined(FORMS["captured_names"])
    given = table(5)
    stream = Stream.from_table(given).map(fn)
    assert stream.collect().schema.names == ["x", "k"]
    NAMES.append("s")
    try:
        assert Stream.from_table(given).map(fn).collect().schema.names == ["x", "k", "s"]
    finally:
        NAMES.pop()


REFUSED = {
    "number_of_rows": ("{'r': pc.add(batch['x'], batch.num_rows)}", "an argument that is no array of the batch and no number"),
    "left": ("[n for n in batch.schema.names]", "a result that is no"),
    "other_type": ("batch.append_column(pa.field('y', pa.int32()), batch['k'])", "a column of int32 from an array of int64"),
    "schema": ("pa.RecordBatch.from_arrays([batch['k'], batch['x']], schema=SCHEMA)", "a column of double from an array of int64"),
    "batches": ("pa.Table.from_batches([batch, batch])", "a table of other batches than one"),
    "rows": ("pa.record_batch({n: batch[n].sum() for n in batch.schema.names})", "the method sum"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_told_says_why(name):
    text, wanted = REFUSED[name]
    report = sb.explain(
        defined(f"def f(batch: pa.RecordBatch):\n    return {text}"), table(1).schema
    )
    assert report.mode == "interpreted"
    assert wanted in report.reasons[0].message
    assert report.reasons[0].line == 2
