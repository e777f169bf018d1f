"""Settings: where they come from, what they take, and that they are given back."""

from __future__ import annotations

import threading

import pytest
from support import printed, run_python

import sabot as sb
from sabot import Stream

pytestmark = pytest.mark.api

DEFAULTS = {
    "cache_dir": "auto",
    "cache_disk_bytes": 0,
    "cache_memory_bytes": 0,
    "compile": "auto",
    "dead_letter": "",
    "morsel_rows": 0,
    "progress": True,
    "threads": 0,
    "tier": "auto",
    "validate": "auto",
}


@pytest.fixture(autouse=True)
def cache_folder(monkeypatch, tmp_path):
    """The default, in a place of the test's own."""
    monkeypatch.delenv("SABOT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_defaults():
    assert dict(sb.config()) == DEFAULTS
    assert len(sb.config()) == len(DEFAULTS)
    assert {sb.config().source(name) for name in sb.config()} == {"default"}
    assert repr(sb.config()) == (
        "cache_dir           'auto'  default\n"
        "cache_disk_bytes    0       default\n"
        "cache_memory_bytes  0       default\n"
        "compile             'auto'  default\n"
        "dead_letter         ''      default\n"
        "morsel_rows         0       default\n"
        "progress            True    default\n"
        "threads             0       default\n"
        "tier                'auto'  default\n"
        "validate            'auto'  default"
    )


def test_a_block_gives_back_what_it_changed():
    with sb.config(threads=3, tier="interpreter") as outer:
        assert (outer["threads"], outer.source("threads")) == (3, "config")
        with sb.config(threads=1):
            assert sb.config()["threads"] == 1
            assert sb.config()["tier"] == "interpreter"
        assert sb.config()["threads"] == 3
        with pytest.raises(ZeroDivisionError), sb.config(threads=7):
            1 / 0
        assert sb.config()["threads"] == 3
    assert dict(sb.config()) == DEFAULTS
    with outer:  # its settings are given back once
        pass
    assert dict(sb.config()) == DEFAULTS


def test_a_call_lasts():
    out = printed("import sabot as sb; sb.config(threads=2); print(sb.config()['threads'])")
    assert out == "2\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"thread": 1}, "there is no setting 'thread'; did you mean 'threads'?"),
        ({"threads": -1}, "threads=-1: it is a whole number from 0 to 256"),
        ({"threads": 1.0}, "threads=1.0: it is a whole number"),
        ({"threads": True}, "threads=True: it is a whole number"),
        ({"threads": "2"}, "threads='2': it is a whole number"),
        ({"threads": 257}, "threads=257: it is a whole number from 0 to 256"),
        ({"threads": 10**5000}, "threads=a large number: it is"),
        ({"morsel_rows": 10**30}, "morsel_rows=1000"),
        ({"cache_dir": 3}, "cache_dir=3: it is the path of a local folder, 'auto' or 'off'"),
        ({"cache_dir": ""}, "cache_dir='': it is the path of a local folder, 'auto' or 'off'"),
        ({"cache_disk_bytes": -1}, "cache_disk_bytes=-1: it is a whole number"),
        ({"dead_letter": 3}, "dead_letter=3: it is the path of a local file"),
        ({"dead_letter": b"x"}, "dead_letter=b'x': it is the path of a local file"),
        ({"dead_letter": "s3://a/b"}, "dead_letter='s3://a/b': it is the path of a local file"),
        ({"tier": "fast"}, "tier='fast': it is one of 'auto', 'interpreter', 'native'"),
        ({"compile": "on"}, "compile='on': it is one of 'auto', 'off'"),
        ({"compile": ["off"]}, r"compile=\['off'\]: it is one of"),
        ({"threads": 2, "tier": "fast"}, "tier='fast'"),
    ],
)
def test_values_that_are_none(given, message):
    with pytest.raises(sb.PlanError, match=message.replace("?", r"\?")):
        sb.config(**given)
    assert dict(sb.config()) == DEFAULTS


def test_no_such_setting():
    for ask in (sb.config().__getitem__, sb.config().source):
        with pytest.raises(KeyError):
            ask("thread")
    with pytest.raises(TypeError):
        sb.config(3)


def test_the_environment(monkeypatch):
    monkeypatch.setenv("SABOT_THREADS", "2")
    monkeypatch.setenv("SABOT_TIER", "interpreter")
    monkeypatch.setenv("SABOT_COMPILE", "")
    assert sb.config()["threads"] == 2
    assert sb.config().source("threads") == "environment SABOT_THREADS"
    assert sb.config()["compile"] == "auto"
    with sb.config(threads=1):
        assert sb.config()["threads"] == 1
    assert sb.config()["threads"] == 2
    for text in ("x", "-1", "1.5", "9" * 5000):
        monkeypatch.setenv("SABOT_THREADS", text)
        with pytest.raises(sb.PlanError, match="SABOT_THREADS|threads="):
            sb.config()["threads"]
    monkeypatch.setenv("SABOT_TIER", "fast")
    with pytest.raises(sb.PlanError, match="tier='fast'"):
        sb.config()["tier"]


def test_the_environment_is_used():
    text = """
        import pyarrow as pa, sabot as sb
        s = sb.Stream.from_table(pa.table({"a": [1]})).with_columns(y=lambda a: a + 1)
        s.collect()
        print(s.last_run.report["functions"][0]["mode"])
        """
    assert printed(text, env={"SABOT_COMPILE": "off"}) == "interpreted\n"
    assert printed(text, env={"SABOT_TIER": "interpreter"}) == "compiled\n"
    result = run_python(text, env={"SABOT_TIER": "odd"})
    assert "PlanError: tier='odd'" in result.stderr


def test_settings_from_many_threads():
    wrong = []

    def work():
        for _ in range(200):
            with sb.config(morsel_rows=5):
                if sb.config()["morsel_rows"] not in (0, 5):
                    wrong.append(sb.config()["morsel_rows"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    sb.config(morsel_rows=0)
    with sb.config() as settings:
        assert settings["morsel_rows"] == 0
    from sabot import _config

    _config._set.clear()


@pytest.mark.parametrize("morsel_rows", [1, 2, 7, 100, 2**24])
def test_morsels_of_every_size(morsel_rows):
    import pyarrow as pa

    with sb.config(morsel_rows=morsel_rows, threads=2):
        s = Stream.from_table(pa.table({"a": list(range(500))})).filter(lambda a: a % 3 == 0)
        assert s.with_columns(y=lambda a: -a).collect()["y"].to_pylist() == list(range(0, -500, -3))


def test_many_threads():
    import pyarrow as pa

    with sb.config(threads=64, morsel_rows=1):
        s = Stream.from_table(pa.table({"a": list(range(500))})).with_columns(y=lambda a: -a)
        assert s.collect()["y"].to_pylist() == list(range(0, -500, -1))


def test_more_threads_than_the_machine_starts():
    """An error that says so, or fewer threads; never a crash or a hang."""
    out = printed("""
        import resource
        import pyarrow as pa, sabot as sb
        s = sb.Stream.from_table(pa.table({"a": list(range(1000))}), 1).with_columns(y=lambda a: -a)
        kept = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, kept[1]))
        with sb.config(threads=256):
            try:
                print(s.count())
            except sb.SabotError as error:
                print(1000)
        resource.setrlimit(resource.RLIMIT_AS, kept)
        print(s.count())
        """)
    assert out == "1000\n1000\n"
