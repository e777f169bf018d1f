"""Compiled code from one process to the next, what is refused of it, the command line, and the counters that tell."""

from __future__ import annotations

import json
import linecache
import logging
import os
import re
import stat
import subprocess
import sys

import pyarrow as pa
import pytest
from support import HELPER, function_report, printed, run_python

import sabot as sb
from sabot import Stream, _cli, _engine

pytestmark = pytest.mark.api

HAS_HELPER = HELPER.exists()

# Runs one function natively, says how and what the caches did; what is compiled when nothing is found must give the same.
PROGRAM = """
import json, os, sys
import pyarrow as pa
import sabot as sb

def fn(a):
    return a * 3 + 1 if a % 2 else -a

table = pa.table({"a": list(range(1000))})
with sb.config(tier="native"):
    s = sb.Stream.from_table(table).with_columns(y=fn)
    assert s.collect()["y"].to_pylist() == [fn(a) for a in range(1000)]
report = sb.explain(fn, table.schema)
found = sb.metrics()
print(json.dumps({
    "tier": s.last_run.report["functions"][0]["tier"],
    "from": report.to_dict()["native_from"],
    "off": report.to_dict()["cache_off"],
    "text": str(report),
    "compiled": found["compile"]["compiled"],
    "starts": found["compile"]["starts"],
    **found["cache"],
}))
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def ran(folder, **env):
    return json.loads(printed(PROGRAM, env={"SABOT_CACHE_DIR": str(folder), **env}))


def entries(folder):
    return sorted(p for p in (folder / "code").iterdir() if len(p.name) == 64)


def modes(folder):
    """Of the folder, and of what is in it."""
    inside = {stat.S_IMODE(path.stat().st_mode) for path in (folder / "code").iterdir()}
    return {stat.S_IMODE((folder / "code").stat().st_mode)}, inside


def test_from_one_process_to_the_next(folder):
    first = ran(folder)
    if not HAS_HELPER:
        assert (first["tier"], first["disk_misses"] > 0) == ("interpreter", True)
        return
    assert (first["tier"], first["from"], first["off"]) == ("native", "compiler", "")
    assert first["disk_writes"] == first["compiled"] == len(entries(folder)) > 0
    assert modes(folder) == ({0o700}, {0o600})
    # The second has no compiler at all.
    second = ran(folder, SABOT_JIT_HELPER="")
    assert (second["tier"], second["from"]) == ("native", "disk")
    assert (second["compiled"], second["starts"], second["disk_misses"]) == (0, 0, 0)
    assert second["disk_hits"] == first["disk_writes"]
    assert "compiled by an earlier process" in second["text"]
    # What is damaged, or planted by who has another key, is compiled anew.
    kept = {path: path.read_bytes() for path in entries(folder)}
    for path, data in kept.items():
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 128]))
    assert_compiled_anew(folder, kept)
    assert {path: path.read_bytes() for path in entries(folder)} == kept
    (folder / "code" / "key").write_bytes(os.urandom(32))
    assert_compiled_anew(folder, kept)
    objects = {path: data[48:-32] for path, data in kept.items()}
    assert {path: path.read_bytes()[48:-32] for path in entries(folder)} == objects


def assert_compiled_anew(folder, kept):
    found = ran(folder)
    assert (found["tier"], found["from"]) == ("native", "compiler")
    assert found["compiled"] == found["disk_refused"] == found["disk_writes"] == len(kept)
    assert modes(folder) == ({0o700}, {0o600})


def test_a_folder_that_is_not_safe(folder, tmp_path):
    """Nothing of it is used; the log says so once, and reports do."""
    (folder / "code").mkdir(parents=True)
    (folder / "code").chmod(0o750)
    result = run_python(PROGRAM, env={"SABOT_CACHE_DIR": str(folder)})
    assert result.returncode == 0, result.stderr
    why = f"{folder}/code has mode 750: others may use it (chmod 700)"
    assert result.stderr == f"compiled code is not kept on disk: {why}\n"
    found = json.loads(result.stdout)
    assert (found["disk"], found["disk_off"], found["off"]) == (False, why, why)
    assert f"compiled code is not kept on disk: {why}" in found["text"]
    assert list((folder / "code").iterdir()) == []
    # A home that cannot be written is no reason to warn those who asked for nothing.
    (tmp_path / "file").touch()
    env = {"SABOT_CACHE_DIR": "auto", "XDG_CACHE_HOME": str(tmp_path / "file")}
    result = run_python(PROGRAM, env=env)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    assert "Not a directory" in json.loads(result.stdout)["off"]


def test_the_folder_can_change_while_it_runs(folder, caplog):
    with sb.config(cache_dir=folder / "a", tier="native", cache_memory_bytes=1):
        stream = Stream.from_table(pa.table({"a": [1, 2]})).with_columns(y=lambda a: a * 12345)
        before = _engine.stats()
        assert stream.collect()["y"].to_pylist() == [12345, 24690]
        assert _engine.stats()["cache"]["memory_bytes"] == 0
        assert sb.metrics()["cache"]["memory_bytes_max"] == 1
        if HAS_HELPER:
            assert function_report(stream)["tier"] == "native"
            written = _engine.stats()["cache"]["disk_writes"] - before["cache"]["disk_writes"]
            assert len(entries(folder / "a")) == written > 0
        with sb.config(cache_dir=folder / "b"):
            assert _engine.stats()["cache"]["disk"]
        assert entries(folder / "b") == []
        assert _engine.cache_off() == ""  # the first folder again
        (folder / "b" / "code").chmod(0o711)
        with caplog.at_level(logging.INFO, "sabot.compile"):
            for _ in range(2):
                with sb.config(cache_dir=folder / "b", threads=1):
                    assert "mode 711" in _engine.cache_off()
                    with sb.config(threads=2):
                        assert "mode 711" in sb.metrics()["cache"]["disk_off"]
                assert _engine.cache_off() == ""
        assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert not _engine.stats()["cache"]["disk"]
    assert _engine.stats()["cache"]["memory_bytes_max"] == 64 << 20


def test_a_child_of_a_fork_has_a_cache_of_its_own(folder):
    text = (
        PROGRAM
        + """
before = sb.metrics()
pid = os.fork()
with sb.config(tier="native"):
    s = sb.Stream.from_table(table).with_columns(y=fn)
    assert s.collect()["y"].to_pylist() == [fn(a) for a in range(1000)]
found = sb.metrics()
if pid == 0:
    assert found["compile"]["compiled"] == 0, found
    assert found["cache"]["disk_hits"] == before["cache"]["disk_writes"], found
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert found["cache"]["disk_hits"] == 0
"""
    )
    # From 3.12 on a fork beside threads is warned of.
    printed(text, "-W", "ignore::DeprecationWarning", env={"SABOT_CACHE_DIR": str(folder)})


def cli(capsys, *arguments):
    status = _cli.main(arguments)
    return status, capsys.readouterr().out


def test_the_command_line(folder, capsys, monkeypatch):
    assert cli(capsys, "cache", "info") == (0, "off: no folder for compiled code (cache_dir)\n")
    assert cli(capsys, "cache", "clear") == (0, "off: no folder for compiled code (cache_dir)\n")
    monkeypatch.setenv("SABOT_CACHE_DIR", str(folder))
    monkeypatch.setenv("SABOT_CACHE_DISK_BYTES", "1000")
    head = f"folder   {folder}/code (environment SABOT_CACHE_DIR)\n"
    empty = head + "objects  0\nbytes    32 of at most 1000\n"
    assert cli(capsys, "cache", "info") == (0, empty)
    for name in ("0" * 64, "a1" * 32, "tmp-12", "notes.txt"):
        (folder / "code" / name).write_bytes(b"x" * 100)
    status, out = cli(capsys, "cache", "info")
    assert (status, out) == (0, head + "objects  2\nbytes    432 of at most 1000\n")
    (folder / "code" / "key").write_bytes(b"cut")
    status, out = cli(capsys, "cache", "info")
    assert (status, out) == (
        1,
        head + "off: its key is damaged; `sabot cache clear` mends it\n",
    )
    assert cli(capsys, "cache", "clear") == (0, f"removed 2 objects from {folder}/code\n")
    assert [path.name for path in (folder / "code").iterdir()] == ["notes.txt"]
    assert cli(capsys, "cache", "info")[0] == 0
    (folder / "code").chmod(0o770)
    assert cli(capsys, "cache", "clear")[0] == 1
    with pytest.raises(SystemExit):
        _cli.main(["cache"])
    with pytest.raises(SystemExit):
        _cli.main([])
    capsys.readouterr()
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, "-m", "sabot", "cache", "info"]
    env = {**os.environ, "PYTHONPATH": path, "SABOT_CACHE_DIR": "off"}
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (
        0,
        "off: no folder for compiled code (cache_dir)\n",
    )


def test_metrics():
    before = sb.metrics()
    # The engine's own interpreter: it says why a row leaves, whatever the machine.
    with sb.config(tier="interpreter"):
        stream = Stream.from_table(pa.table({"a": [1, 0, 2**62]}))
        stream = stream.with_columns(y=lambda a: 7 // a if a < 5 else a * 4 // 4)
        with pytest.raises(ZeroDivisionError):
            stream.collect()

    def opaque(a) -> int:
        return hash(object())

    Stream.from_table(pa.table({"a": [1]})).with_columns(z=opaque)
    after = sb.metrics()

    def more(part, name):
        return after[part][name] - before[part][name]

    def more_of(part, name):
        found = {
            reason: count - before[part][name].get(reason, 0)
            for reason, count in after[part][name].items()
        }
        return {reason: count for reason, count in found.items() if count}

    assert more("functions", "compiled") == 1
    assert more("functions", "interpreted") == sum(more_of("functions", "refused").values()) > 0
    assert more("rows", "interpreter") == 3
    assert more("rows", "native") == 0
    assert more_of("rows", "left") == {"div_zero": 1, "overflow": 1}
    with pytest.raises(sb.PlanError, match="format='xml'"):
        sb.metrics("xml")


def _measured(fn, found=None):
    """What was measured of a function, by the columns it was bound to."""
    found = sb.metrics() if found is None else found
    place = f"{fn.__code__.co_filename}:{fn.__code__.co_firstlineno}"
    return {one["columns"]: one for one in found["ns_per_row"] if one["place"] == place}


def _heavier(a, b):
    for _ in range(3):
        a += b
    return a


def test_metrics_measure_each_function_before_and_after():
    stream = Stream.from_table(pa.table({"a": [1.0] * 5000, "b": [2] * 5000, "c": [""] * 5000}))
    assert _measured(_heavier) == {}
    with sb.config(tier="interpreter"):
        stream.with_columns(y=_heavier).collect()
    (one,) = _measured(_heavier).values()
    assert (one["function"], one["columns"]) == ("_heavier", "a: double, b: int64")
    assert one["interpreter"] > 0
    assert one["native"] is None
    report = sb.explain(_heavier, stream.schema)
    assert report.ns_per_row == report.ns_per_row_interpreter == one["interpreter"]
    if HELPER.exists():
        with sb.config(tier="native"):
            stream.with_columns(y=_heavier).collect()
        (after,) = _measured(_heavier).values()
        assert after["interpreter"] == one["interpreter"]
        assert 0 < after["native"] < 1e6
        report = sb.explain(_heavier, stream.schema)
        assert (report.ns_per_row, report.ns_per_row_interpreter) == (
            after["native"],
            one["interpreter"],
        )
        assert re.search(r"about [0-9.]+ ns a row, [0-9.]+ before", str(report))
        assert report.to_dict()["ns_per_row_interpreter"] == one["interpreter"]


def test_metrics_measure_neither_cpython_nor_what_did_not_run():
    def opaque(a) -> float:
        return len(str(a)) + 0.5

    def off(a):
        return a + 0.5

    stream = Stream.from_table(pa.table({"a": [1.5]}))
    stream.with_columns(y=opaque).collect()
    with sb.config(compile="off"):
        stream.with_columns(y=off).collect()
    stream.with_columns(y=off)
    assert _measured(opaque) == _measured(off) == {}


def test_functions_of_one_place_are_measured_as_one():
    def times(factor):
        def product(a):
            return a * factor

        return product

    with sb.config(tier="interpreter"):
        for factor in (2, 3):
            for extra in ("x", "y"):
                table = pa.table({"a": [1.5] * 100, extra: [0] * 100})
                Stream.from_table(table).with_columns(z=times(factor)).collect()
        Stream.from_table(pa.table({"a": [3]})).with_columns(z=times(2)).collect()
    assert sorted(_measured(times(2))) == ["a: double", "a: int64"]


def test_a_place_with_quotes_in_the_prometheus_text():
    scope = {}
    exec(compile("f = lambda a: a + 1", 'a "b" \\\n', "exec"), scope)
    linecache.cache['a "b" \\\n'] = (19, None, ["f = lambda a: a + 1\n"], 'a "b" \\\n')
    with sb.config(tier="interpreter"):
        Stream.from_table(pa.table({"a": [1]})).with_columns(y=scope["f"]).collect()
    labels = 'function="<lambda>",place="a \\"b\\" \\\\\\n:1",columns="a: int64",tier="interpreter"'
    assert f"\nsabot_ns_per_row{{{labels}}} " in sb.metrics("prometheus")


def test_metrics_as_prometheus_reads_them():
    found = sb.metrics()
    text = sb.metrics(format="prometheus")
    label = r'[a-z]+="(?:[^"\\\n]|\\["\\n])*"'
    line = re.compile(rf"(sabot_[a-z_]+)(\{{{label}(?:,{label})*\}})? (\d+(?:\.\d+)?(?:e-?\d+)?)$")
    kinds, values = {}, {}
    for row in text.splitlines():
        if row.startswith("# TYPE "):
            _, _, name, kind = row.split(" ")
            assert name not in kinds
            kinds[name] = kind
        elif not row.startswith("# HELP "):
            name, label, value = line.match(row).groups()
            assert (name in kinds, (name, label) in values) == (True, False)
            values[name, label] = float(value)
    assert text.endswith("\n")
    assert all((name.endswith("_total")) == (kind == "counter") for name, kind in kinds.items())
    assert values["sabot_functions_total", '{mode="compiled"}'] == found["functions"]["compiled"]
    assert values["sabot_cache_memory_bytes", None] == found["cache"]["memory_bytes"]
    assert values["sabot_compile_seconds_total", None] == found["compile"]["ms"] / 1000
    for reason, count in found["rows"]["left"].items():
        assert values["sabot_rows_left_total", f'{{reason="{reason}"}}'] == count
