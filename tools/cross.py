"""What the AArch64 build links with and Debian's cross packages do not have: cmocka, unpacked into a root of its own.

Asked for through apt with its lists and cache in a private folder, so nothing of the machine changes: no foreign
architecture is added, nothing is installed, and no root rights are needed. tools/aarch64.ini names the root.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

ARCHITECTURE = "arm64"
PACKAGES = ("libcmocka0", "libcmocka-dev")


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


def ensure_root(
    root: Path, run: Callable[[Sequence[str]], None], say: Callable[[str], None]
) -> None:
    """Fills `root` with PACKAGES unless it has them. `run` raises when its command fails."""
    stamp = root / ".sabot-stamp"
    wanted = " ".join(PACKAGES)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"unpacking {wanted} for {ARCHITECTURE} into {root}")
    shutil.rmtree(root, ignore_errors=True)
    state = root / "apt"
    packages = state / "packages"
    for folder in (state / "lists" / "partial", state / "cache" / "archives" / "partial", packages):
        folder.mkdir(parents=True)
    (state / "status").touch()
    options = apt_options(state)
    run(["apt-get", *options, "update"])
    run(
        [
            "sh",
            "-c",
            'cd "$0" && exec "$@"',
            str(packages),
            "apt-get",
            *options,
            "download",
            *PACKAGES,
        ]
    )
    for package in sorted(packages.glob("*.deb")):
        run(["dpkg-deb", "-x", str(package), str(root)])
    shutil.rmtree(state)
    stamp.write_text(wanted)
