"""Guards: what a function found outside itself, rebound, is seen; what only looks rebound is not."""

from __future__ import annotations

import builtins
import math
import sys
import timeit
import types

import pytest

from sabot._capture import capture
from sabot._guards import Found, frozen, tracing_active

rate = 1000
limit = 2.5
nothing = None
table = [1]
GUARDED = ("rate", "limit", "nothing", "table")


def uses_globals(x):
    for i in range(3):
        x = x * rate + limit
    return table if x is nothing else undefined_yet  # noqa: F821


@pytest.fixture
def guards():
    captured = capture(uses_globals)
    yield captured.guards
    globals().update(rate=1000, limit=2.5, nothing=None, table=[1])
    globals().pop("range", None)
    globals().pop("undefined_yet", None)
    assert captured.guards.changed() is None


def test_names_and_where_they_led(guards):
    assert guards.names == {
        "range": Found("builtin", range),
        "rate": Found("global", 1000),
        "limit": Found("global", 2.5),
        "nothing": Found("global", None),
        "table": Found("global", frozen(table)),
        "undefined_yet": Found("missing", None),
    }
    assert guards.changed() is None


def test_contents_of_a_captured_list(guards):
    globals()["table"] = [1]
    assert guards.changed() is None
    table.append(2)
    assert guards.changed() == "table"
    table.pop()
    assert guards.changed() is None
    table[0] = 2
    assert guards.changed() == "table"


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ([1, 2.5, None, "a", True], (1, 2.5, None, "a", True)),
        ({1: 2, "a": None}, ((1, 2), ("a", None))),
        (frozenset({3}), (3,)),
        ([math.nan], None),
        ({math.nan: 1}, False),
        ({math.nan}, False),
        ({1: math.inf}, ((1, math.inf),)),
        ([[1]], False),
        ([], False),
        ([0] * 257, False),
        ([1 + 0j], False),
        ((1,), False),
    ],
)
def test_what_is_frozen(value, items):
    was = frozen(value)
    assert (was is not None) is (items is not False)
    if items:
        assert was.items == items
        assert was.kind == type(value).__name__


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", 1001),
        ("rate", 1000.0),
        ("rate", True),
        ("limit", 2),
        ("limit", math.nan),
        ("nothing", 0),
        ("table", [2]),
        ("table", [1.0]),
        ("table", [True]),
        ("table", (1,)),
        ("table", [1, object()]),
        ("undefined_yet", 1),
        ("range", range),  # the same object under a new name is a rebinding all the same
    ],
)
def test_rebound_globals(guards, name, value):
    globals()[name] = value
    assert guards.changed() == name


def test_deleted_global(guards):
    del globals()["rate"]
    assert guards.changed() == "rate"


def test_equal_scalars_are_no_change(guards):
    globals().update(rate=int("1000"), limit=float("2.5"))
    assert guards.changed() is None


def test_tables_are_told_apart_by_their_items():
    names = {"one": 1000.5, "two": 2}
    numbers = {1, 2, 3}
    items = [10**6, 0.5, "x"]
    guards = capture(lambda a: items[a] if a in numbers else names[a]).guards
    items = [int("1000000"), float("0.5"), "".join("x")]
    names = dict(reversed([("two", 2), ("one", float("1000.5"))]))
    numbers = {int("3"), 2, 1}
    assert guards.changed() is None
    items[0] = 10.0**6
    assert guards.changed() == "items"
    items[0] = 10**6
    assert guards.changed() is None
    for changed in ({"one": 1000.5, "two": 2, "three": 3}, {"one": 1000.5, "two": True}, {}, items):
        names = changed
        assert guards.changed() == "names"
    names = {"one": 1000.5, "two": 2}
    numbers = frozenset(numbers)
    assert guards.changed() == "numbers"


def test_signed_zeros_and_nans():
    space = {"k": 0.0, "n": math.nan}
    fn = types.FunctionType((lambda x: x + k + n).__code__, space)  # noqa: F821
    guards = capture(fn).guards
    space["k"] = -0.0
    assert guards.changed() == "k"
    space["k"] = 0.0
    space["n"] = float("nan")
    assert guards.changed() is None
    space["n"] = -math.nan
    assert guards.changed() == "n"


def test_rebound_builtin(monkeypatch, guards):
    monkeypatch.setattr(builtins, "range", lambda *_: [])
    assert guards.changed() == "range"
    monkeypatch.undo()
    monkeypatch.delattr(builtins, "range")
    assert guards.changed() == "range"
    monkeypatch.undo()


def test_a_builtin_that_appears(monkeypatch, guards):
    monkeypatch.setattr(builtins, "undefined_yet", 1, raising=False)
    assert guards.changed() == "undefined_yet"
    monkeypatch.undo()


def test_builtins_of_their_own():
    own = {"range": list}
    fn = types.FunctionType((lambda x: range(x)).__code__, {"__builtins__": own})
    guards = capture(fn).guards
    assert guards.names["range"] == Found("builtin", list)
    # A function's builtins were settled when it was made.
    fn.__globals__["__builtins__"] = builtins
    assert guards.changed() is None
    own["range"] = range
    assert guards.changed() == "range"


def test_closure_cells():
    def make():
        k = 1

        def fn(x):
            return x + k

        def rebind(value):
            nonlocal k
            k = value

        def empty():
            nonlocal k
            del k

        return fn, rebind, empty

    fn, rebind, empty = make()
    guards = capture(fn).guards
    assert guards.names["k"] == Found("closure", 1)
    rebind(1)
    assert guards.changed() is None
    rebind(2)
    assert guards.changed() == "k"
    rebind(1)
    empty()
    assert guards.changed() == "k"
    assert capture(fn).guards.names["k"] == Found("missing", None)
    emptied = capture(fn).guards
    assert emptied.changed() is None
    rebind(None)
    assert emptied.changed() == "k"


def test_defaults_and_code():
    def fn(x, y=1, *, z=(2.5)):
        return x + y + z

    guards = capture(fn).guards
    fn.__defaults__ = (int("1"),)
    assert guards.changed() is None
    for value in ((2,), (1.0,), None, (1, 1)):
        fn.__defaults__ = value
        assert guards.changed() == "__defaults__"
    fn.__defaults__ = (1,)
    fn.__kwdefaults__["z"] = 3
    assert guards.changed() == "__kwdefaults__"
    fn.__kwdefaults__ = None
    assert guards.changed() == "__kwdefaults__"
    fn.__kwdefaults__ = {"z": 2.5}
    assert guards.changed() is None
    fn.__code__ = (lambda x, y=1, *, z=2: 0).__code__
    assert guards.changed() == "__code__"


def test_no_user_code_runs():
    class Loud:
        def __eq__(self, other):
            raise AssertionError("compared")

        __hash__ = None

    space = {"k": Loud()}
    fn = types.FunctionType((lambda x: x + k).__code__, space)  # noqa: F821
    guards = capture(fn).guards
    assert guards.changed() is None
    space["k"] = Loud()
    assert guards.changed() == "k"
    assert capture(fn).refusals == ()


def test_checks_are_quick(guards):
    turns = 2000
    best = min(timeit.repeat(guards.changed, number=turns, repeat=20)) / turns
    assert best < 20e-6  # about 1 microsecond on a machine with nothing else to do


def test_not_tracing():
    # A coverage run that sets a trace function would be seen here, and rightly.
    assert tracing_active() == (sys.gettrace() is not None or sys.getprofile() is not None)


def test_tracing():
    old = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        assert tracing_active()
    finally:
        sys.settrace(old)


def test_profiling():
    old = sys.getprofile()
    sys.setprofile(lambda *_: None)
    try:
        assert tracing_active()
    finally:
        sys.setprofile(old)


if sys.version_info >= (3, 12):

    @pytest.fixture(params=[0, 2, 3])
    def tool(request):
        sys.monitoring.use_tool_id(request.param, "test")
        yield request.param
        sys.monitoring.set_events(request.param, 0)
        sys.monitoring.free_tool_id(request.param)

    def test_a_tool_without_events_does_not_count(tool):
        assert not tracing_active(uses_globals.__code__)

    def test_a_tool_with_events_counts(tool):
        sys.monitoring.set_events(tool, sys.monitoring.events.PY_START)
        assert tracing_active()

    def test_a_tool_with_events_of_this_code_counts(tool):
        code = uses_globals.__code__
        sys.monitoring.set_local_events(tool, code, sys.monitoring.events.LINE)
        assert tracing_active(code)
        assert not tracing_active(test_tracing.__code__)
        assert not tracing_active()
        sys.monitoring.set_local_events(tool, code, 0)

    def test_coverage_does_not_count():
        tool = sys.monitoring.COVERAGE_ID
        if sys.monitoring.get_tool(tool) is not None:  # these tests run under it
            assert not tracing_active(uses_globals.__code__)
            return
        sys.monitoring.use_tool_id(tool, "test")
        try:
            sys.monitoring.set_events(tool, sys.monitoring.events.LINE)
            assert not tracing_active(uses_globals.__code__)
        finally:
            sys.monitoring.set_events(tool, 0)
            sys.monitoring.free_tool_id(tool)

    def test_instrumented_code_is_still_captured():
        def fn(x):
            for i in range(3):
                x = x + i
            return x

        tool = sys.monitoring.DEBUGGER_ID
        sys.monitoring.use_tool_id(tool, "test")
        try:
            events = sys.monitoring.events
            sys.monitoring.set_events(tool, events.LINE | events.INSTRUCTION | events.PY_START)
            for _ in range(50):
                fn(1)
            assert capture(fn).refusals == ()
        finally:
            sys.monitoring.set_events(tool, 0)
            sys.monitoring.free_tool_id(tool)


def test_warm_code_is_still_captured():
    def fn(x):
        for i in range(3):
            x = x * rate + i
        return x

    for _ in range(5000):
        fn(1)
    assert capture(fn).refusals == ()


def test_a_metaclass_is_not_asked():
    asked = []

    class Meta(type):
        def __hash__(cls):
            asked.append("hash")
            return 0

        def __eq__(cls, other):
            asked.append("equal")
            return True

    class Odd(metaclass=Meta):
        pass

    odd = Odd()
    captured = capture(lambda x: odd if x else odd.value)
    assert captured.guards.changed() is None
    odd = Odd()
    assert captured.guards.changed() == "odd"
    assert frozen(odd) is None
    assert asked == []
