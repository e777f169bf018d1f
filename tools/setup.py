"""Sets a checkout up, from nothing to a tree that Python imports from: system packages, virtual environments, builds.

    python3 tools/setup.py build            what `make build` needs (the same for demo, test, ...)
    python3 tools/setup.py build --config asan

Every step is skipped when its result is already there, so a second call takes seconds. What is installed is said first.

    .venv, .venv-3.12, ...   one per Python; .venv is that of the oldest supported Python found. Made from
                             requirements.txt; .venv/.sabot-stamp holds the hash of what it was made from. `bench-exactness`
                             adds bench/requirements.txt to .venv.
    build, build-3.12, ...   one Meson build per configuration (CONFIGS) and Python
    build/lib                what Python imports: the package's files linked from python/sabot, the extension module and
                             the helper program from the build. A .pth file puts it on the path of the environment.

Runs on the standard library alone, before anything is installed. Two calls at once wait for each other.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cross

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".sabot-setup"
ARM_ROOT = STATE / "arm64"  # as in tools/aarch64.ini

OLDEST_SUPPORTED = (3, 11)
TESTED = ((3, 11), (3, 12), (3, 13))

# Debian packages and why. LLVM's static libraries are linked into sabot-jit with the C++ compiler.
PACKAGES_BUILD = (
    "g++",
    "pkg-config",
    "libcmocka-dev",
    "llvm-19-dev",
    "libzstd-dev",
    "zlib1g-dev",
)
PACKAGES_DEV = (
    "clang-19",
    "clang-format-19",
    "clang-tidy-19",
    "libclang-rt-19-dev",
)
# A compiler for AArch64 and the emulator that runs what it made (tools/aarch64.ini).
PACKAGES_ARM = (
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
    "qemu-user",
)


class Config(NamedTuple):
    """One way to build: its folder, compiler and Meson options."""

    folder: str
    compiler: str
    options: tuple[str, ...]
    why: str


CONFIGS: dict[str, Config] = {
    "main": Config("build", "gcc", (), "what a developer runs: optimised, asserts on"),
    "release": Config("build-release", "gcc", ("-Db_ndebug=true",), "what users run; benchmarks"),
    "asan": Config(
        "build-asan",
        "clang-19",
        (
            "-Db_sanitize=address,undefined",
            "-Db_lundef=false",
            "-Doptimization=1",
            "-Dfaults=true",
            "-Dpython=disabled",
        ),
        "address and undefined-behaviour sanitizers, failing allocations",
    ),
    "tsan": Config(
        "build-tsan",
        "clang-19",
        ("-Db_sanitize=thread", "-Db_lundef=false", "-Doptimization=1", "-Dpython=disabled"),
        "thread sanitizer",
    ),
    "small": Config(
        "build-small",
        "gcc",
        ("-Dtest_build=true", "-Djit=disabled"),
        "morsels of 3 rows, tiny arenas, every hash 0, no code generator",
    ),
    "cover": Config(
        "build-cover",
        "gcc",
        ("-Djit=disabled", "-Doptimization=0", "-Db_coverage=true", "-Db_ndebug=true", "-Dfaults=true",
         "-Dc_args=-fprofile-update=atomic"),
        "coverage",
    ),
    "arm": Config(
        "build-arm",
        "gcc",
        ("--cross-file=tools/aarch64.ini", "-Dfaults=true"),
        "AArch64, for tests under emulation; sabot-jit runs here and compiles for there",
    ),
}  # fmt: skip

# What each entry of the Makefile needs: development tools or not, configurations to build.
PURPOSES: dict[str, tuple[bool, tuple[str, ...]]] = {
    "build": (False, ("main",)),
    "demo": (False, ("main",)),
    "test": (True, ("main",)),
    "quick": (True, ("main",)),
    "asan": (True, ("asan",)),
    "tsan": (True, ("tsan",)),
    "fuzz": (False, ("main",)),
    "bench": (False, ("release",)),
    "bench-exactness": (False, ("release",)),
    "fmt": (True, ()),
    "tidy": (True, ("main",)),
    "cover": (True, ("main",)),
    "docs": (False, ("main",)),
    "wheel": (False, ()),
    "arm": (False, ("arm",)),
}


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


class Python(NamedTuple):
    """An interpreter outside any virtual environment."""

    version: tuple[int, int]
    path: str

    @property
    def name(self) -> str:
        return ".".join(str(part) for part in self.version)


HINT_NETWORK = "\nIt needs a network; when there is none, that is why. Call again to go on."


def say(text: str) -> None:
    print("setup: " + text, flush=True)


def run(command: Sequence[str], env: dict[str, str] | None = None, hint: str = "") -> None:
    """Runs a command; its output is shown only when it fails, and then the hint."""
    result = subprocess.run(
        command,
        env=env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,  # a question that nobody sees must not wait for an answer
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode != 0:
        sys.stdout.write(result.stdout[-20000:])
        sys.stdout.flush()
        raise SetupError(f"failed ({result.returncode}): {shlex.join(command)}{hint}")


# --- Pythons ----------------------------------------------------------------------------------------------------------

PROBE = (
    "import sys,os;"
    "print(*sys.version_info[:2], sys.implementation.name, os.path.realpath(getattr(sys,'_base_executable',"
    "sys.executable)))"
)


def probe(path: str) -> Python | None:
    """The interpreter behind a command, or None when it does not start or is too old. A shim may start nothing."""
    try:
        result = subprocess.run(
            [path, "-c", PROBE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = result.stdout.strip().split(" ", 3)
    if result.returncode != 0 or len(words) != 4 or words[2] != "cpython":
        return None
    version = (int(words[0]), int(words[1]))
    return Python(version, words[3]) if version >= OLDEST_SUPPORTED else None


def candidates() -> Iterator[str]:
    """Commands that may be a Python: on PATH first, then what pyenv holds."""
    for _, minor in TESTED:
        path = shutil.which(f"python3.{minor}")
        if path:
            yield path
    for name in ("python3", "python"):
        path = shutil.which(name)
        if path:
            yield path
    roots = [os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")]
    pyenv = shutil.which("pyenv")
    if pyenv:
        result = subprocess.run([pyenv, "root"], stdout=subprocess.PIPE, text=True)
        roots.insert(0, result.stdout.strip())
    for root in dict.fromkeys(root for root in roots if root):
        versions = os.path.join(root, "versions")
        if os.path.isdir(versions) and os.access(versions, os.R_OK):
            for name in sorted(os.listdir(versions)):
                yield os.path.join(versions, name, "bin", "python3")
    yield sys.executable


def find_pythons() -> list[Python]:
    """One interpreter for each supported version found, oldest first."""
    found: dict[tuple[int, int], Python] = {}
    for path in candidates():
        python = probe(path)
        if python and python.version not in found:
            found[python.version] = python
    return [found[version] for version in sorted(found)]


def oldest_python() -> Python:
    pythons = find_pythons()
    if not pythons:
        raise SetupError("no Python 3.11 or later found on PATH or in pyenv")
    return pythons[0]


def python_packages(python: Python) -> list[str]:
    """Debian packages that this interpreter lacks to make environments and extension modules."""
    check = (
        "import os,sysconfig\n"
        "print(os.path.exists(os.path.join(sysconfig.get_path('include'),'Python.h')))\n"
        "try:\n import ensurepip, venv\n print(True)\nexcept ImportError: print(False)"
    )
    result = subprocess.run([python.path, "-c", check], stdout=subprocess.PIPE, text=True)
    header, venv = (word == "True" for word in result.stdout.split())
    missing = []
    if not header:
        missing.append(f"python{python.name}-dev")
    if not venv:
        missing.append(f"python{python.name}-venv")
    if missing and not python.path.startswith("/usr/bin/"):
        raise SetupError(f"{python.path} lacks its headers or its venv module; install it whole")
    return missing


# --- system packages --------------------------------------------------------------------------------------------------


def package_installed(name: str) -> bool:
    result = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", name],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return result.stdout == "install ok installed"


def install_packages(names: Sequence[str]) -> None:
    """Installs what is missing: as root, through sudo when it asks nothing, else says the command and stops."""
    if not shutil.which("dpkg-query"):
        say("this is not Debian; taking for granted: " + " ".join(names))
        return
    missing = [name for name in names if not package_installed(name)]
    if not missing:
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    prefix: list[str] = []
    if os.geteuid() != 0:
        prefix = ["sudo", "-n"]
        if (
            not shutil.which("sudo")
            or subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL).returncode
        ):
            command = "apt-get update && " + shlex.join(install)
            become_root = "sudo sh -c" if shutil.which("sudo") else "su -c"
            raise SetupError(
                "Debian packages are missing; install them as root and call again:\n\n"
                f"    {become_root} '{command}'\n"
            )
    say("installing Debian packages: " + " ".join(missing))
    prefix += ["env", "DEBIAN_FRONTEND=noninteractive"]  # sudo drops the environment
    # An interrupted installation blocks every later one.
    run([*prefix, "dpkg", "--configure", "-a"])
    run([*prefix, "apt-get", "update"], hint=HINT_NETWORK)
    lock_wait = ["-o", "DPkg::Lock::Timeout=120"]  # a fresh machine updates itself at first
    run([*prefix, *install, *lock_wait], hint=HINT_NETWORK)


# --- environments -----------------------------------------------------------------------------------------------------


def venv_dir(python: Python, oldest: Python) -> Path:
    return ROOT / (".venv" if python.version == oldest.version else ".venv-" + python.name)


def ensure_venv(python: Python, folder: Path) -> Path:
    """Makes the environment, or brings it up to requirements.txt; gives its folder.

    The stamp is there only while the environment is whole: one left half made, or moved, is made again.
    """
    if folder.is_symlink():
        raise SetupError(
            f"{folder.name} is a link: set-up would change the environment of another checkout; remove the link"
        )
    requirements = ROOT / "requirements.txt"
    stamp = folder / ".sabot-stamp"
    key = python.name + " " + hashlib.sha256(requirements.read_bytes()).hexdigest()
    inside = folder / "bin" / "python"
    usable = stamp.exists() and made_here(folder) and probe_venv(inside) == python.version
    if usable and stamp.read_text() == key:
        return folder
    stamp.unlink(missing_ok=True)
    if not usable:
        if (folder / "pyvenv.cfg").exists():
            shutil.rmtree(folder)
        say(f"making {folder.name} with {python.path}")
        run([python.path, "-m", "venv", str(folder)])
    say("installing requirements.txt into " + folder.name)
    install_python(inside, requirements)
    stamp.write_text(key)
    return folder


def install_python(inside: Path, requirements: Path) -> None:
    """Installs what a file names into the environment of that interpreter, and nothing else."""
    pip = [str(inside), "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--no-deps", "-r", str(requirements)], hint=HINT_NETWORK)


def ensure_peers(venv: Path) -> None:
    """Installs what bench/exactness.py compares with. It goes on without what cannot be had, and says so itself."""
    requirements = ROOT / "bench" / "requirements.txt"
    stamp = venv / ".sabot-peers"
    key = hashlib.sha256(requirements.read_bytes()).hexdigest()
    # Made after the environment: one that was made anew since then lacks them.
    whole = venv / ".sabot-stamp"
    if stamp.exists() and stamp.read_text() == key and newer(stamp, whole):
        return
    say(f"installing bench/requirements.txt into {venv.name} (180 MB)")
    try:
        install_python(venv / "bin" / "python", requirements)
    except SetupError as error:
        say(f"going on without: {error}")
        return
    stamp.write_text(key)


def newer(path: Path, than: Path) -> bool:
    return path.stat().st_mtime_ns >= than.stat().st_mtime_ns


def made_here(folder: Path) -> bool:
    """Whether the environment was made under the name it has now; its programs hold that name."""
    config = folder / "pyvenv.cfg"
    if not config.exists():
        return False
    lines = config.read_text().splitlines()
    return any(line.startswith("command = ") and line.endswith(f" {folder}") for line in lines)


def probe_venv(inside: Path) -> tuple[int, int] | None:
    if not inside.exists():
        return None
    python = probe(str(inside))
    return python.version if python else None


# --- builds -----------------------------------------------------------------------------------------------------------


def build_dir(config: str, python: Python, oldest: Python) -> Path:
    folder = CONFIGS[config].folder
    return ROOT / (folder if python.version == oldest.version else folder + "-" + python.name)


def tool_env(venv: Path) -> dict[str, str]:
    env = dict(os.environ)
    env["PATH"] = str(venv / "bin") + os.pathsep + env.get("PATH", "")
    env.pop("PYTHONPATH", None)
    return env


def ensure_build(config: str, python: Python, oldest: Python, venv: Path) -> Path:
    """Configures once, compiles what changed, links the import tree; gives the build folder."""
    folder = build_dir(config, python, oldest)
    if config == "arm":
        pip, requirements = venv / "bin" / "pip", ROOT / "requirements.txt"
        cross.ensure_root(ARM_ROOT, pip, requirements, lambda c: run(c, hint=HINT_NETWORK), say)
    chosen = CONFIGS[config]
    env = tool_env(venv)
    env["CC"] = chosen.compiler
    options = list(chosen.options)
    if python.version != oldest.version and "-Djit=disabled" not in options:
        options.append(
            "-Djit=disabled"
        )  # the helper does not depend on Python: the oldest one's is linked
    stamp = folder / ".sabot-options"
    wanted = "\n".join([chosen.compiler, str(venv), *options])
    if not (folder / "build.ninja").exists() or not stamp.exists() or stamp.read_text() != wanted:
        if folder.exists():
            shutil.rmtree(folder)
        say(f"configuring {folder.name} ({chosen.why})")
        run([str(venv / "bin" / "meson"), "setup", str(folder), str(ROOT), *options], env)
        stamp.write_text(wanted)
    started = time.monotonic()
    run([str(venv / "bin" / "ninja"), "-C", str(folder), "-j", str(os.cpu_count() or 2)], env)
    seconds = time.monotonic() - started
    if seconds > 2:
        say(f"compiled {folder.name} in {seconds:.0f} s")
    if "-Dpython=disabled" not in options:
        own = "-Djit=disabled" not in options or config == "small"
        helper_folder = folder if own else build_dir("main", oldest, oldest)
        link_tree(folder, helper_folder, venv, config == "main")
    return folder


def link_tree(folder: Path, helper_folder: Path, venv: Path, on_path: bool) -> None:
    """Lays out build/lib: links to the package's files, the extension module and the helper."""
    wanted: dict[Path, Path] = {}
    package = ROOT / "python" / "sabot"
    for path in package.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            wanted[Path("sabot") / path.relative_to(package)] = path
    for path in (folder / "python").glob("_core*.so"):
        wanted[Path("sabot") / path.name] = path
    helper = helper_folder / "src" / "jit_helper" / "sabot-jit"
    if helper.exists():
        wanted[Path("sabot") / "_bin" / "sabot-jit"] = helper
    tree = folder / "lib"
    for path in tree.rglob("*"):
        if path.is_symlink() and wanted.get(path.relative_to(tree)) != Path(os.readlink(path)):
            path.unlink()
    for name, target in wanted.items():
        link = tree / name
        if not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
    if on_path:
        for site in venv.glob("lib/python3.*/site-packages"):
            pth = site / "sabot-tree.pth"
            if not pth.exists() or pth.read_text() != str(tree) + "\n":
                pth.write_text(str(tree) + "\n")


# --- the whole --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked() -> Iterator[None]:
    STATE.mkdir(exist_ok=True)
    with open(STATE / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure_system(pythons: Sequence[Python], dev: bool, configs: Sequence[str]) -> None:
    packages = list(PACKAGES_BUILD) + (list(PACKAGES_DEV) if dev else [])
    packages += PACKAGES_ARM if "arm" in configs else ()
    for python in pythons:
        packages += python_packages(python)
    install_packages(packages)


def ensure_oldest(config: str, dev: bool = False) -> Path:
    """Everything that one configuration on the oldest Python needs; gives the build folder."""
    with locked():
        oldest = oldest_python()
        ensure_system([oldest], dev, [config])
        venv = ensure_venv(oldest, ROOT / ".venv")
        return ensure_build(config, oldest, oldest, venv)


def main() -> int:
    parser = argparse.ArgumentParser(description="Sets this checkout up.")
    parser.add_argument("purpose", choices=sorted(PURPOSES))
    parser.add_argument("--config", choices=sorted(CONFIGS), help="build this one instead")
    arguments = parser.parse_args()
    dev, configs = PURPOSES[arguments.purpose]
    if arguments.config:
        configs = (arguments.config,)
    try:
        with locked():
            oldest = oldest_python()
            ensure_system([oldest], dev, configs)
            venv = ensure_venv(oldest, ROOT / ".venv")
            if arguments.purpose == "bench-exactness":
                ensure_peers(venv)
            for config in configs:
                ensure_build(config, oldest, oldest, venv)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; call again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
