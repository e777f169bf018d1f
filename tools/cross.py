"""The root of the AArch64 build: C library, CPython with its headers, cmocka from Debian; pyarrow from its wheel.

Asked for through apt with its lists and cache in a private folder, and unpacked, so nothing of the machine changes: no foreign
architecture is added, nothing is installed, and no root rights are needed. tools/aarch64.ini names the root; `python` in it
is the emulated CPython.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

ARCHITECTURE = "arm64"
# Debian 12's CPython, and what it and pyarrow load.
PACKAGES = (
    "libc6",
    "libgcc-s1",
    "libstdc++6",
    "libcmocka0",
    "libcmocka-dev",
    "python3.11-minimal",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libpython3.11-dev",
    "libbz2-1.0",
    "libcrypt1",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libssl3",
    "libuuid1",
    "zlib1g",
)
WHEELS = ("cloudpickle", "pyarrow")  # at the versions of requirements.txt

Run = Callable[[Sequence[str]], None]


# Emulated CPython as a program of one word, which is what Meson and the fuzzer want.
PYTHON = """#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export PYTHONPATH="$PYTHONPATH:$here/site"
exec qemu-aarch64 -L "$here" "$here/usr/bin/python3.11" -B "$@"
"""


def ensure_root(
    root: Path, pip: Path, requirements: Path, run: Run, say: Callable[[str], None]
) -> None:
    """Fills `root` unless it is full. `run` raises when its command fails."""
    lines = requirements.read_text().splitlines()
    wheels = [line for line in lines if line.partition("==")[0] in WHEELS]
    stamp = root / ".sabot-stamp"
    wanted = " ".join([*PACKAGES, *wheels])
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"unpacking C library, CPython and pyarrow for {ARCHITECTURE} into {root}")
    shutil.rmtree(root, ignore_errors=True)
    unpack_packages(root, run)
    unpack_wheels(root / "site", pip, wheels, run)
    (root / "python").write_text(PYTHON)
    (root / "python").chmod(0o755)
    stamp.write_text(wanted)


def unpack_packages(root: Path, run: Run) -> None:
    state = root / "apt"
    downloads = state / "downloads"
    for part in ("lists/partial", "cache/archives/partial", "downloads"):
        (state / part).mkdir(parents=True)
    (state / "status").touch()
    options = apt_options(state)
    run(["apt-get", *options, "update"])
    in_folder = ["sh", "-c", 'cd "$0" && exec "$@"', str(downloads)]
    run([*in_folder, "apt-get", *options, "download", *PACKAGES])
    for package in sorted(downloads.glob("*.deb")):
        run(["dpkg-deb", "-x", str(package), str(root)])
    shutil.rmtree(state)


def apt_options(state: Path) -> list[str]:
    """Options that let apt look at another architecture without the machine's own lists, cache and installed packages."""
    values = {
        "Dir::State": str(state),
        "Dir::State::status": str(state / "status"),
        "Dir::Cache": str(state / "cache"),
        "APT::Architecture": ARCHITECTURE,
        "APT::Architectures": ARCHITECTURE,
        "APT::Sandbox::User": "root",  # its own user may not enter the checkout
    }
    return [word for name, value in values.items() for word in ("-o", f"{name}={value}")]


def unpack_wheels(site: Path, pip: Path, wheels: Sequence[str], run: Run) -> None:
    target = [
        "--target",
        str(site),
        "--python-version",
        "3.11",
        "--only-binary",
        ":all:",
        "--no-deps",
    ]
    platforms = ["--platform", "manylinux_2_28_aarch64", "--platform", "manylinux2014_aarch64"]
    quiet = ["--quiet", "--disable-pip-version-check"]
    run([str(pip), "install", *quiet, *target, *platforms, *wheels])
