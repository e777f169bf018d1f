"""`col(name)` as a plain reference, and names given anew: select, drop, rename, with_columns, filter."""

import pyarrow as pa
import pytest

import sabot
from sabot import PlanError, Stream, TypeMismatchError, UnknownColumnError, col

TABLE = pa.table(
    {
        "a": [1, 2, None, 4],
        "b": ["x", None, "y", "z"],
        "my flag": [True, None, False, True],
    }
)


def stream(batch_size=None):
    return Stream.from_table(TABLE, batch_size)


def test_select_and_drop_take_references():
    assert stream().select("b", col("a")).schema.names == ["b", "a"]
    assert stream().drop(col("b"), "a").schema.names == ["my flag"]


@pytest.mark.parametrize("size", [None, 1, 3])
@pytest.mark.parametrize("compile", ["auto", "off"])
@pytest.mark.parametrize("tier", ["interpreter", "native"])
def test_filter_by_a_column(size, compile, tier):
    with sabot.config(compile=compile, tier=tier):
        kept = stream(size).filter(col("my flag")).collect()
    assert kept.to_pylist() == [TABLE.to_pylist()[0], TABLE.to_pylist()[3]]


def test_filter_by_a_column_is_compiled():
    text = stream().filter(col("my flag")).explain()
    assert text.splitlines()[0].startswith("FILTER col(my flag)")
    assert "compiled" in text


def test_filter_takes_only_boolean_columns():
    with pytest.raises(TypeMismatchError, match="'a'.*int64.*Boolean"):
        stream().filter(col("a"))
    with pytest.raises(UnknownColumnError, match="did you mean 'my flag'"):
        stream().filter(col("my flags"))


def test_with_columns_copies_a_column():
    made = stream().with_columns(c=col("a"), b=col("a")).collect()
    assert made.schema.names == ["a", "b", "my flag", "c"]
    assert made["b"].to_pylist() == made["c"].to_pylist() == made["a"].to_pylist()
    assert made["b"].type == pa.int64()


def test_references_and_functions_see_the_input():
    made = stream().with_columns(
        a=lambda a: -1 if a is None else a * 10,
        first=col("a"),
        b=lambda a: a is None,
        text=col("b"),
        second=col("a"),
    )
    table = made.collect()
    assert table.schema.names == ["a", "b", "my flag", "first", "text", "second"]
    assert table["a"].to_pylist() == [10, 20, -1, 40]
    assert table["first"].to_pylist() == table["second"].to_pylist() == [1, 2, None, 4]
    assert table["b"].to_pylist() == [False, False, True, False]
    assert table["text"].to_pylist() == ["x", None, "y", "z"]


def test_two_columns_change_places():
    made = stream().with_columns(a=col("b"), b=col("a")).collect()
    assert made["a"].to_pylist() == TABLE["b"].to_pylist()
    assert made["b"].to_pylist() == TABLE["a"].to_pylist()


def test_a_name_that_is_kept_aside_is_not_one_of_the_columns():
    table = pa.table({"a": [1], "a before": [2], "a before'": [3]})
    made = Stream.from_table(table).with_columns(a=lambda a: a + 10, old=col("a")).collect()
    assert made.to_pylist() == [{"a": 11, "a before": 2, "a before'": 3, "old": 1}]


def test_references_wait_for_the_schema():
    source = Stream.from_batches(lambda: iter(TABLE.to_batches()))
    made = source.filter(col("my flag")).with_columns(c=col("a")).select(col("c"))
    assert made.schema is None
    assert made.collect()["c"].to_pylist() == [1, 4]
    with pytest.raises(UnknownColumnError, match="'nope'"):
        source.with_columns(c=col("nope")).collect()


def test_col_takes_a_name():
    with pytest.raises(PlanError, match="not int"):
        col(1)
    with pytest.raises(PlanError, match="neither true nor false"):
        bool(col("a"))
    assert repr(col("a")) == "col('a')"


def test_rename():
    made = stream().rename({"my flag": "flag"}, a="n")
    assert made.schema.names == ["n", "b", "flag"]
    assert made.explain().splitlines()[0] == "RENAME a to n, my flag to flag"
    assert made.collect().equals(TABLE.rename_columns(["n", "b", "flag"]))
    assert stream().rename(a="b", b="a").collect()["a"].to_pylist() == TABLE["b"].to_pylist()


def test_rename_keeps_metadata_of_fields_and_nullability():
    field = pa.field("a", pa.int64(), nullable=False, metadata={"unit": "m"})
    table = pa.Table.from_arrays([pa.array([1])], schema=pa.schema([field], {"of": "table"}))
    made = Stream.from_table(table).rename(a="b").collect().schema
    assert made.equals(pa.schema([field.with_name("b")], {"of": "table"}), check_metadata=True)


def test_rename_in_the_midst_of_a_plan():
    made = stream().filter(lambda a: a).rename(a="n").with_columns(m=lambda n: n + 1)
    assert made.collect()["m"].to_pylist() == [2, 3, 5]
    with pytest.raises(UnknownColumnError):
        made.with_columns(k=lambda a, n: a + n)


def test_rename_refuses():
    with pytest.raises(PlanError, match="two columns the name 'b'"):
        stream().rename(a="b")
    with pytest.raises(UnknownColumnError, match="'aa'"):
        stream().rename(aa="c")
    with pytest.raises(PlanError, match="names of columns"):
        stream().rename({"a": 1})
    with pytest.raises(PlanError, match="needs old"):
        stream().rename()


def test_select_of_one_twice():
    with pytest.raises(PlanError, match="'a' more than once"):
        stream().select("a", col("a"))
