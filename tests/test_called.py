"""What functions call and read: partial objects, methods and attributes of plain objects, modules imported inside."""

from __future__ import annotations

import abc
import enum
import functools
import importlib
import math
import operator
import re
import sys
import types
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa
import pytest
from capturing import body, load, refused
from support import TIERS

import sabot as sb
from sabot import Stream, col
from sabot._blob import dump
from sabot._capture import capture
from sabot._objects import member

TABLE = pa.table({"x": [3, -1, 0, None, 2**62], "y": [0.5, 2.0, None, -0.0, 1e300]})


def outcomes(fn, table=TABLE):
    """What each row gives in CPython: a value with its type, or an exception's type."""
    rows = table.to_pylist()
    names = [name for name in table.column_names if name in {p.name for p in capture(fn).params}]
    made = []
    for row in rows:
        try:
            value = fn(**{name: row[name] for name in names})
            if type(value) is int and value.bit_length() > 63:
                raise OverflowError
            made.append((type(value), value))
        except Exception as error:
            made.append((type(error), None))
    return made


def check(fn, table=TABLE, compiled=True):
    """A function gives in every tier what CPython gives, row by row."""
    report = sb.explain(fn, table.schema)
    assert (report.mode == "compiled") == compiled, report
    for row, (kind, value) in enumerate(outcomes(fn, table)):
        for tier in TIERS:
            stream = Stream.from_table(table.slice(row, 1)).with_columns(z=fn)
            with sb.config(tier=tier):
                if isinstance(kind, type) and issubclass(kind, Exception):
                    with pytest.raises(kind):
                        stream.collect()
                    continue
                got = stream.collect()["z"][0].as_py()
            assert type(got) is kind or type(got) is float, (row, got, value)
            assert repr(got) == repr(type(got)(value) if value is not None else None), (row, tier)


def rebinding(fn, change, table=TABLE.slice(0, 2)):
    """A stream that was built sees a change at its next run; gives the results before and after."""
    stream = Stream.from_table(table).with_columns(z=fn)
    assert sb.explain(fn, table.schema).mode == "compiled"
    before = stream.collect()["z"].to_pylist()
    assert capture(fn).guards.changed() is None
    guards = capture(fn).guards
    change()
    assert guards.changed() is not None
    after = stream.collect()["z"].to_pylist()
    assert after == [value for _, value in outcomes(fn, table)]
    typed = sb.udf(fn, returns=stream.collect()["z"].type)
    again = Stream.from_table(table).with_columns(z=typed).collect()["z"].to_pylist()
    assert again == after != before
    return before, after


# --- functools.partial


def weighted(x, weight, bonus=1, *, scale=1):
    return None if x is None else (x % 1000 * weight + bonus) * scale


def clipped(low, high, x):
    low = low if low is not None else -10
    x = min(max(x or 0, low), high)
    return x


def positional(a, b, /, x, c=4):
    return (x or 0) % 100 + 10 * a + 100 * b + 1000 * c


PARTIALS = {
    "by name": functools.partial(weighted, weight=3),
    "by name, a float": functools.partial(weighted, weight=0.5, scale=2),
    "by position": functools.partial(clipped, 0, 50),
    "a bound parameter that is bound anew": functools.partial(clipped, None, 7),
    "nested": functools.partial(functools.partial(clipped, 1), 9),
    "nested by name": functools.partial(functools.partial(weighted, weight=3), weight=4, bonus=0),
    "positional only": functools.partial(positional, 1, 2),
    "a default": functools.partial(positional, 1, 2, c=0),
    "of a lambda": functools.partial(lambda k, x: (x or 1) // k, 7),
    "None": functools.partial(lambda k, x: x if k is None else k, None),
    "a tuple": functools.partial(lambda t, x: t[1] if x is None else t[0], (1.5, 2.5)),
    "a function": functools.partial(lambda f, x: f(x or 0), lambda v: v % 7 + 1),
    "a module": functools.partial(lambda m, y: m.sqrt(y), math),
    "all by name behind one": functools.partial(lambda k, x, y: (k, x, y)[1], k=2),
}


@pytest.mark.parametrize("name", PARTIALS)
def test_partials(name):
    check(PARTIALS[name])


def test_parameters_of_a_partial():
    captured = capture(functools.partial(lambda a, b, c, *, d, e=5: a, 1, c=2))
    assert [(p.name, p.kind, p.has_default) for p in captured.params] == [
        ("b", "positional", False),
        ("d", "keyword_only", False),
        ("e", "keyword_only", True),
    ]
    captured = capture(functools.partial(lambda a, b, c: a, b=2))
    assert [(p.name, p.kind) for p in captured.params] == [
        ("a", "positional"),
        ("c", "keyword_only"),
    ]
    assert dump(captured.blob).split("\n")[1] == "locals 0:a 1:c"


def test_what_is_bound_is_no_column():
    """The function is given the constant although there is a column of that name."""
    table = pa.table({"x": [1, 2], "weight": [100, 200]})
    got = Stream.from_table(table).with_columns(z=functools.partial(weighted, weight=3)).collect()
    assert got["z"].to_pylist() == [4, 7]


def test_partials_are_told_apart():
    first, second = functools.partial(weighted, weight=3), functools.partial(weighted, weight=3.0)
    third, fourth = functools.partial(weighted, 3), functools.partial(weighted, weight=True)
    blobs = {capture(fn).blob for fn in (first, second, third, fourth)}
    assert len(blobs) == 4
    assert capture(functools.partial(weighted, weight=3)).blob == capture(first).blob
    late = [capture(functools.partial(clipped, low, 7)).blob for low in (1, 2, 1.0)]
    assert len(set(late)) == 3


def test_apply_of_a_partial():
    table = pa.table({"a": [1, 2], "c": [7, 8]})
    stream = Stream.from_table(table)
    made = stream.with_columns(z=sb.apply(functools.partial(positional, 1, 2), col("a"), col("c")))
    assert made.collect()["z"].to_pylist() == [positional(1, 2, 1, 7), positional(1, 2, 2, 8)]
    made = stream.with_columns(
        z=sb.apply(functools.partial(weighted, weight=2), x=col("c"), scale=3)
    )
    assert made.collect()["z"].to_pylist() == [weighted(7, 2, scale=3), weighted(8, 2, scale=3)]
    with pytest.raises(sb.PlanError):
        sb.apply(functools.partial(positional, 1, 2), a=col("a"))


def test_nulls_skipped_by_a_partial():
    fn = sb.udf(functools.partial(lambda k, x: x + k, 2), nulls="skip", compile="require")
    got = Stream.from_table(TABLE.slice(2, 2)).with_columns(z=fn).collect()["z"]
    assert got.to_pylist() == [2, None]


def test_auto_compile_of_a_partial():
    fn = sb.auto_compile(functools.partial(weighted, weight=3))
    got = fn(pa.array([1, 2, None] * 10))
    assert got.to_pylist() == [4, 7, None] * 10 and got.type == pa.int64()


def test_records_of_a_partial():
    fn = functools.partial(lambda key, row: row[key] + 1, "x")
    got = Stream.from_table(TABLE.slice(0, 2)).with_columns(z=fn).collect()["z"]
    assert got.to_pylist() == [4, 0]


def test_a_batch_function_by_partial():
    fn = functools.partial(lambda count, batch: batch.slice(0, count), 2)
    assert Stream.from_table(TABLE).map(fn).collect().num_rows == 2


half = functools.partial(weighted, weight=0.5)
double = functools.partial(operator.mul, 2)
cube = functools.partial(pow)
unknown = functools.partial(re.escape)
rounded = functools.partial(round, ndigits=1)
wrong = functools.partial(weighted, 1, x=2)


def calls_partials(x, y):
    return half(x) + double(y) + cube(y, 2) + rounded(y)


def overrides(x):
    return half(x, weight=2)


def test_partials_that_are_called():
    check(calls_partials)
    assert refused(overrides)[0] == "syntax"
    assert refused(lambda x: half(x, 2))[0] == "syntax"  # weight twice: it always raises
    assert refused(lambda x: wrong(x))[:2] == (
        "signature",
        "what a partial object gives does not fit, in weighted",
    )
    assert refused(lambda x: unknown(x))[0] == "unknown_call"


def test_a_rebound_partial(monkeypatch):
    def fn(x):
        return half(x) + 1

    rebinding(
        fn,
        lambda: monkeypatch.setitem(globals(), "half", functools.partial(weighted, weight=0.25)),
    )


def test_a_partial_whose_contents_change():
    given = functools.partial(weighted, weight=3)
    rebinding(given, lambda: given.keywords.update(weight=4))
    rebinding(given, lambda: given.__setstate__((weighted, (), {"weight": 5}, {})))


def test_a_subclass_of_partial_is_none():
    class Own(functools.partial):
        pass

    assert capture(Own(weighted, 1)).blob is None


# --- import inside


def with_imports(x, y):
    import math as m
    from math import pi
    from math import sqrt as root

    if x is None:
        import operator

        return operator.neg(pi)
    return root(abs(x)) + m.floor(y) + pi


def with_a_nested_function(y):
    from math import floor

    def down(v):
        return floor(v) + 1

    return down(y)


@pytest.mark.parametrize("fn", [with_imports, with_a_nested_function])
def test_imports(fn):
    check(fn)


BEFORE = {
    "before": "def f(y):\n    z = math.sqrt(y)\n    import math\n    return z",
    "outside its block": "def f(y):\n    if y:\n        import math\n    return math.sqrt(y)",
    "twice": "def f(y):\n    import math\n    import cmath as math\n    return math.sqrt(y)",
    "in the test": "def f(y):\n    while math.sqrt(y) > 2:\n        import math\n    return y",
    "global": "def f(y):\n    global math\n    import math\n    return math.sqrt(y)",
    "bound anew": "def f(y):\n    import math\n    math = y\n    return y",
    "relative": "def f(y):\n    from .math import sqrt\n    return sqrt(y)",
    "a parameter": "def f(y):\n    import math as y\n    return y.sqrt(2)",
}


@pytest.mark.parametrize("name", BEFORE)
def test_imports_that_may_not_come_first(tmp_path, name):
    fn = load(tmp_path, f"import cmath\nimport math\n{BEFORE[name]}\n").f
    assert "import inside a function" in dump(capture(fn).blob)


def test_nothing_is_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "not_yet_there.py").write_text("RATE = 3\n")
    module = load(tmp_path, "def f(x):\n    from not_yet_there import RATE\n    return x * RATE\n")
    assert "not_loaded 'not_yet_there'" in dump(capture(module.f).blob)
    assert "not_yet_there" not in sys.modules
    stream = Stream.from_table(TABLE.slice(0, 2)).with_columns(
        z=sb.udf(module.f, returns=pa.int64())
    )
    assert stream.collect()["z"].to_pylist() == [9, -3]  # CPython imported it
    assert sb.explain(module.f, TABLE.schema).mode == "compiled"
    monkeypatch.delitem(sys.modules, "not_yet_there")


def test_an_imported_module_that_changes(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rates_of_test", types.ModuleType("rates_of_test"))
    sys.modules["rates_of_test"].RATE = 3
    text = "def f(x):\n    from rates_of_test import RATE\n    return x * RATE\n"
    module = load(tmp_path, text)
    rebinding(module.f, lambda: setattr(sys.modules["rates_of_test"], "RATE", 4))
    other = types.ModuleType("rates_of_test")
    other.RATE = 5
    rebinding(module.f, lambda: monkeypatch.setitem(sys.modules, "rates_of_test", other))
    monkeypatch.delitem(sys.modules, "rates_of_test")
    with pytest.raises(ModuleNotFoundError):
        Stream.from_table(TABLE).with_columns(z=sb.udf(module.f, returns=pa.int64())).collect()


def test_another_import_function(tmp_path):
    space = {"__builtins__": {"__import__": lambda *_: math}, "__name__": "own"}
    path = tmp_path / "own.py"
    path.write_text("def f(y):\n    import operator\n    return operator.sqrt(y)\n")
    exec(compile(path.read_text(), str(path), "exec"), space)
    assert space["f"](4.0) == 2.0
    assert "not_loaded 'operator'" in dump(capture(space["f"]).blob)
    assert sb.explain(space["f"], TABLE.schema).mode == "interpreted"


def test_a_module_of_its_own_class_is_not_read(tmp_path, monkeypatch):
    class Odd(types.ModuleType):
        pass

    monkeypatch.setitem(sys.modules, "odd_of_test", Odd("odd_of_test"))
    module = load(tmp_path, "def f(x):\n    import odd_of_test\n    return x\n")
    assert refused(module.f)[:2] == ("not_loaded", "odd_of_test")


# --- objects


class Plain:
    BASE = 100
    table = (1.0, 2.5, 4.0)

    def __init__(self, rate, offset=None):
        self.rate = rate
        self.offset = offset
        self.__hidden = 3

    def scored(self, x):
        return (x or 0) % 1000 * self.rate + self.BASE + self.__hidden

    def by_table(self, x):
        if x is None:
            return self.offset
        return self.table[1] + self._half(x) + self.shift(1) + self.of_class(2)

    def _half(self, x):
        return x % 100 / 2

    @staticmethod
    def shift(x):
        return x + 1

    @classmethod
    def of_class(cls, x):
        return cls.BASE * x

    @property
    def both(self):
        return self.rate + self.BASE

    def by_property(self, x):
        return self.both if x is None else self.both + x % 5

    def __call__(self, x):
        return self.scored(x)

    def changes(self, x) -> int:
        self.rate = x
        return x

    def counts(self, x) -> int:
        self.rate += 1
        return x


class Child(Plain):
    BASE = 7

    def scored(self, x):
        return self.both if x is None else x % 10 + self.BASE


@dataclass(frozen=True, slots=True)
class Frozen:
    low: int
    high: float = 2.5
    inner: Plain = field(default_factory=lambda: Plain(2))

    def between(self, y):
        return y is not None and self.low <= y <= self.high

    def deep(self, x):
        return self.inner.scored(x) + self.inner.rate


class Point(NamedTuple):
    a: int
    b: float = 0.25

    def line(self, y):
        return self.a * (y or 0.0) + self.b


class Slots:
    __slots__ = ("k",)

    def __init__(self, k):
        self.k = k

    def times(self, y):
        return self.k * (1.0 if y is None else y)


class Abstract(abc.ABC):
    factor = 3

    def run(self, x):
        return self.step((x or 0) % 50) * self.factor

    @abc.abstractmethod
    def step(self, x): ...


class Concrete(Abstract):
    def step(self, x):
        return x + 1


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 3


class Color(enum.Enum):
    RED = 10
    BLUE = 0.5


plain, child, frozen, point, slots = Plain(3), Child(2.5, 4), Frozen(1), Point(2), Slots(1.5)
concrete = Concrete()
METHODS = {
    "of a plain object": plain.scored,
    "that reads a tuple": child.by_table,
    "overridden": child.scored,
    "with a property": plain.by_property,
    "of a frozen dataclass": frozen.between,
    "through an inner object": frozen.deep,
    "of a NamedTuple": point.line,
    "of an object with slots": slots.times,
    "of an abstract class's child": concrete.run,
    "static": Plain.shift,
    "of a class": Child.of_class,
    "of a partial": functools.partial(Plain.scored, plain),
    "partial of a bound one": functools.partial(lambda f, x: f(x), plain.scored),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods(name):
    check(METHODS[name])


CALLING = {
    "attributes": lambda x: (
        (x or 0) % 9 + plain.rate * frozen.high + point.a + slots.k + Plain.BASE
    ),
    "methods": lambda x: plain.scored(x) + child.by_table(x) + frozen.deep(x),
    "two objects of a class": lambda x: plain.by_property(x) + child.by_property(x),
    "a property": lambda x: plain.both if x is None else child.both,
    "a class": lambda x: Plain.shift((x or 0) % 7) + Child.of_class(2) + Child.BASE,
    "an object that is called": lambda x: plain(x) - child(x),
    "NamedTuple": lambda y: point.line(y) * point.b,
    "an enumeration": lambda x: (
        Color.RED.value + Color.BLUE.value if x is None else Color.RED.value
    ),
    "members of an IntEnum": lambda x: (
        x == Level.LOW or x in (Level.HIGH, 2) or (x or 1) < Level.HIGH
    ),
    "computing with an IntEnum": lambda x: (x or 0) % 10 * Level.HIGH - Level.LOW,
}


@pytest.mark.parametrize("name", CALLING)
def test_calls_of_methods(name):
    check(CALLING[name])


def test_attributes_that_are_rebound():
    own = Plain(3)

    def fn(x):
        return own.scored(x) + own.rate

    for target in (own.scored, fn):
        own.rate = 3
        rebinding(target, lambda: setattr(own, "rate", 4))
    own.rate = 3
    guards = capture(fn).guards
    own.rate = int("3")
    assert guards.changed() is None
    own.offset = 5  # not read
    assert guards.changed() is None
    del own.rate
    assert guards.changed() == ".rate"


def test_methods_that_are_replaced(monkeypatch):
    own = Child(3)

    def fn(x):
        return own.scored(x)

    rebinding(fn, lambda: monkeypatch.setattr(Child, "scored", lambda self, x: 1))
    monkeypatch.undo()
    rebinding(fn, lambda: monkeypatch.setattr(Child, "BASE", 8))
    monkeypatch.undo()
    rebinding(fn, lambda: setattr(own, "scored", lambda x: 2))  # an attribute goes before a method
    del own.scored
    rebinding(fn, lambda: setattr(own, "__class__", Plain))
    own.__class__ = Child
    rebinding(fn, lambda: monkeypatch.setattr(Child, "__getattribute__", lambda s, n: lambda x: 5))


def test_a_bound_method_stays_what_it_was(monkeypatch):
    """The object that was given holds its function, whatever becomes of the class."""
    given = Child(3).scored
    before = Stream.from_table(TABLE).with_columns(z=given).collect()
    monkeypatch.setattr(Child, "scored", lambda self, x: 1)
    assert capture(given).guards.changed() is None
    assert Stream.from_table(TABLE).with_columns(z=given).collect().equals(before)


def test_a_property_that_is_replaced(monkeypatch):
    rebinding(plain.by_property, lambda: monkeypatch.setattr(Plain, "both", property(lambda s: 1)))


def test_call_that_is_replaced(monkeypatch):
    def fn(x):
        return plain(x)

    rebinding(fn, lambda: monkeypatch.setattr(Plain, "__call__", lambda self, x: 1))


def test_values_are_told_apart():
    blobs = {capture(Plain(rate).scored).blob for rate in (1, 2, 1.0, True)}
    assert len(blobs) == 4
    assert capture(Plain(1).scored).blob in blobs

    def with_object(own):
        return lambda x: own.scored(x)

    assert len({capture(with_object(Plain(rate))).blob for rate in (1, 2, 1.0)}) == 3
    assert len({capture(with_object(kind(1))).blob for kind in (Plain, Child)}) == 2


class Descriptor:
    def __get__(self, instance, owner):
        raise AssertionError("it ran")


class Loud:
    CONST = Descriptor()

    def __getattr__(self, name):
        raise AssertionError("it ran")


class Louder:
    def __getattribute__(self, name):
        raise AssertionError("it ran")


class Meta(type):
    def __getattribute__(cls, name):
        raise AssertionError("it ran")


class OfMeta(metaclass=Meta):
    CONST = 3


class OwnDict:
    @property
    def __dict__(self):
        raise AssertionError("it ran")


class Held:
    value = Descriptor()
    rates = [1, 2]  # noqa: RUF012

    @functools.cached_property
    def late(self):
        return 3

    @property
    def sure(self):
        raise AssertionError("it ran")


loud, louder, odd, held = Loud(), Louder(), OwnDict(), Held()
REFUSED = {
    "__getattr__": (lambda x: loud.rate, "captured", "loud.rate"),
    "__getattribute__": (lambda x: louder.rate, "captured", "louder.rate"),
    "a metaclass": (lambda x: OfMeta.CONST, "captured", "OfMeta.CONST"),
    "a dictionary of its own": (lambda x: odd.rate, "captured", "odd.rate"),
    "a descriptor": (lambda x: held.value, "captured", "held.value"),
    "a descriptor of a class": (lambda x: Held.value, "captured", "Held.value"),
    "a cached property": (lambda x: held.late, "captured", "held.late"),
    "a list as value": (lambda x: held.rates, "captured", "held.rates"),
    "nothing": (lambda x: held.nothing, "captured", "held.nothing"),
    "an object": (lambda x: held, "captured", "held"),
    "a member as value": (lambda x: Level.HIGH, "captured", "Level.HIGH"),
    "identity of a member": (lambda x: x is Level.HIGH, "captured", "Level.HIGH"),
    "a call of __getattr__": (lambda x: loud.score(x), "unknown_call", "loud.score(x)"),
    "the class of an object": (lambda x: plain.__class__.BASE, "captured", "plain"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read(name):
    fn, code, place = REFUSED[name]
    found = refused(fn)
    assert (found[0], found[2]) == (code, place), found


class Tables:
    def __init__(self):
        self.rates = [0.5, 1.5, 2.5]
        self.by_code = {1: 10, 2: 20}

    def rate(self, x):
        return self.rates[(x or 0) % 3] + self.by_code[1]


def test_lists_and_dicts_of_objects():
    own = Tables()
    check(own.rate)
    rebinding(own.rate, lambda: own.rates.__setitem__(0, 0.25))
    rebinding(own.rate, lambda: own.by_code.update({1: 11}))
    # The names of what stands for a container are none of its attributes.
    assert refused(lambda x: own.by_code.kind)[0] in ("captured", "syntax")
    assert refused(lambda x: own.by_code.items)[0] in ("captured", "syntax")


@pytest.mark.parametrize("method", [plain.changes, plain.counts])
def test_methods_that_write(method):
    assert refused(method)[0] == "impure"
    before = plain.rate
    try:
        stream = Stream.from_table(TABLE.slice(0, 2)).with_columns(z=method)
        assert stream.collect()["z"].to_pylist() == [3, -1]  # in CPython, row by row
    finally:
        plain.rate = before


def test_self_that_is_bound_anew():
    class Odd:
        rate = 3

        def fn(self, x):
            self = x  # noqa: PLW0642
            return self

    assert refused(Odd().fn)[0] == "captured"


def test_operators_of_an_int_enum():
    class Own(enum.IntEnum):
        A = 1

        def __radd__(self, other):
            return 99

    class Flags(enum.IntFlag):
        A = 1

    assert refused(lambda x: x + Own.A)[0] == "captured"
    assert refused(lambda x: x + Flags.A)[0] == "captured"


def test_members():
    assert member(plain, "rate") == ("value", plain.rate, None)
    assert member(plain, "scored") == ("method", Plain.scored, plain)
    assert member(child, "of_class") == ("method", Plain.of_class.__func__, Child)
    assert member(Child, "shift") == ("value", Plain.shift, None)
    assert member(Plain, "both").how == "refused"
    assert member(Level, "HIGH") == ("value", Level.HIGH, None)
    assert member(Color.RED, "name") == ("value", "RED", None)
    assert member(3, "real").how == member([], "append").how == "refused"


def test_a_method_that_is_read_anew_with_its_module(tmp_path):
    module = load(tmp_path, "class A:\n    k = 2\n    def f(self, x):\n        return x * self.k\n")
    assert body(module.A().f)[-1] == "    CONST_INT 2"


def test_called_code_that_is_gone_is_not_taken_for_other_code(tmp_path, monkeypatch):
    """Code objects may be made where old ones were: what was written of those must not stand for them."""
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "calling_others.py"
    path.write_text("def fn(x):\n    return other(x)\n")
    module = importlib.import_module("calling_others")
    for k in range(1, 60):
        source = tmp_path / f"other_{k}.py"
        source.write_text(f"def other(x):\n    return x + {k}\n")
        space = {"__name__": "calling_others"}
        exec(compile(source.read_text(), str(source), "exec"), space)
        module.other = space["other"]
        del space
        assert f"CONST_INT {k}" in dump(capture(module.fn).blob)
        del module.other
