"""Writes the header that names the compiler: a digest of the program's sources and of LLVM's version.

    python tools/compiler_id.py VERSION OUT SOURCE...

Engine and program are built with the same header. What another program compiled is never kept on disk under this one's name, and an
engine needs no program to know what its own would have made.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path


def header_of(version: str, sources: list[str]) -> str:
    digest = hashlib.blake2b(version.encode() + b"\0", digest_size=8)
    for source in sources:
        digest.update(Path(source).read_bytes() + b"\0")
    return (
        "/* Made by tools/compiler_id.py: what the compiler's answers depend on besides its input. */\n"
        "#ifndef SB_JIT_COMPILER_ID_H\n"
        "#define SB_JIT_COMPILER_ID_H\n"
        f"#define SB_COMPILER_ID UINT64_C(0x{digest.hexdigest()})\n"
        "#endif\n"
    )


def main() -> None:
    version, out, *sources = sys.argv[1:]
    Path(out).write_text(header_of(version, sources))


if __name__ == "__main__":
    main()
