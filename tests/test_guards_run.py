"""What user code of a run changes is seen by the compiled functions of that run where CPython would see it.

The oracle is the same stream with every function in CPython, by the same batches: rows, errors and failing rows.
"""

from __future__ import annotations

import asyncio
import builtins
import itertools
import random
import time
import types
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

import sabot as sb
from sabot import Stream, _rebound

N = 400
MORSEL = 16

rate = 3
settings = types.ModuleType("settings")
table = [5, 6, 7]
names = {0: 10, 1: 20, 2: 30}


class Config:
    bonus = 4

    def __init__(self):
        self.level = 2

    def scaled(self, a):
        return a * self.level


config = Config()


def helper(a):
    return a + 1


def other_helper(a):
    return a + 1000


# --- functions that are compiled, and what changes under them


def by_global(a):
    return a * rate


def by_module(a):
    return a + settings.step


def by_list(a):
    return table[a % 3] + a


def by_dict(a):
    return names[a % 3] + a


def by_attribute(a):
    return a + config.level


def by_class_attribute(a):
    return a + config.bonus


def by_method(a):
    return config.scaled(a)


def by_builtin(a):
    return abs(a - 100)


def by_call(a):
    return helper(a) * 2


def by_default(a, extra=1):
    return a + extra


def _make_cell():
    k = 7

    def by_cell(a):
        return a - k

    def set_cell(value):
        nonlocal k
        k = value

    return by_cell, set_cell


by_cell, set_cell = _make_cell()


class Case(NamedTuple):
    fn: Any
    change: Any
    undo: Any


def _set(owner, name, value, old):
    return lambda: setattr(owner, name, value), lambda: setattr(owner, name, old)


_G = globals()
CASES = {
    "global": Case(by_global, lambda: _G.update(rate=50), lambda: _G.update(rate=3)),
    "module": Case(by_module, *_set(settings, "step", 900, 1)),
    "list": Case(
        by_list,
        lambda: table.append(1) or table.reverse(),
        lambda: table.__setitem__(slice(None), [5, 6, 7]),
    ),
    "dict": Case(by_dict, lambda: names.update({1: -5}), lambda: names.update({1: 20})),
    "attribute": Case(by_attribute, *_set(config, "level", 77, 2)),
    "class attribute": Case(by_class_attribute, *_set(Config, "bonus", 78, 4)),
    "method": Case(by_method, *_set(Config, "scaled", lambda self, a: -a, Config.scaled)),
    "builtin": Case(by_builtin, *_set(builtins, "abs", lambda v: -9, abs)),
    "call": Case(
        by_call, lambda: _G.update(helper=other_helper), lambda h=helper: _G.update(helper=h)
    ),
    "default": Case(by_default, *_set(by_default, "__defaults__", (600,), (1,))),
    "code": Case(
        by_global, *_set(by_global, "__code__", (lambda a: -a).__code__, by_global.__code__)
    ),
    "cell": Case(by_cell, lambda: set_cell(-1000), lambda: set_cell(7)),
}


@pytest.fixture(autouse=True)
def _as_it_was():
    settings.step = 1
    yield
    for case in CASES.values():
        case.undo()


def _table(n=N):
    return pa.table({"a": list(range(n)), "b": [row % 11 for row in range(n)]})


def _run(stream_of, case, way, **config):
    """The rows of one run and how it ended; what was changed is undone."""
    stream = stream_of()
    try:
        with sb.config(**config):
            made, error = [], None
            try:
                made = way(stream)
            except Exception as raised:
                error = (
                    type(raised),
                    str(raised),
                    raised.__notes__ if hasattr(raised, "__notes__") else (),
                )
        return made, error
    finally:
        case.undo()


def _collected(stream):
    return stream.collect().to_pylist()


def _same(stream_of, case, way=_collected, threads=(0, 1, 3), tiers=("auto",), **config):
    """Compares with the oracle; gives the rows."""
    with sb.config(compile="off"):
        # Compiled or not is settled when the stream is built.
        wanted = _run(stream_of, case, way, threads=1, **config)
    for count, tier in itertools.product(threads, tiers):
        given = _run(stream_of, case, way, threads=count, tier=tier, **config)
        assert given == wanted, (count, tier)
    return wanted[0]


def _changer(case, at, undo_at=None):
    """A function that CPython runs, which changes at one row and changes back at another."""

    def opaque(a) -> int:
        if a == at:
            case.change()
        if a == undo_at:
            case.undo()
        return a

    return opaque


def _is_compiled(fn):
    return sb.explain(fn, {"a": pa.int64(), "b": pa.int64()}).mode == "compiled"


def _orders(fn, opaque):
    """Streams with the compiled function before, behind and beside the opaque one, with and without filters."""
    return {
        "before": lambda s: s.with_columns(y=fn).with_columns(o=opaque),
        "behind": lambda s: s.with_columns(o=opaque).with_columns(y=fn),
        "beside": lambda s: s.with_columns(y=fn, o=opaque, z=fn),
        "filter": lambda s: s.with_columns(x=fn).filter(opaque).with_columns(y=fn),
        "both": lambda s: (
            s.filter(lambda b: b != 3)
            .with_columns(y=fn)
            .filter(opaque)
            .with_columns(z=fn)
            .select("a", "y", "z")
        ),
    }


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_seen_at_its_rows(name):
    case = CASES[name]
    assert _is_compiled(case.fn)
    opaque = _changer(case, 150, 300)
    assert not _is_compiled(opaque)
    for order, build in _orders(case.fn, opaque).items():
        rows = _same(
            lambda build=build: build(Stream.from_table(_table(), 64)), case, morsel_rows=MORSEL
        )
        seen = {row.get("y", row.get("x")) == case.fn(row["a"]) for row in rows}
        assert seen == {True, False}, order  # some rows saw the change


def _looped(at, undo_at, case):
    def way(stream):
        rows = []
        for number, batch in enumerate(stream):
            rows += batch.to_pylist()
            if number == at:
                case.change()
            if number == undo_at:
                case.undo()
        return rows

    return way


@pytest.mark.parametrize("name", ["global", "list", "builtin", "attribute"])
@pytest.mark.parametrize("tier", ["interpreter", "native"])
def test_what_the_consumer_changes_is_seen_by_the_next_batch(name, tier):
    case = CASES[name]
    for build in (
        lambda s: s.with_columns(y=case.fn),
        lambda s: s.with_columns(y=case.fn).filter(lambda y: y % 2 == 0),
        lambda s: s.filter(case.fn).select("a"),
        lambda s: s.map(lambda row: {"a": row["a"], "k": row["a"] * rate}),
        lambda s: s.with_columns(y=case.fn).limit(N - 5).filter(lambda b: b != 3),
    ):
        way = _looped(4, 9, case)
        rows = _same(
            lambda build=build: build(Stream.from_table(_table(), 64)),
            case,
            way,
            tiers=(tier,),
            morsel_rows=MORSEL,
        )
        assert rows


def test_work_that_is_ahead_is_thrown_away():
    """Four workers have long computed what the consumer's change makes wrong."""
    case = CASES["global"]

    def way(stream):
        batches = iter(stream)
        rows = next(batches).to_pylist()
        time.sleep(0.05)
        case.change()
        for batch in batches:
            rows += batch.to_pylist()
        return rows

    with sb.config(threads=4, morsel_rows=MORSEL, tier="interpreter"):
        stream = Stream.from_table(_table()).with_columns(y=by_global)
        rows = way(stream)
    assert [row["y"] for row in rows] == [row * (3 if row < MORSEL else 50) for row in range(N)]
    (function,) = stream.last_run.report["functions"]
    assert function["interpreted"] == "rebound: rate"
    # What was computed ahead counts, too; CPython had all rows behind the first batch.
    assert function["rows_cpython"] == N - MORSEL
    assert MORSEL < function["rows"] <= N


def test_what_foreach_changes():
    case = CASES["dict"]

    def way(stream):
        rows = []

        def see(batch):
            rows.extend(batch.to_pylist())
            if len(rows) >= 100:
                case.change()

        stream.foreach(see)
        return rows

    _same(
        lambda: Stream.from_table(_table(), 32).with_columns(y=case.fn),
        case,
        way,
        morsel_rows=MORSEL,
    )


def _batch_changer(case, at, undo_at):
    def opaque(batch):
        rows = batch.column("a").to_pylist()
        if at in rows:
            case.change()
        if undo_at in rows:
            case.undo()
        return batch

    return opaque


def _spread(case, at, undo_at):
    change = _batch_changer(case, at, undo_at)

    def spread(batch):
        yield batch.slice(0, 3)
        yield change(batch).slice(3)

    return spread


def _class_of(case, at):
    class Stateful:
        def __init__(self):
            self.seen = 0

        def __call__(self, a) -> int:
            self.seen += 1
            if self.seen == at:
                case.change()
            return self.seen

    return Stateful


@pytest.mark.parametrize("name", ["global", "list", "call"])
def test_other_user_code_of_the_run(name):
    case = CASES[name]
    change = _batch_changer(case, 130, 270)
    table = _table()

    def batches():
        for start in range(0, N, 32):
            if start == 128:
                case.change()
            yield table.slice(start, 32).to_batches()[0]
            if start == 256:
                case.undo()

    read = _changer(case, 200)
    schema = table.schema
    from_table = lambda: Stream.from_table(table, 32)  # noqa: E731
    for number, build in enumerate((
        lambda: from_table().with_columns(y=case.fn).map(change),
        lambda: from_table().map(change, schema=schema).with_columns(y=case.fn),
        lambda: from_table().with_columns(x=case.fn).filter(lambda batch: change(batch)["b"].is_valid()).with_columns(y=case.fn),
        lambda: from_table().with_columns(x=case.fn).flat_map(_spread(case, 130, 270)),
        lambda: from_table().flat_map(_spread(case, 130, 270), schema=schema).with_columns(x=case.fn),
        lambda: from_table().with_columns(x=case.fn).with_columns(s=_class_of(case, 77)).with_columns(y=case.fn),
        lambda: Stream.from_batches(batches, schema=schema).with_columns(y=case.fn, o=read),
    )):  # fmt: skip
        assert _same(build, case, morsel_rows=MORSEL), number


def test_a_source_that_changes_something():
    """Without workers it is read when all before it is done; with them it is read ahead, as with compile="off"."""
    case = CASES["global"]
    table = _table()

    def batches():
        for start in range(0, N, 32):
            if start == 128:
                case.change()
            yield table.slice(start, 32).to_batches()[0]

    def build():
        return Stream.from_batches(batches, schema=table.schema).with_columns(y=case.fn)

    _same(build, case, threads=(1,))
    for threads in (2, 4):
        rows, error = _run(
            build, case, _collected, threads=threads, morsel_rows=MORSEL, tier="interpreter"
        )
        assert error is None
        old = [row["a"] for row in rows if row["y"] == 3 * row["a"] and row["a"]]
        new = [row["a"] for row in rows if row["y"] == 50 * row["a"] and row["a"]]
        assert len(old) + len(new) == N - 1
        assert max(old, default=0) < min(new)
        assert min(new) <= 128


ROW_CASES = {
    "error": ("rate = None", lambda: _G.update(rate=None)),
    "text": ("a list item of another type", lambda: table.__setitem__(1, "x")),
}


def by_both(a):
    return table[a % 3] * rate + a // (a % 97 - 96) + (a << 60)


@pytest.mark.parametrize("on_error", ["raise", "null", "skip"])
@pytest.mark.parametrize("what", ROW_CASES)
def test_errors_after_a_change(what, on_error):
    """Rows that leave, rows that fail before the change and after it."""

    def undo():
        _G.update(rate=3)
        table[:] = [5, 6, 7]

    case = Case(by_both, ROW_CASES[what][1], undo)
    opaque = _changer(case, 60, 90)
    fn = sb.udf(by_both, on_error=on_error)
    assert _is_compiled(by_both)

    def way(stream):
        rows = []
        try:
            for batch in stream:
                rows += batch.to_pylist()
        except Exception as error:
            rows.append((type(error), str(error), error.__notes__))
        errors = stream.last_run.errors
        return rows, errors.to_pylist(), stream.last_run.errors_total

    for build in _orders(fn, opaque).values():
        _same(
            lambda build=build: build(Stream.from_table(_table(), 64)),
            case,
            way,
            morsel_rows=MORSEL,
        )


def test_two_changes_one_after_the_other():
    first, second = CASES["global"], CASES["module"]
    both = Case(None, first.change, lambda: (first.undo(), second.undo()))
    opaque, other = _changer(first, 50), _changer(second, 180)

    def build():
        stream = Stream.from_table(_table(), 64).with_columns(x=first.fn, o=opaque, y=second.fn)
        return stream.with_columns(p=other, z=second.fn).filter(first.fn)

    rows = _same(build, both, morsel_rows=MORSEL)
    assert rows


def test_a_changed_function_may_change_others():
    """`helper` becomes one that has effects, so what it changes must be seen, too."""

    def meddling(a):
        if a == 200:
            _G.update(rate=50)
        return a

    call, rated = CASES["call"], CASES["global"]
    case = Case(None, lambda: _G.update(helper=meddling), lambda: (call.undo(), rated.undo()))
    opaque = _changer(case, 100)

    def build():
        return Stream.from_table(_table(), 64).with_columns(o=opaque, x=by_call, y=by_global)

    rows = _same(build, case, morsel_rows=MORSEL)
    assert rows[-1]["y"] == (N - 1) * 50


def test_async_consumption_sees_a_change_at_a_batch():
    case = CASES["global"]

    async def main():
        rows = []
        async for batch in Stream.from_table(_table(), 8).with_columns(y=by_global):
            rows += batch.to_pylist()
            case.change()
        return rows

    with sb.config(threads=3, morsel_rows=8):
        rows = asyncio.run(main())
    firsts = [row["a"] for row in rows if row["y"] == 50 * row["a"] and row["a"]]
    assert firsts == list(range(firsts[0], N))
    assert firsts[0] % 8 == 0
    assert 8 <= firsts[0] <= 8 * 5  # at most two batches wait, one is taken and one is made


def test_random_streams():
    """Any mixture of compiled and opaque functions, changed at any rows."""
    chosen = random.Random(7)
    for _ in range(12):
        cases = chosen.sample(
            [CASES[name] for name in ("global", "module", "list", "builtin", "cell", "default")], 2
        )
        case = Case(None, None, lambda cases=cases: [one.undo() for one in cases])
        steps = []
        for number in range(chosen.randint(2, 5)):
            one = chosen.choice(cases)
            at, undo_at = chosen.randrange(N), chosen.randrange(N)
            kind = chosen.choice(["fn", "fn", "fn", "opaque", "filter", "map", "beside"])
            steps.append((kind, one, at, undo_at, f"c{number}"))

        def build(steps=steps):
            stream = Stream.from_table(_table(), 50)
            for kind, one, at, undo_at, name in steps:
                opaque = _changer(one, at, undo_at)
                if kind == "fn":
                    stream = stream.with_columns(**{name: one.fn})
                elif kind == "opaque":
                    stream = stream.with_columns(**{name: opaque})
                elif kind == "filter":
                    stream = stream.filter(opaque if at % 2 else one.fn)
                elif kind == "map":
                    stream = stream.map(_batch_changer(one, at, undo_at), schema=stream.schema)
                else:
                    stream = stream.with_columns(
                        **{name: one.fn, name + "o": opaque, name + "p": one.fn}
                    )
            return stream

        way = (
            _collected
            if chosen.random() < 0.5
            else _looped(chosen.randrange(9), chosen.randrange(9), cases[0])
        )
        _same(
            build,
            case,
            way,
            morsel_rows=chosen.choice([7, MORSEL, 64]),
            tiers=(chosen.choice(["auto", "native"]),),
        )


def test_nothing_is_looked_at_where_nothing_can_change(monkeypatch):
    looked = []
    monkeypatch.setattr(_rebound.RunGuard, "__call__", lambda *args: looked.append(args))
    Stream.from_table(_table(), 16).with_columns(y=by_global).filter(by_list).collect()
    assert looked == []
    for _ in Stream.from_table(_table(), 16).with_columns(y=by_global):
        pass
    assert len(looked) >= N // 16 + 1
