"""House rules that no compiler checks: which room includes which, banned calls, names, exported symbols, sizes.

    python tools/tidy.py                  checks this checkout; prints file:line: what is wrong
    python tools/tidy.py --self-test      seeds one violation of every rule and demands that it is found

Reads the sources as text with comments and literals blanked out, so it sees a call inside a macro too. The symbol rules
read the objects of build/ and are part of the whole check only.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

# Direct arrows between rooms; a room may include everything below it. Tests may include any room: nothing is made from them.
ARROWS: dict[str, tuple[str, ...]] = {
    "base": (),
    "os": ("base",),
    "rt": ("base",),
    "column": ("rt",),
    "ir": ("column", "rt"),
    "front": ("ir",),
    "interp": ("ir",),
    "jit": ("interp", "os"),
    "plan": ("ir", "jit"),
    "exec": ("plan", "jit", "column", "os"),
    "api": ("front", "exec"),
}

LINES_MAX_C = 800
LINES_MAX_FUNCTION = 70
LINES_MAX_PACKAGE = 800
LINES_MAX_PYTHON = 1200  # lists of cases in tests and tools
COLUMNS_MAX = 140  # of comments and literals; the formatters keep code at 100

# Standard headers; everything else in angle brackets belongs to the system and is for os alone.
LIBC_HEADERS = frozenset(
    [
        "assert.h",
        "ctype.h",
        "errno.h",
        "fenv.h",
        "float.h",
        "inttypes.h",
        "limits.h",
        "locale.h",
        "math.h",
        "stdalign.h",
        "stdarg.h",
        "stdatomic.h",
        "stdbool.h",
        "stddef.h",
        "stdint.h",
        "stdio.h",
        "stdlib.h",
        "stdnoreturn.h",
        "string.h",
    ]
)


class Ban(NamedTuple):
    """Names that must not be called, where they may be, and why."""

    names: str
    allowed: tuple[str, ...]
    why: str


BANS = (
    Ban(
        "malloc calloc realloc free aligned_alloc posix_memalign memalign strdup strndup asprintf vasprintf",
        ("src/base/mem.c",),
        "the heap is reached through base/mem.h alone",
    ),
    Ban(
        "time clock clock_gettime gettimeofday nanosleep clock_nanosleep sleep usleep localtime gmtime mktime"
        " rand srand random srandom rand_r drand48 getrandom arc4random getentropy",
        ("src/os/",),
        "time and randomness come from os",
    ),
    Ban(
        "pthread_create pthread_join pthread_detach pthread_mutex_init pthread_mutex_lock pthread_mutex_unlock"
        " pthread_cond_init pthread_cond_wait pthread_cond_timedwait pthread_cond_signal pthread_cond_broadcast"
        " pthread_once pthread_key_create pthread_setname_np pthread_atfork thrd_create mtx_lock cnd_wait call_once"
        " sem_init sem_wait sem_post sched_yield",
        ("src/os/",),
        "threads and locks come from os",
    ),
    Ban(
        "fork vfork execv execve execvp execl execlp fexecve posix_spawn posix_spawnp clone wait waitpid waitid kill"
        " signal sigaction sigprocmask pthread_sigmask prctl setrlimit getpid getppid getenv secure_getenv setenv"
        " putenv sysconf sched_getaffinity syscall",
        ("src/os/",),
        "processes and the environment come from os",
    ),
    Ban(
        "open openat creat close read write pread pwrite lseek fopen fdopen freopen fclose fread fwrite fflush fgets"
        " fputs getline opendir readdir stat fstat lstat unlink rename mkdir rmdir socket socketpair connect accept"
        " bind listen send recv sendmsg recvmsg poll select epoll_create1 pipe pipe2 dup dup2 fcntl ioctl ftruncate",
        ("src/os/",),
        "files and sockets come from os",
    ),
    Ban(
        "mmap munmap mprotect mremap madvise memfd_create shm_open",
        ("src/os/",),
        "memory mappings come from os",
    ),
    Ban(
        "printf vprintf fprintf vfprintf puts putchar perror",
        ("src/os/", "src/base/error.c"),
        "a library prints nothing; text goes through sb_os_write_stderr or a writer",
    ),
    Ban(
        "abort exit _exit _Exit quick_exit",
        ("src/base/error.c", "src/os/"),
        "bad input or no memory is a status; only a failed assertion ends the process",
    ),
    Ban("setjmp longjmp sigsetjmp siglongjmp", (), "errors are statuses"),
    Ban(
        "strcpy strcat stpcpy sprintf vsprintf gets strtok atoi atol atoll atof alloca system popen setlocale assert"
        " tmpnam mktemp",
        (),
        "unsafe, or a safer form exists (snprintf, memcpy, SB_ASSERT)",
    ),
)  # fmt: skip

EXTENSIONS = re.compile(
    r"__attribute__|__builtin_\w+|__extension__|__asm__|\basm\b|\btypeof\b|\(\{"
)


class Finding(NamedTuple):
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


# --- reading C --------------------------------------------------------------------------------------------------------

BLANKED = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'",
    re.DOTALL,
)


def code_of(text: str) -> str:
    """The text with comments and literals blanked, so that line numbers stay."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match.group())

    # An #include keeps its name: it is no literal.
    lines = text.split("\n")
    kept = {i: line for i, line in enumerate(lines) if re.match(r"\s*#\s*include\b", line)}
    code = BLANKED.sub(blank, text).split("\n")
    for i, line in kept.items():
        code[i] = line
    return "\n".join(code)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def test_support(root: Path) -> set[str]:
    """Files that no library is made from: sources that no meson.build adds to one, and headers that only those include."""
    library: set[str] = set()
    for build in (root / "src").glob("*/meson.build"):
        for listed in re.findall(
            r"sabot_sources\s*\+=\s*files\((.*?)\)", build.read_text(), re.DOTALL
        ):
            library |= {
                f"src/{build.parent.name}/{name}" for name in re.findall(r"'([^']+)'", listed)
            }
    included: dict[str, set[str]] = {}
    for path in c_files(root):
        name = path.relative_to(root).as_posix()
        included[name] = {
            f"src/{target}"
            for target in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE)
        }

    def reached(start: set[str]) -> set[str]:
        seen: set[str] = set()
        waiting = list(start)
        while waiting:
            name = waiting.pop()
            if name not in seen and name in included:
                seen.add(name)
                waiting += included[name]
        return seen

    outside = {"include/", "python/", "src/jit_helper/"}
    ships = {name for name in included if name.startswith(tuple(outside))} | library
    tests = {name for name in included if name.endswith(".c")} - ships
    return reached(tests) - reached(ships)


def c_files(root: Path) -> Iterator[Path]:
    for folder in ("src", "include", "python/ext"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".c", ".h"):
                yield path


# --- rules over one C file --------------------------------------------------------------------------------------------


def rooms_below(room: str) -> set[str]:
    below: set[str] = {room}
    for lower in ARROWS[room]:
        below |= rooms_below(lower)
    return below


def check_includes(name: str, code: str, test: bool) -> Iterator[Finding]:
    parts = name.split("/")
    for match in re.finditer(r"^\s*#\s*include\s*([<\"])([^>\"]+)[>\"]", code, re.MULTILINE):
        quoted, target = match.group(1) == '"', match.group(2)
        line = line_of(code, match.start(1))
        if target.startswith(("llvm", "llvm-c/")) and parts[:2] != ["src", "jit_helper"]:
            yield Finding(name, line, f"only jit_helper includes LLVM's headers, not {target}")
        elif name.startswith("python/ext/"):
            own = quoted and "/" not in target
            if not own and target != "Python.h" and target not in LIBC_HEADERS:
                yield Finding(
                    name, line, f"the extension includes sabot.h and Python.h, not {target}"
                )
        elif parts[0] == "include":
            if target not in LIBC_HEADERS:
                yield Finding(name, line, f"the public header includes libc only, not {target}")
        elif parts[1] == "jit_helper":
            if quoted and target != "jit/wire.h":
                yield Finding(name, line, f"jit_helper includes jit/wire.h alone, not {target}")
        elif parts[1] not in ARROWS:
            yield Finding(name, line, f"room {parts[1]} is not in the table of arrows")
        elif quoted and not test:
            yield from check_arrow(name, line, parts[1], target)
        elif target not in LIBC_HEADERS and parts[1] != "os" and not test:
            yield Finding(name, line, f"only os includes the system's headers, not {target}")


def check_arrow(name: str, line: int, room: str, target: str) -> Iterator[Finding]:
    if target == "sabot.h":
        if room != "api":
            yield Finding(name, line, "only api includes sabot.h")
        return
    other = target.split("/")[0]
    if "/" not in target:
        yield Finding(name, line, f'"{target}" is not named from src/ (room/file.h)')
    elif other not in rooms_below(room):
        yield Finding(name, line, f"{room} may not include {other}")


def check_calls(name: str, code: str) -> Iterator[Finding]:
    if name.startswith("src/jit_helper/"):
        return
    for ban in BANS:
        if name.startswith(ban.allowed) if ban.allowed else False:
            continue
        pattern = r"(?<![\w.>])(" + "|".join(ban.names.split()) + r")\s*\("
        for match in re.finditer(pattern, code):
            line = line_of(code, match.start(1))
            yield Finding(name, line, f"{match.group(1)}() is banned here: {ban.why}")


def check_extensions(name: str, code: str) -> Iterator[Finding]:
    if name in ("src/base/compiler.h", "include/sabot.h"):
        return
    for match in EXTENSIONS.finditer(code):
        line = line_of(code, match.start())
        yield Finding(name, line, f"compiler extensions belong in base/compiler.h: {match.group()}")


def check_names(name: str, code: str) -> Iterator[Finding]:
    """Headers define sb_/SB_ names only (the public one sabot_/SABOT_), sources give statics no prefix. A private header
    (mod_int.h) is part of its sources. ARROW_ names are those of the C data interface."""
    public = name.startswith("include/")
    prefixes = ("sabot_", "SABOT_", "ARROW_") if public else ("sb_", "SB_", "ARROW_")
    extension = name.startswith("python/ext/")
    if name.endswith("_int.h"):
        pass
    elif name.endswith(".h") and not extension:
        for match in re.finditer(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", code, re.MULTILINE):
            # X is what the entries of an X-macro table are called with, defined and undefined round it.
            if match.group(1) != "X" and not match.group(1).startswith(prefixes):
                line = line_of(code, match.start(1))
                yield Finding(name, line, f"macro {match.group(1)} lacks the prefix {prefixes[1]}")
        for match in re.finditer(r"^static inline [^;{(]*?(\w+)\(", code, re.MULTILINE):
            if not match.group(1).startswith(prefixes):
                line = line_of(code, match.start(1))
                yield Finding(
                    name, line, f"{match.group(1)} in a header lacks the prefix {prefixes[0]}"
                )
    elif name.endswith(".c"):
        for match in re.finditer(r"^static [^;={(]*?(\w+)\(", code, re.MULTILINE):
            if match.group(1).startswith(("sb_", "sabot_")):
                line = line_of(code, match.start(1))
                yield Finding(
                    name, line, f"static {match.group(1)} carries the prefix of shared names"
                )
    for match in re.finditer(r"^(?:typedef .*|\}) \**(\w+_t);", code, re.MULTILINE):
        yield Finding(name, line_of(code, match.start(1)), f"type {match.group(1)} ends in _t")


def check_size(name: str, code: str) -> Iterator[Finding]:
    lines = code.split("\n")
    if len(lines) - 1 > LINES_MAX_C:
        yield Finding(name, 1, f"{len(lines) - 1} lines; at most {LINES_MAX_C}")
    opened = 0
    for number, line in enumerate(lines, 1):
        if line == "{":
            opened = number
        elif line == "}" and opened:
            if number - opened - 1 > LINES_MAX_FUNCTION:
                size = number - opened - 1
                yield Finding(
                    name, opened, f"a function of {size} lines; at most {LINES_MAX_FUNCTION}"
                )
            opened = 0


def check_text(name: str, text: str) -> Iterator[Finding]:
    if not text.startswith("/*"):
        yield Finding(name, 1, "the file begins with a comment that says what it is for")
    yield from check_lines(name, text)


def check_lines(name: str, text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > COLUMNS_MAX:
            yield Finding(name, number, f"{len(line)} columns; at most {COLUMNS_MAX}")
        if line != line.rstrip():
            yield Finding(name, number, "space at the end of the line")
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line) and not name.startswith("tools/tidy"):
            yield Finding(name, number, "work that is not done does not live in comments")


def check_c(root: Path) -> Iterator[Finding]:
    tests = test_support(root)
    for path in c_files(root):
        name = path.relative_to(root).as_posix()
        test = name in tests
        text = path.read_text()
        code = code_of(text)
        yield from check_text(name, text)
        yield from check_includes(name, code, test)
        if not test:
            yield from check_calls(name, code)
            yield from check_extensions(name, code)
            yield from check_names(name, code)
        yield from check_size(name, code)


# --- rules over the tree ----------------------------------------------------------------------------------------------


def check_build_lists(root: Path) -> Iterator[Finding]:
    """Every C source is named by a meson.build, or it would silently not be built or not be run."""
    named: set[str] = set()
    for build in [*(root / "src").rglob("meson.build"), *(root / "python").rglob("meson.build")]:
        for word in re.findall(r"'([^']+\.c)'", build.read_text()):
            named.add((build.parent / word).resolve().relative_to(root.resolve()).as_posix())
    for path in c_files(root):
        name = path.relative_to(root).as_posix()
        if name.endswith(".c") and name not in named:
            yield Finding(name, 1, "no meson.build names this file")


def check_rooms(root: Path) -> Iterator[Finding]:
    for folder in sorted((root / "src").iterdir()):
        if folder.is_dir() and any(folder.glob("*.c")) and not (folder / "README.md").exists():
            yield Finding(folder.relative_to(root).as_posix(), 1, "the room has no README.md")


def check_python(root: Path) -> Iterator[Finding]:
    for folder in ("python/sabot", "tests", "fuzz", "bench", "examples", "tools"):
        for path in sorted((root / folder).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            text = path.read_text()
            lines = text.count("\n")
            lines_max = LINES_MAX_PACKAGE if folder == "python/sabot" else LINES_MAX_PYTHON
            if lines > lines_max:
                yield Finding(name, 1, f"{lines} lines; at most {lines_max}")
            if text and not re.match(r'(#!.*\n)?r?"""', text):
                yield Finding(name, 1, "the file begins with a docstring that says what it is for")
            yield from check_lines(name, text)


def check_sources(root: Path) -> list[Finding]:
    found = [*check_c(root), *check_build_lists(root), *check_rooms(root), *check_python(root)]
    return sorted(set(found))


# --- symbols ----------------------------------------------------------------------------------------------------------


def symbols(path: Path, *options: str) -> list[tuple[str, str, str]]:
    """(object, kind, name) of each defined symbol."""
    command = ["nm", "--defined-only", "--format=posix", "--print-file-name", *options, str(path)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: list[tuple[str, str, str]] = []
    for line in result.stdout.splitlines():
        where, _, rest = line.partition(": ")
        words = rest.split()
        found.append((where, words[1], words[0]))
    return found


def public_functions(root: Path) -> set[str]:
    code = code_of((root / "include" / "sabot.h").read_text())
    return set(re.findall(r"\bSABOT_API\b[^;(]*?\b(sabot_\w+)\(", code))


def check_archive(archive: Path) -> Iterator[Finding]:
    """Names shared between files are sb_*; sabot_* are defined by api alone."""
    for where, kind, name in symbols(archive):
        if kind.isupper():
            where = re.sub(r".*/|\]$", "", where)  # the object's name alone
            room = re.match(r"src_([a-z]+)_", where)
            if not name.startswith(("sb_", "sabot_")):
                yield Finding(where, 0, f"{name} is shared between files without the prefix sb_")
            elif name.startswith("sabot_") and (room is None or room.group(1) != "api"):
                yield Finding(where, 0, f"{name} is defined outside api")


def check_library(library: Path, wanted: set[str]) -> Iterator[Finding]:
    """The shared library gives exactly what sabot.h declares."""
    have = {name for _, _, name in symbols(library, "--dynamic")}
    for name in sorted(have - wanted):
        yield Finding(library.name, 0, f"exports {name}, which the public header does not declare")
    for name in sorted(wanted - have):
        yield Finding(library.name, 0, f"does not export {name}, which the public header declares")


def check_module(module: Path) -> Iterator[Finding]:
    """The extension module gives its initialiser and nothing else."""
    have = {name for _, _, name in symbols(module, "--dynamic")}
    if have != {"PyInit__core"}:
        yield Finding(module.name, 0, f"exports {', '.join(sorted(have))}, not PyInit__core alone")


def check_symbols(root: Path, build: Path) -> list[Finding]:
    found = [*check_archive(build / "libsabot_core.a")]
    found += check_library(build / "libsabot.so", public_functions(root))
    modules = sorted((build / "python").glob("_core*.so"))
    if not modules:
        found.append(Finding("build/python", 0, "there is no extension module to look at"))
    for module in modules:
        found += check_module(module)
    return found


# --- self-test --------------------------------------------------------------------------------------------------------

CLEAN = "/* A file. */\n"
TEMPLATE = {
    "src/base/README.md": "# base\n",
    "src/base/meson.build": "sabot_sources += files('good.c', 'bad.c')\nsabot_tests += {'base_bad': files('bad_test.c')}\n",
    "src/base/bad_test.c": CLEAN
    + '#include <unistd.h>\n#include "base/kit.h"\n\nint m(void)\n{\n    abort();\n}\n',
    "src/base/kit.h": CLEAN + "#define KIT 1\n",
    "src/base/good.c": CLEAN
    + '#include "base/good.h"\n\nint sb_good_get(void)\n{\n    return 1;\n}\n',
    "src/base/good.h": CLEAN + "#define SB_GOOD 1\nint sb_good_get(void);\n",
    "src/rt/README.md": "# rt\n",
    "src/rt/meson.build": "sabot_sources += files('bad.c')\n",
    "include/sabot.h": CLEAN + "#define SABOT_API\nSABOT_API int sabot_one(void);\n",
}


def seeds() -> list[tuple[str, str, str]]:
    """(file, text, what must be said about it), at least one for each rule."""
    body = "\n\nint sb_bad(void)\n{\n    %s\n}\n"
    bad = [
        ("src/base/bad.c", CLEAN + '#include "rt/rt.h"\n', "base may not include rt"),
        ("src/rt/bad.c", CLEAN + '#include "jit/helper.h"\n', "rt may not include jit"),
        ("src/rt/bad.c", CLEAN + '#include "rt.h"\n', "not named from src/"),
        ("src/rt/bad.c", CLEAN + '#include "sabot.h"\n', "only api includes sabot.h"),
        ("src/rt/bad.c", CLEAN + "#include <llvm-c/Core.h>\n", "only jit_helper"),
        ("src/rt/bad.c", CLEAN + "#include <unistd.h>\n", "only os includes"),
        ("src/nowhere/bad.c", CLEAN + '#include "base/good.h"\n', "not in the table"),
        ("src/jit_helper/bad.c", CLEAN + '#include "base/good.h"\n', "jit/wire.h alone"),
        ("python/ext/bad.c", CLEAN + '#include "base/good.h"\n', "includes sabot.h and Python.h"),
        ("include/bad.h", CLEAN + "#include <pthread.h>\n", "libc only"),
        ("src/base/bad.c", CLEAN + body % "return __builtin_clz(1);", "compiler extensions"),
        ("src/base/bad.h", CLEAN + "#define BAD 1\n", "macro BAD lacks"),
        ("src/base/bad.h", CLEAN + "static inline int bad(void)\n{\n    return 1;\n}\n", "bad in a header"),
        ("src/base/bad.c", CLEAN + "static int sb_bad(void)\n{\n    return 1;\n}\n", "static sb_bad"),
        ("src/base/bad.h", CLEAN + "typedef int sb_bad_t;\n", "ends in _t"),
        ("src/base/bad.c", CLEAN + body % "\n    ".join(["g();"] * 71), "a function of 71 lines"),
        ("src/base/bad.c", CLEAN + "\n" * 801, "802 lines"),
        ("src/base/bad.c", "int sb_bad;\n", "begins with a comment"),
        ("src/base/bad.c", CLEAN + "/* " + "x" * 150 + " */\n", "columns; at most"),
        ("src/base/bad.c", CLEAN + "int sb_bad; \n", "space at the end"),
        ("src/base/bad.c", CLEAN + "/* TO" + "DO later */\n", "work that is not done"),
        ("src/base/unlisted.c", CLEAN, "no meson.build names"),
        ("src/exec/bad.c", CLEAN, "no README.md"),
        ("python/sabot/bad.py", "x = 1\n", "begins with a docstring"),
        ("python/sabot/bad.py", '"""Doc."""\n' + "x = 1\n" * 900, "901 lines"),
        ("tests/bad.py", '"""Doc."""\n' + "x = 1\n" * 1200, "1201 lines"),
    ]  # fmt: skip
    for ban in BANS:
        for name in ban.names.split():
            text = CLEAN + body % f"return {name}(0);"
            bad.append(("src/rt/bad.c", text, f"{name}() is banned here"))
    return bad


def write_tree(root: Path, files: Iterable[tuple[str, str]]) -> None:
    for name, text in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def self_test_sources() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write_tree(root, TEMPLATE.items())
        for finding in check_sources(root):
            yield f"a clean tree is blamed: {finding}"
        for name, text, wanted in seeds():
            path = root / name
            write_tree(root, [(name, text)])
            if not any(wanted in str(f) and f.path in name for f in check_sources(root)):
                yield f"not found: {wanted!r} in {name}"
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
        # Words in comments and literals, members, and longer names are no calls.
        innocent = CLEAN + '/* malloc(1) */\nconst char *sb_x = "free(x)";\nint sb_f(s *p)\n{\n'
        innocent += "    return p->open(1) + p.read(2) + sb_mem_free(3) + '\"' + exit_code(4);\n}\n"
        write_tree(root, [("src/rt/bad.c", innocent)])
        for finding in check_sources(root):
            yield f"an innocent file is blamed: {finding}"


def self_test_symbols() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write_tree(
            root, [("x.c", "int sabot_one(void);\nint sabot_one(void) { return 1; }\nint stray;\n")]
        )
        compile_shared = ["gcc", "-shared", "-fPIC", "-o", str(root / "x.so"), str(root / "x.c")]
        subprocess.run(compile_shared, check=True)
        subprocess.run(["gcc", "-c", "-o", str(root / "x.o"), str(root / "x.c")], check=True)
        library = "\n".join(map(str, check_library(root / "x.so", {"sabot_one", "sabot_two"})))
        module = "\n".join(map(str, check_module(root / "x.so")))
        archive = "\n".join(map(str, check_archive(root / "x.o")))
        for wanted, text in (
            ("exports stray", library),
            ("does not export sabot_two", library),
            ("not PyInit__core alone", module),
            ("stray is shared between files", archive),
            ("sabot_one is defined outside api", archive),
        ):
            if wanted not in text:
                yield f"not found: {wanted!r}"
        if "exports sabot_one" in library:
            yield "a declared function is blamed"


def self_test() -> list[str]:
    return [*self_test_sources(), *self_test_symbols()]


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks the house rules.")
    parser.add_argument(
        "--self-test", action="store_true", help="seed violations, demand to find them"
    )
    parser.add_argument(
        "--sources-only", action="store_true", help="leave the symbols of build/ out"
    )
    arguments = parser.parse_args()
    if arguments.self_test:
        problems = self_test()
    else:
        found = check_sources(ROOT)
        if not arguments.sources_only:
            found += check_symbols(ROOT, ROOT / "build")
        problems = [str(finding) for finding in found]
    print("\n".join(problems) if problems else "tidy")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
