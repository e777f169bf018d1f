"""Ten thousand calls that make no sense: each ends in a typed error that says what was wrong, or in a right result.

What may come out of a call, and of using its result, is

* an error of the tree under SabotError, or an OSError of the file system;
* TypeError where Python itself refuses the call: an unknown keyword, too many arguments;
* what a user's own function or object raises: these are all in this file, so that an error raised here is theirs.

Anything else is a finding: a bare error of pyarrow, AttributeError or KeyError from inside, SystemError, a crash, a call that does not
come back.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import faulthandler
import importlib
import inspect
import io
import itertools
import math
import pkgutil
import random
import re
import signal
import sys
import threading
import traceback
import types
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import SLACK, TABLE

import sabot as sb
from sabot import Stream, _config

CALLS = 10_000
SEEDS = 10
HERE = Path(__file__).name
HANG_S = 10 * SLACK


class Own(Exception):
    """What functions and objects of this file raise."""


# --- values -------------------------------------------------------------------------------------------------------------


class Broken:
    """Every question that may be asked of it is answered with an exception."""

    def _fail(self, *_: object, **__: object) -> Any:
        raise Own("broken")

    __bool__ = __len__ = __iter__ = __eq__ = __hash__ = __str__ = __fspath__ = _fail
    __arrow_c_stream__ = __arrow_c_array__ = __call__ = __index__ = __contains__ = _fail


class Liar:
    """It says that it has an Arrow stream, a schema, a length; all of them are numbers."""

    schema = num_rows = num_columns = names = types = columns = 7
    __name__ = 7
    __wrapped__ = 7

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return 7

    def __len__(self) -> int:
        return 7


class Number(int):
    pass


class Text(str):
    pass


def scalar(a):
    return a


def failing(a) -> int:
    raise Own("fails")


def record(row):
    return row["a"]


def batch(b):
    return b.slice(0, b.num_rows)


def nothing(b):
    b.num_rows
    return None


def several(b):
    yield b.slice(0, 1)
    raise Own("in the middle")


def none_there(zzz, a):
    return a


async def awaited(a):
    return a


def exhausted() -> Iterator[pa.RecordBatch]:
    made = iter(TABLE.to_batches())
    list(made)
    return made


def closed_reader() -> pa.RecordBatchReader:
    reader = TABLE.to_reader()
    reader.close()
    return reader


def closed_file() -> io.BytesIO:
    file = io.BytesIO()
    file.close()
    return file


def batches() -> Iterator[object]:
    yield from TABLE.to_batches()


def wrong_batches() -> Iterator[object]:
    yield TABLE.to_batches()[0]
    yield pa.record_batch({"zzz": [1]})


def no_batches() -> Iterator[object]:
    yield 7


def failing_batches() -> Iterator[object]:
    yield TABLE.to_batches()[0]
    raise Own("source")


async def async_batches() -> AsyncGenerator[object]:
    yield TABLE.to_batches()[0]


def looped() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


TWICE = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
EMPTY_NAME = pa.table({"": [1], " ": [2]})
ODDITIES: list[Callable[[], object]] = [
    *(
        lambda value=value: value
        for value in (
            None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, math.nan, math.inf,
            1j, "", "a", "b", "zzz", "\ud800", "\0", "a\0b", "ä" * 300, "x" * 10_000, "overwrite", "left", "int64", b"",
            b"a", b"\xff", (), ("a",), ("a", 7), frozenset("a"), range(3), slice(1), Ellipsis, NotImplemented, object,
            int, str, type, Own, Own("given"), math, Number(1), Text("a"), Path("nowhere/x"), Path("."),
            datetime.date(2020, 1, 1), datetime.timedelta(1), decimal.Decimal("1.5"), np.int64(3), np.float64("nan"),
            np.array([1, 2]), np.array("a"), pa.int64(), pa.scalar(1), pa.array([1]), pa.chunked_array([[1]]), pa.field("a", "int8"),
            pa.schema([]), TABLE.schema, TWICE.schema, TABLE, TABLE.slice(0, 0), TWICE, EMPTY_NAME, TABLE.to_batches()[0],
            pa.array([True, None, False, True]), pd.DataFrame({"a": [1]}), pd.DataFrame({0: [1]}), pl.DataFrame({"a": [1]}),
            pl.DataFrame({"a": [1]}).lazy(), pl.Series("a", [1]), types.SimpleNamespace(), threading.Lock(), memoryview(b"abc"),
            scalar, failing, record, batch, nothing, several, none_there, awaited, lambda: 1, lambda *a, **k: 1,
            lambda a, b: a and b, sb.udf(scalar), sb.Stream, sb.PlanError, sb.config, sb.explain,
            batches, wrong_batches, no_batches, failing_batches, async_batches,
        )
    ),
    *(lambda name=name: sb.col(name) for name in ("a", "zzz", "")),
    list, dict, set, lambda: [None], lambda: ["a", "a"], lambda: ["a"], lambda: ["zzz"], lambda: [7],
    lambda: {"a": 1}, lambda: {"a": "b"}, lambda: {"a": None}, lambda: {7: 8}, lambda: {"a": pa.int64()}, lambda: {"": ""},
    lambda: [{"a": 1}], lambda: [{"a": 1}, {"b": 2}], lambda: [{"a": object()}], lambda: [{7: 1}], lambda: [("a", ">", 1)],
    lambda: [("a", "?", 1)], lambda: [[("zzz", "=", 1)]], lambda: [TABLE], lambda: TABLE.to_batches(), lambda: [TABLE, TWICE],
    lambda: [Stream.from_table(TABLE)], lambda: Stream.from_table(TABLE), lambda: Stream.from_batches(no_batches),
    lambda: bytearray(b"a"), lambda: io.BytesIO(b"a,b\n1,2\n"), lambda: io.BytesIO(), lambda: io.StringIO("a\n1\n"),
    lambda: iter([]), lambda: iter(TABLE.to_batches()), lambda: iter([7]), lambda: (x for x in [{"a": 1}]),
    TABLE.to_reader, looped, exhausted, closed_reader, closed_file, Broken, Liar, object,
]  # fmt: skip

FUNCTIONS = {
    name
    for make in ODDITIES
    if callable(thing := make())
    for name in [getattr(thing, "__name__", None)]
}

# What a parameter of this name is meant to be given.
GOOD: dict[str, list[Callable[[], object]]] = {
    "fn": [lambda: scalar, lambda: batch, lambda: several],
    "path": [lambda: "there.parquet", lambda: "there.csv", lambda: "folder", lambda: "new"],
    "table": [lambda: TABLE],
    "source": [lambda: batches, lambda: TABLE.to_batches()],
    "columns": [lambda: ["a"], lambda: sb.col("b")],
    "schema": [lambda: TABLE.schema, lambda: None],
    "rows": [lambda: 2, lambda: [{"a": 1}]],
    "n": [lambda: 2],
    "streams": [lambda: Stream.from_table(TABLE)],
    "batch_size": [lambda: 2],
    "mode": [lambda: "overwrite", lambda: "append", lambda: "error"],
    "mapping": [lambda: {"a": "c"}],
}
# Keywords that methods with **options take, right and wrong.
OPTIONS = [
    "mode", "compression", "row_group_size", "partition_by", "roll_rows", "roll_bytes", "roll_seconds", "separator",
    "include_header", "format", "bounded", "batches", "schema", "compresion", "zzz", "",
]  # fmt: skip
PROTOCOL = {"__iter__", "__aiter__", "__len__", "__repr__", "__str__", "__enter__", "__next__", "__contains__", "__eq__",
            "__hash__", "__bool__", "__add__", "__gt__", "__and__", "__invert__", "__call__"}  # fmt: skip
# What only Sabot calls: it makes these objects, and stages of a run ask each other for pieces.
NOT_FOR_USERS = {"Report", "LastRun", "Profile", "Config", "pieces", "stage", "whole"}


def one_shot() -> Stream:
    stream = Stream.from_batches(iter(TABLE.to_batches()))
    for _ in stream:
        pass
    return stream


STREAMS: list[Callable[[], Stream]] = [
    lambda: Stream.from_table(TABLE),
    lambda: Stream.from_table(TABLE.slice(0, 0)),
    lambda: Stream.from_table(TABLE).limit(3).with_columns(y=scalar),
    lambda: Stream.from_table(EMPTY_NAME),
    lambda: Stream.from_batches(batches),
    lambda: Stream.from_batches(wrong_batches),
    lambda: Stream.from_batches(no_batches).filter(scalar),
    lambda: Stream.from_batches(failing_batches),
    lambda: Stream.from_batches_unbounded(batches, TABLE.schema),
    lambda: Stream.from_batches(async_batches),
    lambda: Stream.from_table(TABLE).map(nothing),
    lambda: Stream.from_table(TABLE).with_columns(y=failing),
    one_shot,
]


# --- calls --------------------------------------------------------------------------------------------------------------


class Hang(BaseException):
    """A call that does not come back; no `except Exception` catches it."""


def is_ours(thing: object) -> bool:
    return type(thing).__module__.partition(".")[0] == "sabot"


def public(thing: object) -> list[str]:
    """The names of an object, or of a class, that users may call or read."""
    names = [name for name in dir(thing) if not name.startswith("_") and name not in NOT_FOR_USERS]
    return names + [name for name in PROTOCOL if hasattr(type(thing), name) and is_ours(thing)]


def own_error(error: BaseException) -> bool:
    """Whether code of this file raised it: a user's function or object, or the call itself, which Python refused.

    So it is where Python refuses how a user's function is called, or what a builtin that was given as one is called with.
    """
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    files = [file for file in files if Path(file).name == HERE or "/sabot/" in file]
    if Path(files[-1]).name == HERE:
        return True
    words = re.match(r"([\w<>.]+)(\(\)| takes)", str(error))
    return (
        isinstance(error, TypeError)
        and words is not None
        and not FUNCTIONS.isdisjoint(words[1].split("."))
    )


def complaint(error: BaseException) -> str | None:
    """Why an error is not one that users should see; None when it is."""
    if isinstance(error, sb.SabotError):
        return None if str(error) and "\n  File" not in str(error) else "it says nothing"
    if isinstance(error, pa.ArrowException):
        return "a bare error of pyarrow"
    if isinstance(error, OSError | Own) or own_error(error):
        return None
    return "not typed"


def open_modules() -> list[types.ModuleType]:
    """The package, and its modules that are public."""
    names = [module.name for module in pkgutil.iter_modules(sb.__path__)]
    return [sb, *(importlib.import_module(f"sabot.{n}") for n in names if not n.startswith("_"))]


MODULES = open_modules()


class Caller:
    """Makes calls up, does them, and keeps what is wrong with how they end."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.findings: dict[str, str] = {}
        self.made: list[object] = []
        self.ends = {"result": 0, "error": 0}

    def odd(self, name: str) -> object:
        if self.made and self.random.random() < 0.05:
            return self.random.choice(self.made)
        good = GOOD.get(name)
        return self.random.choice(good if good and self.random.random() < 0.5 else ODDITIES)()

    def arguments(self, call: Callable[..., object]) -> tuple[list[object], dict[str, object]]:
        try:
            parameters = list(inspect.signature(call).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        positional: list[object] = []
        named: dict[str, object] = {}
        for parameter in parameters:
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional += [self.odd(parameter.name) for _ in range(self.random.randrange(4))]
            elif parameter.kind is parameter.VAR_KEYWORD:
                for _ in range(self.random.randrange(3)):
                    key = self.random.choice(["y", "a", "", "a b", *OPTIONS])
                    named[key] = self.odd(parameter.name)
            elif parameter.kind is parameter.KEYWORD_ONLY or named:
                if self.random.random() < 0.4:
                    named[parameter.name] = self.odd(parameter.name)
            elif parameter.default is parameter.empty or self.random.random() < 0.5:
                positional.append(self.odd(parameter.name))
            elif self.random.random() < 0.5:
                named[parameter.name] = self.odd(parameter.name)
            else:
                break
        if self.random.random() < 0.03:
            positional.append(self.odd(""))
        if self.random.random() < 0.03:
            named["zzz"] = self.odd("")
        return positional, named

    def call(self, what: str, call: Callable[..., object]) -> None:
        positional, named = self.arguments(call)
        before = set(_config._set)
        try:
            result = call(*positional, **named)
            self.use(result)
            self.ends["result"] += 1
        except Hang:
            self.ends["error"] += 1
            self.find(what, positional, named, "it does not come back")
        except BaseException as error:
            self.ends["error"] += 1
            why = complaint(error)
            if why is not None:
                self.find(what, positional, named, f"{why}: {type(error).__name__}: {error}", error)
        finally:
            for name in set(_config._set) - before:
                del _config._set[name]

    def find(
        self,
        what: str,
        positional: list[object],
        named: dict[str, object],
        why: str,
        error: BaseException | None = None,
    ) -> None:
        given = ", ".join([*map(shown, positional), *(f"{k}={shown(v)}" for k, v in named.items())])
        place = ""
        if error is not None and error.__traceback__ is not None:
            frames = [
                frame
                for frame in inspect.getinnerframes(error.__traceback__)
                if Path(frame.filename).name != HERE
            ]
            place = "".join(f" < {Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-4:]))
        self.findings.setdefault(
            f"{what}: {why.split(':')[0]} {place}", f"({given[:300]}): {why[:300]}"
        )

    def use(self, result: object) -> None:
        """A result made of nonsense must not fail later in a worse way."""
        if not is_ours(result):
            if isinstance(result, types.GeneratorType):
                with contextlib.closing(result):
                    list(itertools.islice(result, 5))
            elif inspect.isasyncgen(result) or inspect.iscoroutine(result):
                (getattr(result, "aclose", None) or result.close)()
            return
        repr(result)
        if isinstance(result, Stream):
            result.explain()
            with contextlib.closing(iter(result)) as run:
                list(itertools.islice(run, 5))
        if len(self.made) < 200:
            self.made.append(result)
        elif self.random.random() < 0.2:
            self.made[self.random.randrange(200)] = result


def shown(value: object) -> str:
    try:
        return repr(value)[:60]
    except Exception:
        return f"<{type(value).__name__}>"


def turn(caller: Caller) -> None:
    """One call: of something that the package exports, of a stream's method, or of a method of an earlier result."""
    roll = caller.random.random()
    if roll < 0.25 or not caller.made:
        owner: object = caller.random.choice(MODULES)
        names = [name for name in owner.__all__ if name not in NOT_FOR_USERS]
        name = caller.random.choice([name for name in names if callable(getattr(owner, name))])
        if roll < 0.12:
            owner = Stream
            name = caller.random.choice([n for n in public(Stream) if n.startswith("from_")])
    elif roll < 0.75:
        owner = caller.random.choice(STREAMS)()
        name = caller.random.choice(public(owner))
    else:
        owner = caller.random.choice(caller.made)
        name = caller.random.choice(public(owner) or ["__repr__"])
    if isinstance(owner, sb.Config):  # a mapping: KeyError is its answer
        return
    what = f"{getattr(owner, '__name__', type(owner).__name__)}.{name}"
    try:
        dunder = name.startswith("__") and not inspect.isclass(owner)
        call = (
            types.MethodType(getattr(type(owner), name), owner) if dunder else getattr(owner, name)
        )
    except BaseException as error:
        why = complaint(error)
        if why is not None:
            caller.find(what, [], {}, f"{why}: {type(error).__name__}: {error}", error)
        return
    if inspect.isroutine(call) or inspect.isclass(call):
        if (
            str(getattr(call, "__module__", "")).partition(".")[0] == "sabot"
        ):  # not a tuple's, not the user's own
            caller.call(what, call)


@contextlib.contextmanager
def watched() -> Iterator[Callable[[], object]]:
    """Gives a function that winds the clock up; when it runs down, the call is ended, and then the process."""

    def ring(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    faulthandler.dump_traceback_later(HANG_S * SEEDS, exit=True, file=sys.__stderr__)
    try:
        yield lambda: signal.setitimer(signal.ITIMER_REAL, HANG_S)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.filterwarnings("ignore")  # pandas and pyarrow warn of what they are given
def test_calls_that_make_no_sense(seed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pq.write_table(TABLE, "there.parquet")
    Path("there.csv").write_text("a,b\n1,2\n")
    Path("folder").mkdir()
    caller = Caller(seed)
    with watched() as wind:
        while sum(caller.ends.values()) < CALLS // SEEDS:
            wind()
            turn(caller)
    assert min(caller.ends.values()) > 0.1 * CALLS / SEEDS, caller.ends
    text = "\n".join(f"{key}\n    {value}" for key, value in sorted(caller.findings.items()))
    assert not caller.findings, f"{len(caller.findings)} findings\n{text}"


# --- named cases --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "ipc"])
@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("compresion", "compression"),
        ("mod", "mode"),
        ("partition_bye", "partition_by"),
        ("rollrows", "roll_rows"),
    ],
)
def test_a_misspelt_option_of_a_sink(tmp_path, kind, given, meant):
    write = getattr(Stream.from_table(TABLE), "to_" + kind)
    message = f"to_{kind} has no option '{given}'; did you mean '{meant}'"
    with pytest.raises(sb.PlanError, match=re.escape(message)):
        write(tmp_path / "x", **{given: "append"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["bounded", "batches", "path "])
def test_an_option_that_is_not_the_users(tmp_path, name):
    with pytest.raises(sb.PlanError, match=f"to_csv has no option '{name}'"):
        Stream.from_table(TABLE).to_csv(tmp_path / "x", **{name: True})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compression": 7}, "compression=7 is not known here"),
        ({"mode": np.array(["append", "error"])}, "mode=.* is not known"),
        ({"partition_by": {"a": 1}}, "partition_by=.* a name of a column or a list of them"),
        ({"partition_by": ["a", None]}, "partition_by=.* a name of a column or a list of them"),
        ({"partition_by": "zzz"}, "zzz"),
        ({"roll_rows": -1}, "roll_rows=-1: it is a number above 0"),
        ({"roll_rows": math.nan}, "roll_rows=nan"),
        ({"separator": sb.col("a")}, "separator=.* one ASCII character"),
        ({"separator": ",,"}, "separator=',,': it is one ASCII character"),
    ],
)
def test_a_wrong_value_of_an_option(tmp_path, options, message):
    with pytest.raises(sb.PlanError, match=message):
        Stream.from_table(TABLE).to_csv(tmp_path / "x", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["\ud800", "a\0b", ""])
def test_a_name_that_no_file_can_have(path):
    with pytest.raises(sb.PlanError):
        Stream.from_table(TABLE).to_parquet(path)
    with pytest.raises(sb.PlanError):
        Stream.from_parquet(path)


def test_a_file_object_that_is_closed():
    for write in ("to_parquet", "to_csv", "to_json", "to_ipc"):
        with pytest.raises(sb.StateError, match="is closed"):
            getattr(Stream.from_table(TABLE), write)(closed_file())


@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "ipc"])
def test_a_file_that_is_gone_or_other_when_the_stream_runs(tmp_path, kind):
    path = tmp_path / "x"
    getattr(Stream.from_table(TABLE), f"to_{kind}")(path)
    stream = getattr(Stream, f"from_{kind}")(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="x"):
        stream.collect()
    path.write_bytes(b"\xff\x00 no such format\n" * 3)
    with pytest.raises((sb.DataError, sb.PlanError), match="x"):
        stream.collect()


def test_what_fails_in_a_stream_that_a_stream_reads():
    inner = Stream.from_table(TABLE).with_columns(y=failing)
    with pytest.raises(Own, match="fails"):
        Stream.from_arrow(inner).collect()
    once = Stream.from_batches(iter(TABLE.to_batches()))
    assert Stream.from_arrow(once).collect().equals(TABLE)
    with pytest.raises(sb.StateError, match="only once"):
        Stream.from_arrow(once).collect()


def test_a_stream_of_a_table_is_made_otherwise():
    for given in (TABLE, None, [TABLE]):
        with pytest.raises(sb.PlanError, match="from_table"):
            Stream(given)


def test_names_that_there_are_twice_or_not():
    stream = Stream.from_table(TABLE)
    for call in (
        lambda: stream.rename("ab"),
        lambda: stream.rename({"a": "b"}),
        lambda: stream.rename(a="b", b="b"),
        lambda: stream.select("a", "a"),
        lambda: stream.drop("a", "zzz"),
        lambda: stream.with_columns(y=None),
        lambda: stream.with_columns(**{"": scalar}).select("zzz"),
    ):
        with pytest.raises(sb.PlanError):
            call()


def test_what_a_user_gave_stays_in_reach_after_an_error():
    """A stream that failed can be run again, and the engine with it."""
    stream = Stream.from_table(TABLE).with_columns(y=failing)
    for _ in range(20):
        with pytest.raises(Own, match="fails"):
            stream.collect()
    assert Stream.from_table(TABLE).with_columns(y=scalar).collect().num_rows == TABLE.num_rows
