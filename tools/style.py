"""The checks that read sources: formatters, linters, types, house rules. Each has a canary that shows it can fail.

A check gives its findings as text; no text is a pass.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import setup
import tidy

ROOT = setup.ROOT
PYTHON_FOLDERS = ("python", "tests", "fuzz", "bench", "examples", "tools")


class Check(NamedTuple):
    """`run` looks at the checkout, `canary` at a file made to be wrong."""

    name: str
    run: Callable[[Path], str]
    canary: Callable[[Path], str]


def output_of(command: Sequence[str]) -> str:
    """What the command says when it fails; nothing when it passes."""
    result = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return "" if result.returncode == 0 else result.stdout or f"exit status {result.returncode}"


def in_temporary(name: str, text: str, run: Callable[[Path], str]) -> str:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / name
        path.write_text(text)
        return run(path)


def python_paths() -> list[str]:
    return [str(ROOT / name) for name in PYTHON_FOLDERS if (ROOT / name).is_dir()]


def c_paths() -> list[str]:
    return [str(path) for path in [*tidy.c_files(ROOT), *sorted((ROOT / "tools").rglob("*.c"))]]


# --- ruff, pyright ----------------------------------------------------------------------------------------------------


def ruff(venv: Path, words: Sequence[str], paths: Sequence[str]) -> str:
    config = str(ROOT / "pyproject.toml")
    return output_of([str(venv / "bin" / "ruff"), *words, "--config", config, "--no-cache", *paths])


def ruff_lint(venv: Path, paths: Sequence[str]) -> str:
    return ruff(venv, ["check", "--quiet", "--output-format", "concise"], paths)


def ruff_format(venv: Path, paths: Sequence[str]) -> str:
    return ruff(venv, ["format", "--check"], paths)


def pyright(venv: Path, project: Path) -> str:
    return output_of([str(venv / "bin" / "pyright"), "--project", str(project)])


def pyright_canary(venv: Path) -> str:
    with tempfile.TemporaryDirectory() as temporary:
        settings = {"typeCheckingMode": "strict"}
        (Path(temporary) / "pyrightconfig.json").write_text(json.dumps(settings))
        (Path(temporary) / "bad.py").write_text("def f(x):\n    return x\n")
        return pyright(venv, Path(temporary))


# --- clang ------------------------------------------------------------------------------------------------------------


def clang_format(paths: Sequence[str]) -> str:
    style = f"--style=file:{ROOT / '.clang-format'}"
    return only_errors(output_of(["clang-format-19", style, "--dry-run", "-Werror", *paths]))


def only_errors(text: str) -> str:
    """The lines that name a finding, without the excerpts and paths that explain it."""
    return "\n".join(line for line in text.splitlines() if "error:" in line) or text


def tidy_one(path: str, build: Path) -> str:
    command = ["clang-tidy-19", "--quiet", "--warnings-as-errors=*", "-p", str(build)]
    command.append(f"--config-file={ROOT / '.clang-tidy'}")
    name = os.path.relpath(path, ROOT)
    if name.startswith("src/") and not name.startswith(("src/jit_helper/", "src/base/error.c")):
        command.append(f"--extra-arg=-include{ROOT / 'tools' / 'analyzer.h'}")
        if name.startswith("src/os/"):
            command.append("--extra-arg=-D_GNU_SOURCE=")  # as those files define it, only earlier
    return only_errors(output_of([*command, path]))


TIDY_FILES = (".clang-tidy", "tools/analyzer.h", "meson.build")


def tidy_cache_key(path: str) -> str:
    """What the findings of one file depend on: it, every header, the configuration."""
    digest = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in TIDY_FILES))
    headers = [name for name in c_paths() if name.endswith(".h")]
    for name in [path, *headers]:
        digest.update(Path(name).read_bytes())
    return digest.hexdigest()


def clang_tidy() -> str:
    """All sources that ship, in parallel; a file found clean is not read again until something changes. Tests are left out:
    the analyzer does not know that cmocka's assertions do not return, and sanitizers watch them."""
    build = ROOT / "build"
    entries = json.loads((build / "compile_commands.json").read_text())
    paths = sorted({os.path.normpath(build / entry["file"]) for entry in entries})
    tests = {str(ROOT / name) for name in tidy.test_support(ROOT)}
    paths = [path for path in paths if path not in tests and "/tools/canary/" not in path]
    cache = setup.STATE / "clang-tidy"
    cache.mkdir(parents=True, exist_ok=True)

    def look(path: str) -> str:
        clean = cache / tidy_cache_key(path)
        if clean.exists():
            return ""
        findings = tidy_one(path, build)
        if not findings:
            clean.touch()
        return findings

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return "\n".join(text for text in pool.map(look, paths) if text)


def clang_tidy_canary() -> str:
    text = "int main(void)\n{\n    int *p = 0;\n    return *p;\n}\n"
    return in_temporary("bad.c", text, lambda path: tidy_one(str(path), path.parent))


# --- house rules ------------------------------------------------------------------------------------------------------


def house_rules() -> str:
    found = tidy.check_sources(ROOT) + tidy.check_symbols(ROOT, ROOT / "build")
    return "\n".join(str(finding) for finding in found)


def house_rules_canary() -> str:
    with tempfile.TemporaryDirectory() as temporary:
        name, text, _ = tidy.seeds()[0]
        tidy.write_tree(Path(temporary), [*tidy.TEMPLATE.items(), (name, text)])
        return "\n".join(str(finding) for finding in tidy.check_sources(Path(temporary)))


BAD_LINT = "import os\n"
BAD_FORMAT = "x = {  'a':1 }\n"
BAD_C = "int  main(void) { return 0; }\n"

CHECKS = (
    Check(
        "ruff lint",
        lambda venv: ruff_lint(venv, python_paths()),
        lambda venv: in_temporary("bad.py", BAD_LINT, lambda path: ruff_lint(venv, [str(path)])),
    ),
    Check(
        "ruff format",
        lambda venv: ruff_format(venv, python_paths()),
        lambda venv: in_temporary(
            "bad.py", BAD_FORMAT, lambda path: ruff_format(venv, [str(path)])
        ),
    ),
    Check("pyright strict", lambda venv: pyright(venv, ROOT), pyright_canary),
    Check(
        "clang-format",
        lambda venv: clang_format(c_paths()),
        lambda venv: in_temporary("bad.c", BAD_C, lambda path: clang_format([str(path)])),
    ),
    Check("clang-tidy", lambda venv: clang_tidy(), lambda venv: clang_tidy_canary()),
    Check(
        "house rules",
        lambda venv: house_rules(),
        lambda venv: house_rules_canary(),
    ),
    Check(
        "house rules, seeded",
        lambda venv: "\n".join(tidy.self_test()),
        lambda venv: house_rules_canary(),
    ),
)
