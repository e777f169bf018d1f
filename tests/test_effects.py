"""What acts outside itself is not compiled, and CPython runs it: each effect once a row, in order, whatever runs beside it."""

from __future__ import annotations

import io
from typing import NamedTuple

import pyarrow as pa
import pytest
from support import cell

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api

ROWS = [3, 1, 2, 2, 40, 0, 7, 5, 11, 8, 6, 9, 4]


class Effect(NamedTuple):
    """A text that defines `f`, the code of its first reason, its report, and what is left behind, as an expression."""

    code: str
    text: str
    report: str
    state: str


# fmt: off
EFFECTS = {
    'print': Effect(
        'impure',
        """
def f(a) -> int:
    print(a)
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    print(a)
              ^^^^^^^^
  it reads or writes outside the function: print
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'None',
    ),
    'open': Effect(
        'impure',
        """
def f(a) -> int:
    file = open(path, 'a')
    file.write(f'{a} ')
    file.close()
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    file = open(path, 'a')
                     ^^^^^^^^^^^^^^^
  it reads or writes outside the function: open
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'path.read_text()',
    ),
    'with open': Effect(
        'syntax',
        """
def f(a) -> int:
    with open(path, 'a') as file:
        return file.write(f'{a} ')
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    with open(path, 'a') as file:
              ^^^^
  this form is not compiled yet: with
  write it with forms that are, or give this part a function and a column of its own
""",
        'path.read_text()',
    ),
    'input': Effect(
        'impure',
        """
def f(a) -> int:
    return a + int(input())
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return a + int(input())
                             ^^^^^^^
  it reads or writes outside the function: input
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'None',
    ),
    'random.random': Effect(
        'unknown_call',
        """
import random
random.seed(7)
def f(a) -> float:
    return a + random.random()
""",
        """
f(a: int64) -> double                                      interpreted   scalar
  <cell>:4    return a + random.random()
                         ^^^^^^^^^^^^^^^
  Sabot does not know what this call reads or writes: random.random
  write it with operators, math or functions of your own, or give it a column of its own
""",
        'random.getstate()',
    ),
    'random.seed': Effect(
        'unknown_call',
        """
import random
def f(a) -> int:
    random.seed(a)
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    random.seed(a)
              ^^^^^^^^^^^^^^
  Sabot does not know what this call reads or writes: random.seed
  write it with operators, math or functions of your own, or give it a column of its own
""",
        'random.getstate()',
    ),
    'time.time': Effect(
        'unknown_call',
        """
import time
def f(a) -> int:
    return a + (time.time() > 0)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return a + (time.time() > 0)
                          ^^^^^^^^^^^
  Sabot does not know what this call reads or writes: time.time
  write it with operators, math or functions of your own, or give it a column of its own
""",
        'None',
    ),
    'datetime.now': Effect(
        'unknown_call',
        """
from datetime import datetime
def f(a) -> int:
    return a + (datetime.now().year > 0)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return a + (datetime.now().year > 0)
                          ^^^^^^^^^^^^^^
  Sabot does not know what this call reads or writes: datetime.now
  write it with operators, math or functions of your own, or give it a column of its own
""",
        'None',
    ),
    'a global': Effect(
        'impure',
        """
n = 0
def f(a) -> int:
    global n
    n = 10 * n + a
    return n
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    global n
              ^^^^^^^^
  it reads or writes outside the function: global n
  only compute and return here; what else is done for a row stays in a function that CPython runs
  <cell>:4    n = 10 * n + a
              ^
  it reads or writes outside the function: assignment to n, which is not a local
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'n',
    ),
    'del of a global': Effect(
        'impure',
        """
n = 0
def f(a) -> int:
    global n
    del n
    n = a
    return a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    global n
              ^^^^^^^^
  it reads or writes outside the function: global n
  only compute and return here; what else is done for a row stays in a function that CPython runs
  <cell>:4    del n
                  ^
  it reads or writes outside the function: assignment to n, which is not a local
  only compute and return here; what else is done for a row stays in a function that CPython runs
  <cell>:5    n = a
              ^
  it reads or writes outside the function: assignment to n, which is not a local
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'n',
    ),
    'a nonlocal': Effect(
        'impure',
        """
def outer():
    n = 0
    def f(a) -> int:
        nonlocal n
        n += a
        return n
    return f
f = outer()
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:4    nonlocal n
              ^^^^^^^^^^
  it reads or writes outside the function: nonlocal n
  only compute and return here; what else is done for a row stays in a function that CPython runs
  <cell>:5    n += a
              ^
  it reads or writes outside the function: assignment to n, which is not a local
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'f.__closure__[0].cell_contents',
    ),
    'an attribute': Effect(
        'impure',
        """
class Box:
    seen = ()
box = Box()
def f(a) -> int:
    box.seen = (*box.seen, a)
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:5    box.seen = (*box.seen, a)
              ^^^^^^^^
  it reads or writes outside the function: assignment to attribute .seen
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'box.seen',
    ),
    'an augmented attribute': Effect(
        'impure',
        """
class Box:
    n = 0
box = Box()
def f(a) -> int:
    box.n += a
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:5    box.n += a
              ^^^^^
  it reads or writes outside the function: assignment to attribute .n
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'box.n, Box.n',
    ),
    'an attribute of a class': Effect(
        'impure',
        """
class Box:
    n = 0
def f(a) -> int:
    Box.n = a - Box.n
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:4    Box.n = a - Box.n
              ^^^^^
  it reads or writes outside the function: assignment to attribute .n
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'Box.n',
    ),
    'an attribute of the function': Effect(
        'impure',
        """
def f(a) -> int:
    f.n = getattr(f, 'n', 0) - a
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    f.n = getattr(f, 'n', 0) - a
              ^^^
  it reads or writes outside the function: assignment to attribute .n
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'f.n',
    ),
    'setattr': Effect(
        'impure',
        """
class Box:
    n = 0
box = Box()
def f(a) -> int:
    setattr(box, 'n', a - box.n)
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:5    setattr(box, 'n', a - box.n)
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  it reads or writes outside the function: setattr
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'box.n',
    ),
    'delattr': Effect(
        'impure',
        """
class Box:
    pass
box = Box()
def f(a) -> int:
    box.n = a
    delattr(box, 'n')
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:5    box.n = a
              ^^^^^
  it reads or writes outside the function: assignment to attribute .n
  only compute and return here; what else is done for a row stays in a function that CPython runs
  <cell>:6    delattr(box, 'n')
              ^^^^^^^^^^^^^^^^^
  it reads or writes outside the function: delattr
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'vars(box)',
    ),
    'an item of a list': Effect(
        'impure',
        """
last = [0]
def f(a) -> int:
    last[0] = a - last[0]
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    last[0] = a - last[0]
              ^^^^^^^
  it reads or writes outside the function: assignment to an item
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'last',
    ),
    'an item of a dict': Effect(
        'impure',
        """
counts = {}
def f(a) -> int:
    counts[a] = len(counts)
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    counts[a] = len(counts)
              ^^^^^^^^^
  it reads or writes outside the function: assignment to an item
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'counts',
    ),
    'an augmented item': Effect(
        'impure',
        """
total = [0]
def f(a) -> int:
    total[0] += a
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    total[0] += a
              ^^^^^^^^
  it reads or writes outside the function: assignment to an item
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'total',
    ),
    'del of an item': Effect(
        'impure',
        """
left = list(range(100))
def f(a) -> int:
    del left[a]
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    del left[a]
                  ^^^^^^^
  it reads or writes outside the function: assignment to an item
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'left',
    ),
    'an augmented name': Effect(
        'impure',
        """
seen = []
def f(a) -> int:
    global seen
    seen += [a]
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    global seen
              ^^^^^^^^^^^
  it reads or writes outside the function: global seen
  only compute and return here; what else is done for a row stays in a function that CPython runs
  <cell>:4    seen += [a]
              ^^^^
  it reads or writes outside the function: assignment to seen, which is not a local
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'seen',
    ),
    'append': Effect(
        'impure',
        """
seen = []
def f(a) -> int:
    seen.append(a)
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    seen.append(a)
              ^^^^^^^^^^^^^^
  it reads or writes outside the function: seen.append changes a captured list
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'seen',
    ),
    'update of a dict': Effect(
        'impure',
        """
seen = {}
def f(a) -> int:
    seen.update({a: len(seen)})
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    seen.update({a: len(seen)})
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  it reads or writes outside the function: seen.update changes a captured dict
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'seen',
    ),
    'add to a set': Effect(
        'impure',
        """
seen = set()
def f(a) -> int:
    seen.add(a)
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    seen.add(a)
              ^^^^^^^^^^^
  it reads or writes outside the function: seen.add changes a captured set
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'seen',
    ),
    'a default that is changed': Effect(
        'captured',
        """
def f(a, seen=[]) -> int:
    seen.append(a)
    return len(seen)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:1    def f(a, seen=[]) -> int:
                            ^^
  a captured object of this type is not compiled: list
  captured numbers, booleans, None and strings are, and what holds only such and is only read
""",
        'f.__defaults__',
    ),
    'next': Effect(
        'impure',
        """
numbers = iter(range(1000))
def f(a) -> int:
    return a + next(numbers)
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return a + next(numbers)
                         ^^^^^^^^^^^^^
  it reads or writes outside the function: next changes a captured iterator
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'next(numbers)',
    ),
    'a loop over an iterator': Effect(
        'captured',
        """
numbers = iter(range(1000))
def f(a) -> int:
    for n in numbers:
        return a + n
    return a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    for n in numbers:
                       ^^^^^^^
  a captured object of this type is not compiled: range_iterator
  captured numbers, booleans, None and strings are, and what holds only such and is only read
""",
        'next(numbers)',
    ),
    'in an iterator': Effect(
        'captured',
        """
numbers = iter(range(1000))
def f(a) -> bool:
    return a in numbers
""",
        """
f(a: int64) -> bool                                        interpreted   scalar
  <cell>:3    return a in numbers
                          ^^^^^^^
  a captured object of this type is not compiled: range_iterator
  captured numbers, booleans, None and strings are, and what holds only such and is only read
""",
        'list(numbers)',
    ),
    'a property': Effect(
        'impure',
        """
class Clock:
    n = 0
    @property
    def ticks(self):
        self.n += 1
        return self.n
clock = Clock()
def f(a) -> int:
    return a + clock.ticks
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:9    return a + clock.ticks
                         ^^^^^^^^^^^
  it reads or writes outside the function: assignment to attribute .n, in ticks
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'clock.n',
    ),
    'an operator of an object': Effect(
        'captured',
        """
class Sums:
    n = 0
    def __add__(self, other):
        self.n = other - self.n
        return self.n
sums = Sums()
def f(a) -> int:
    return sums + a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:8    return sums + a
                     ^^^^
  a captured object of this type is not compiled: Sums
  captured numbers, booleans, None and strings are, and what holds only such and is only read
""",
        'sums.n',
    ),
    'os.environ': Effect(
        'captured',
        """
import os
def f(a) -> int:
    return a + len(os.environ['PATH'])
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return a + len(os.environ['PATH'])
                             ^^^^^^^^^^
  a captured object of this type is not compiled: os._Environ
  captured numbers, booleans, None and strings are, and what holds only such and is only read
""",
        'None',
    ),
    'os.getenv': Effect(
        'unknown_call',
        """
import os
def f(a) -> int:
    return a + len(os.getenv('PATH'))
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return a + len(os.getenv('PATH'))
                             ^^^^^^^^^^^^^^^^^
  Sabot does not know what this call reads or writes: os.getenv
  write it with operators, math or functions of your own, or give it a column of its own
""",
        'None',
    ),
    'globals': Effect(
        'unknown_call',
        """
n = 0
def f(a) -> int:
    return globals().get('n') + a
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return globals().get('n') + a
                     ^^^^^^^^^
  Sabot does not know what this call reads or writes: globals
  write it with operators, math or functions of your own, or give it a column of its own
""",
        'n',
    ),
    'an item of globals': Effect(
        'impure',
        """
n = 0
def f(a) -> int:
    globals()['n'] = a - n
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    globals()['n'] = a - n
              ^^^^^^^^^^^^^^
  it reads or writes outside the function: assignment to an item
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'n',
    ),
    'exec': Effect(
        'impure',
        """
seen = []
def f(a) -> int:
    exec('seen.append(a)')
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    exec('seen.append(a)')
              ^^^^^^^^^^^^^^^^^^^^^^
  it reads or writes outside the function: exec
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'seen',
    ),
    'eval': Effect(
        'impure',
        """
def f(a) -> int:
    return eval('a + 1')
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:2    return eval('a + 1')
                     ^^^^^^^^^^^^^
  it reads or writes outside the function: eval
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'None',
    ),
    'logging': Effect(
        'unknown_call',
        """
import logging
def f(a) -> int:
    logging.warning('row %d', a)
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    logging.warning('row %d', a)
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  Sabot does not know what this call reads or writes: logging.warning
  write it with operators, math or functions of your own, or give it a column of its own
""",
        'None',
    ),
    'a logger': Effect(
        'unknown_call',
        """
import logging
log = logging.getLogger('rows')
def f(a) -> int:
    log.warning('row %d', a)
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:4    log.warning('row %d', a)
              ^^^^^^^^^^^^^^^^^^^^^^^^
  Sabot does not know what this call reads or writes: log.warning
  write it with operators, math or functions of your own, or give it a column of its own
""",
        'None',
    ),
    'an unknown call': Effect(
        'unknown_call',
        """
import heapq
heap = []
def f(a) -> int:
    heapq.heappush(heap, a)
    return heap[0]
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:4    heapq.heappush(heap, a)
              ^^^^^^^^^^^^^^^^^^^^^^^
  Sabot does not know what this call reads or writes: heapq.heappush
  write it with operators, math or functions of your own, or give it a column of its own
""",
        'heap',
    ),
    'a called function': Effect(
        'impure',
        """
seen = []
def show(x):
    seen.append(x)
    return x
def f(a) -> int:
    return show(a) + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:6    return show(a) + 1
                     ^^^^^^^
  it reads or writes outside the function: seen.append changes a captured list, in show
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'seen',
    ),
    'a target of for': Effect(
        'impure',
        """
last = [0]
def f(a) -> int:
    for last[0] in (1, a):
        pass
    return a + 1
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    for last[0] in (1, a):
                  ^^^^^^^
  it reads or writes outside the function: assignment to an item
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'last',
    ),
    'a target of a comprehension': Effect(
        'impure',
        """
last = [0]
def f(a) -> int:
    return len([1 for last[0] in (1, a)])
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    return len([1 for last[0] in (1, a)])
                                ^^^^^^^
  it reads or writes outside the function: assignment to an item
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'last',
    ),
    'unpacking': Effect(
        'impure',
        """
last = [0]
def f(a) -> int:
    last[0], b = a, 1
    return a + b
""",
        """
f(a: int64) -> int64                                       interpreted   scalar
  <cell>:3    last[0], b = a, 1
              ^^^^^^^
  it reads or writes outside the function: assignment to an item
  only compute and return here; what else is done for a row stays in a function that CPython runs
""",
        'last',
    ),
}
# fmt: on


def beside(table, fn):
    """With functions that are compiled before, beside and behind it."""
    s = Stream.from_table(table, 3).filter(lambda a: a >= 0)
    return (
        s.with_columns(u=lambda a: a * 2, y=fn)
        .with_columns(v=lambda y: y)
        .collect()["y"]
        .to_pylist()
    )


WAYS = {
    "CPython": lambda table, fn: [fn(a) for a in table["a"].to_pylist()],
    "whole": lambda table, fn: (
        Stream.from_table(table).with_columns(y=fn).collect()["y"].to_pylist()
    ),
    "rows": lambda table, fn: (
        Stream.from_table(table, 1).with_columns(y=fn).collect()["y"].to_pylist()
    ),
    "beside": beside,
}


@pytest.mark.parametrize("name", EFFECTS)
def test_report(name):
    code, text, wanted, _ = EFFECTS[name]
    report = sb.explain(cell(text.strip("\n"), "<cell>", path="")["f"], {"a": pa.int64()})
    assert str(report) == wanted.strip("\n")
    assert (report.reasons[0].code, report.mode, report.pure) == (code, "interpreted", False)


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("threads", [1, 2])
def test_effects(name, threads, tmp_path, monkeypatch, capsys, caplog):
    outcomes = {}
    for way, run in WAYS.items():
        path = tmp_path / way
        path.touch()
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{k}\n" for k in range(len(ROWS)))))
        caplog.clear()
        space = cell(EFFECTS[name].text.strip("\n"), path=path)
        with sb.config(threads=threads):
            values = run(pa.table({"a": ROWS}), space["f"])
        state = eval(EFFECTS[name].state, space)
        outcomes[way] = values, state, capsys.readouterr(), caplog.messages
    assert list(outcomes.values()) == [outcomes["CPython"]] * len(WAYS)
