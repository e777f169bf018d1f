"""Builds the wheel into dist/ and checks it as a user meets it: size, contents, an exact answer from native code.

.venv/bin/python tools/wheel.py
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import setup

ROOT = setup.ROOT
SIZE_MAX = 17_000_000

# Run against the installed wheel alone. The overflowing row is CPython's, the others are native.
SMOKE = """
import pathlib, sys
import pyarrow as pa
import sabot as sb

where = pathlib.Path(sb.__file__).parent
assert where == pathlib.Path(sys.argv[1]) / "sabot", where
assert (where / "py.typed").exists()

def exact(a, b):
    return a * b + 1 if b is not None and a > 0 else -a

table = pa.table({"a": [1, -2, 3, 5], "b": [4, 5, None, 8]})
with sb.config(tier="native"):
    made = sb.Stream.from_table(table).with_columns(y=exact).collect()
assert made.column("y").to_pylist() == [5, 2, -3, 41], made
report = sb.explain(exact, table.schema)
assert report.mode == "compiled", report
print("an exact answer, compiled")
"""


def build() -> Path:
    """The wheel, built with what .venv holds; only what changed is compiled."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--config-settings=build-dir=build-wheel", "--wheel-dir", str(dist), str(ROOT)]
    setup.run(command, setup.tool_env(ROOT / ".venv"))
    wheels = list(dist.glob("*.whl"))
    if len(wheels) != 1:
        raise setup.SetupError(f"expected one wheel in dist, found {wheels}")
    return wheels[0]


def contents_wanted() -> set[str]:
    package = ROOT / "python" / "sabot"
    names = {
        "sabot/" + path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return names | {"sabot/_core", "sabot/_bin/sabot-jit"}


def check_contents(wheel: Path) -> Iterator[str]:
    size = wheel.stat().st_size
    if size > SIZE_MAX:
        yield f"{size} bytes; at most {SIZE_MAX}"
    with zipfile.ZipFile(wheel) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        names = {re.sub(r"^(sabot/_core)\..*\.so$", r"\1", name) for name in infos}
        names = {name for name in names if ".dist-info/" not in name}
        for name in sorted(contents_wanted() - names):
            yield f"lacks {name}"
        for name in sorted(names - contents_wanted()):
            yield f"carries {name}, which is no part of the package"
        helper = infos.get("sabot/_bin/sabot-jit")
        if helper and not (helper.external_attr >> 16) & 0o111:
            yield "sabot-jit is not executable"
        if not any(name.endswith("licenses/LICENSE") for name in infos):
            yield "lacks the licence"


def check_use(wheel: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as temporary:
        target = os.path.realpath(temporary)
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            target,
        ]
        setup.run([*command, str(wheel)])
        symbols = subprocess.run(
            ["nm", os.path.join(target, "sabot", "_bin", "sabot-jit")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if "no symbols" not in symbols.stderr:
            yield "sabot-jit is not stripped"
        script = Path(target) / "smoke.py"
        script.write_text(SMOKE)
        result = subprocess.run(
            [sys.executable, str(script), target],
            env=dict(os.environ, PYTHONPATH=target),
            cwd=target,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if result.returncode != 0:
            yield f"does not work when installed:\n{result.stdout}"


def main() -> int:
    try:
        wheel = build()
    except setup.SetupError as error:
        print(error)
        return 1
    problems = [*check_contents(wheel), *check_use(wheel)]
    size = wheel.stat().st_size / 1e6
    for problem in problems:
        print(f"{wheel.name}: {problem}")
    print(f"{wheel.relative_to(ROOT)}: {size:.1f} MB, {'FAILED' if problems else 'checked'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
