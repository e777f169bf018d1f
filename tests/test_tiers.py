"""How a function is run is said once for each decision, with its reason; nothing is made of it where nobody listens."""

from __future__ import annotations

import logging
import re
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support import HELPER, cell

import sabot as sb
from sabot import Stream, _decisions, auto_compile, udf

pytestmark = pytest.mark.api
native = pytest.mark.skipif(not HELPER.exists(), reason="there is no code generator")
TABLE = pa.table({"n": list(range(4_000)), "x": [k / 8 for k in range(4_000)]})
BEGINS = r"compiled, the engine interprets it until native code is there, asked for after about [\d,]+ rows"
TOO_FEW = r"the engine interpreted all 4,000 rows at [\d.e+]+ ns a row: native code is worth it after about [\d,]+ rows"


def twice(x):
    return x * 2


def long_loop(n):
    total = 0
    for k in range(2_000):
        total += n * k % 7
    return total


def hexadecimal(n):
    return len(hex(n))


def of_record(row):
    return {"y": row["x"] + 1, "n": row["n"]}


def of_text(row):
    return {"y": str(row["x"]), "n": row["n"]}


def row_form(batch):
    return batch.append_column("y", pa.array([v * 2 for v in batch["x"].to_pylist()]))


def array_form(batch):
    return pc.greater(batch["x"], 3.5)


def whole_form(batch):
    made, total = [], 0.0
    for value in batch["x"].to_pylist():
        total += value
        made.append(total)
    return batch.append_column("y", pa.array(made))


def ranks(batch):
    return batch.append_column("y", pc.rank(batch["x"]))


def leaves(n):
    return (n + 2**62) * (3 if n % 4 == 0 else 1) // 3


def line_of(fn):
    return fn.__code__.co_firstlineno


@pytest.fixture
def said(caplog):
    """Lines that were said since the last call, without the place, which is checked here."""

    def lines(fn):
        found = []
        for record in caplog.records:
            text = record.getMessage()
            where = f"{fn.__name__} ({__file__}:{line_of(fn)}): "
            assert (record.name, record.levelname) == ("sabot.compile", "INFO")
            assert text.startswith(where)
            assert "\n" not in text
            found.append(text.removeprefix(where))
        caplog.clear()
        return found

    with caplog.at_level(logging.INFO, "sabot"):
        yield lines


def stream_of(fn, table=TABLE, batch_size=1_000):
    stream = Stream.from_table(table, batch_size)
    function = fn.fn if isinstance(fn, sb._udf.Udf) else fn
    if function is array_form:
        return stream.filter(fn)
    by_column = function.__code__.co_varnames[0] in ("x", "n")
    return stream.with_columns(y=fn) if by_column else stream.map(fn)


SAID = {
    twice: [BEGINS, TOO_FEW],
    udf(hexadecimal, returns=pa.int64()): [
        r"CPython calls it row by row: .*: a call of hex \(line \d+\)"
    ],
    of_record: [BEGINS, TOO_FEW],
    of_text: [r"CPython calls it row by row: .* \(line \d+\)"],
    row_form: [BEGINS.replace("compiled", "row form"), TOO_FEW],
    array_form: [BEGINS.replace("compiled", "array form"), TOO_FEW],
    ranks: [r"CPython calls it batch by batch: pc.rank \(line \d+\)"],
}


@pytest.mark.parametrize("fn", SAID, ids=lambda fn: fn.__name__)
def test_what_a_run_decides(fn, said):
    wanted = SAID[fn]
    if not HELPER.exists():
        wanted = [one.partition(" until")[0] + ".*" for one in wanted]
    stream = stream_of(fn)
    assert said(fn) == []  # nothing is said before a run
    for _ in range(2):
        stream.collect()
        got = said(getattr(fn, "fn", fn))
        assert len(got) == len(wanted), got
        for text, pattern in zip(got, wanted, strict=True):
            assert re.fullmatch(pattern, text), text


def test_the_whole_form_says_why_not_by_rows(said):
    with sb.config(tier="interpreter"):
        stream_of(whole_form).collect()
    (text,) = said(whole_form)
    assert re.fullmatch(
        r"whole form \(not row form: .*total.* \(line \d+\)\), the engine interprets it: tier=\"interpreter\"",
        text,
    )


def test_what_is_switched_off(said):
    for settings in ({"compile": "off"}, {}):
        with sb.config(**settings):
            stream = stream_of(twice if settings else udf(twice, compile="off"))
            stream.collect()
        assert said(twice) == [
            'CPython calls it row by row: compilation is switched off (compile="off")'
        ]
    with sb.config(compile="off"):
        stream_of(row_form).collect()
    assert said(row_form) == [
        'CPython calls it batch by batch: compilation is switched off (compile="off")'
    ]


@native
def test_native_code_that_is_waited_for(said):
    def waited(x):
        return x * 3.5

    with sb.config(tier="native"):
        stream = stream_of(waited)
        stream.collect()
        first, second = said(waited)
        assert first == 'compiled, waits for native code: tier="native"'
        assert re.fullmatch(r"native code at [\d.e+-]+ ns a row, compiled in [\d.]+ ms", second)
        stream.collect()
        (again,) = said(waited)
    assert re.fullmatch(r"compiled, native code from the first row, compiled in [\d.]+ ms", again)


@native
def test_native_code_that_takes_over(said, caplog):
    until = time.monotonic() + 20

    def batches():
        while len(caplog.records) < 2 and time.monotonic() < until:
            yield TABLE.to_batches()[0]

    stream = Stream.from_batches(batches(), schema=TABLE.schema).with_columns(y=long_loop)
    for _ in stream:
        pass
    begin, over = said(long_loop)
    assert re.fullmatch(BEGINS, begin)
    assert re.fullmatch(
        r"native code( at [\d.e+-]+ ns a row)?, compiled in [\d.]+ ms, after [\d,]+ rows by the interpreter at [\d.e+]+ ns a row",
        over,
    )


def test_rows_that_leave(said):
    with sb.config(tier="interpreter"):
        stream_of(leaves).collect()
    assert said(leaves)[1:] == [
        "CPython computed 1,000 of 4,000 rows, called row by row, 1,000 left by overflow"
    ]


def test_batches_that_leave(said):
    def scaled(batch):
        return {
            "y": pa.array(
                [(v + 2**62) * (3 if v == 1_500 else 1) // 3 for v in batch["n"].to_pylist()]
            )
        }

    with sb.config(tier="interpreter"):
        stream_of(scaled).collect()
    assert said(scaled)[1:] == [
        "CPython computed 1,000 of 4,000 rows, called batch by batch, 1 left by overflow"
    ]


def leaves_all(n):
    return (n + 2**62) * 3 // 3


def test_nearly_all_rows_leave(said):
    rows = 200_000
    table = pa.table({"n": [None if k % 50_000 == 7 else k for k in range(rows)]})
    stream = stream_of(udf(leaves_all, nulls="skip"), table, 70_000)
    for morsel_rows in (0, 3_000):
        with sb.config(morsel_rows=morsel_rows, threads=1):
            made = stream.collect()["y"].to_pylist()
        assert made == [None if n is None else n + 2**62 for n in table["n"].to_pylist()]
        facts = stream.last_run.report["functions"][0]
        tried = facts["rows_native"] + facts["rows_interpreter"]
        assert 0 < tried <= 9 * 2_048
        assert facts["rows"] == rows
        assert rows - 9 <= facts["rows_cpython"] <= rows
        assert sum(facts["rows_left"].values()) <= tried
        text = "nearly all rows leave: CPython calls it row by row at once, with a try now and then"
        assert said(leaves_all).count(text) == 1


def test_rows_that_stay_again_are_computed_again():
    far = [2**62] * 20_000 + [5] * 300_000
    stream = stream_of(tripled := (lambda n: n * 3 // 3), pa.table({"n": far}), 65_536)
    assert tripled(3) == 3
    assert stream.collect()["y"].to_pylist() == far
    facts = stream.last_run.report["functions"][0]
    assert facts["rows_native"] + facts["rows_interpreter"] > 200_000
    some = pa.table({"n": [2**62 if k % 2 else 5 for k in range(50_000)]})
    stream = stream_of(lambda n: n * 3 // 3, some)
    assert stream.collect()["y"].to_pylist() == some["n"].to_pylist()
    facts = stream.last_run.report["functions"][0]
    assert facts["rows_left"] == {"overflow": 25_000}  # a half is worth a try


BATCHES_THAT_LEAVE = {
    "row form": "{'y': pa.array([(v + 2**62) * 3 // 3 for v in b['n'].to_pylist()])}",
    "whole form": "{'y': pa.array([v - i[k - 1] + 2**62 * 3 // 3 for k, v in enumerate(i)])}",
    "array form": "{'y': pa.array(np.log(b['x'].to_numpy() - 1))}",
    "filter": "pa.array([(v + 2**62) * 3 > 5 for v in b['n'].to_pylist()])",
}


@pytest.mark.parametrize("name", BATCHES_THAT_LEAVE)
@pytest.mark.filterwarnings("ignore")
def test_batches_that_leave_are_passed_by(name):
    text = BATCHES_THAT_LEAVE[name].replace("2**62 * 3", "(v + 2**62) * 3")
    fn = cell(f"def f(b):\n    i = b['n'].to_pylist()\n    return {text}", pa=pa, np=np)["f"]
    if name != "whole form":
        fn = cell(f"def f(b):\n    return {text}", pa=pa, np=np)["f"]
    table = pa.table({"n": list(range(8_000)), "x": [0.5] * 8_000})
    source = Stream.from_table(table, 100)
    stream = source.filter(fn) if name == "filter" else source.map(fn)
    wanted = [fn(batch) for batch in table.to_batches(max_chunksize=100)]
    with sb.config(threads=1):
        made = stream.collect()
    if name == "filter":
        assert made.num_rows == sum(mask.true_count for mask in wanted)
    else:
        both = [made["y"].to_pylist(), [v for one in wanted for v in one["y"].to_pylist()]]
        assert repr(both[0]) == repr(both[1])
    facts = stream.last_run.report["functions"][0]
    assert facts["rows"] == facts["rows_cpython"] == 8_000
    tried = facts["rows_native"] + facts["rows_interpreter"]
    assert tried <= 600
    with sb.config(threads=1, tier="interpreter"):
        stream.collect()
    facts = stream.last_run.report["functions"][0]
    assert facts["rows_native"] + facts["rows_interpreter"] in (0, 8_000)


@native
def test_many_leaving_rows_are_compiled_once_more(said, caplog):
    until = time.monotonic() + 20

    def batches():
        while len(caplog.records) < 3 and time.monotonic() < until:
            yield TABLE.to_batches()[0]

    for _ in Stream.from_batches(batches(), schema=TABLE.schema).with_columns(y=leaves):
        pass
    texts = said(leaves)
    assert len(texts) == 4
    assert "rows leave in more than 1 of 16 vectors: native code that tells them apart" in texts
    assert re.fullmatch(
        r"CPython computed ([\d,]+) of [\d,]+ rows, called row by row, \1 left by overflow",
        texts[3],
    )


def test_a_guard_that_fails(caplog):
    space = cell("def scaled(x):\n    return x * RATE", RATE=2)

    def batches():
        for k in range(6):
            if k == 3:
                space["RATE"] = 3
            yield TABLE.to_batches()[0]

    stream = Stream.from_batches(batches(), schema=TABLE.schema).with_columns(y=space["scaled"])
    with caplog.at_level(logging.INFO, "sabot.compile"):
        made = stream.collect()["y"].to_pylist()
    assert made[-1] == TABLE["x"][-1].as_py() * 3
    texts = [one.getMessage().partition("): ")[2] for one in caplog.records]
    anew = [text for text in texts if "RATE" in text]
    assert anew == ["CPython calls it row by row from here on: bound anew: RATE"]
    caplog.clear()
    with caplog.at_level(logging.INFO, "sabot.compile"):
        space["RATE"] = 4
        table = Stream.from_table(TABLE).with_columns(y=space["scaled"])
        space["RATE"] = 5
        assert table.collect()["y"][1].as_py() == 0.625
    texts = [one.getMessage().partition("): ")[2] for one in caplog.records]
    assert texts == ["CPython calls it row by row: bound anew: RATE"]


def test_what_a_handler_binds_anew_is_seen(caplog):
    space = cell("def scaled(x):\n    return x * RATE", RATE=2)

    class Handler(logging.Handler):
        def emit(self, record):
            space["RATE"] = 10

    handler, logger = Handler(), logging.getLogger("sabot.compile")
    logger.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "sabot.compile"):
            stream = Stream.from_table(TABLE).with_columns(y=space["scaled"])
            assert stream.collect()["y"][8].as_py() == 10.0
    finally:
        logger.removeHandler(handler)


def test_a_run_that_fails_says_what_it_knows(said):
    def fails(n):
        return 1 // (n - 3_500)

    with pytest.raises(ZeroDivisionError):
        stream_of(fails).collect()
    texts = said(fails)
    assert re.fullmatch(BEGINS if HELPER.exists() else ".*", texts[0])
    assert len(texts) == len(set(texts))


def test_nothing_is_made_where_nobody_listens(monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(_decisions, "RunLog", never)
    assert not logging.getLogger("sabot.compile").isEnabledFor(logging.INFO)
    assert stream_of(twice).collect().num_rows == 4_000
    with pytest.raises(AssertionError):
        logging.getLogger("sabot.compile").setLevel(logging.INFO)
        try:
            stream_of(twice).collect()
        finally:
            logging.getLogger("sabot.compile").setLevel(logging.NOTSET)


@native
def test_auto_compile(said):
    made = auto_compile(twice)
    made(pa.array([1.5]))
    made(pa.array([2.5, 3.5]))
    (text,) = said(twice)
    assert re.fullmatch(
        r"native code, compiled (in [\d.]+ ms|before), up to 4 rows by calls of it", text
    )


@native
def test_auto_compile_of_batches(said):
    def products(batch):
        return pa.array([v * 2**40 // 2**20 for v in batch["n"].to_pylist()])

    made = auto_compile(products)
    small, large = (pa.record_batch({"n": [k] * 50}) for k in (1, 2**23))
    for batch in (small, small, large, large, large, large, small):
        assert made(batch).equals(products(batch))
    first, *left = said(products)
    assert re.fullmatch(
        r"native code, compiled in [\d.]+ ms, row form, up to 32 rows by calls of it", first
    )
    text = "native code left a batch of 50 rows, CPython calls it for that and the next"
    assert left == [f"{text} 2", f"{text} 4"]
