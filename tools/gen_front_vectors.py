"""Writes src/front/front_vectors.inc: functions as blobs, rows of arguments, and what CPython answers for each row.

    python tools/gen_front_vectors.py > src/front/front_vectors.inc       from the root of the repository

The functions are those of tools/front_cases.py, front_language.py, front_lists.py, front_functions.py and front_numpy.py. A row is
one line of text: its arguments, `>` and the outcome. Words: n is None, t and f are booleans, i<decimal> an int, d<hex> the bits of a
float, `!` an exception. A line that starts with `.` must stay in the compiled code: its numbers are small. An int result is given as
the column's type has it, and as `!` where that cannot hold it.
"""

import random
import struct
import sys
import types
import warnings
from pathlib import Path

ROOT = Path(__file__).parent.parent
# The package without its extension module: capturing needs none, so nothing has to be built.
package = types.ModuleType("sabot")
package.__path__ = [str(ROOT / "python" / "sabot")]
sys.modules["sabot"] = package

from front_case import CASES  # noqa: E402
from sabot._capture import capture  # noqa: E402

ROWS = 20
SMALL = {
    "i": [0, 1, 2, 3, 4, 5, 7, 9, 10, -1, -2, -3, 12, 100],
    "f": [0.0, -0.0, 1.0, 2.5, -1.0, 3.0, 0.1, -7.5, 100.0],
    "b": [True, False],
}
EDGES = {
    "i": [2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**62, -(2**62), 2**63 - 1, -(2**63)],
    "f": [1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan"), 2.0**53, 2.0**63],
    "b": [True, False],
}
EXACT = 2**53
FORMATS = {"i": "l", "f": "g", "b": "b"}
Scalar = int | float | bool | None


def rows_of(name: str, kinds: str, small: bool) -> list[tuple[tuple[Scalar, ...], bool]]:
    chance = random.Random(name)
    rows: list[tuple[tuple[Scalar, ...], bool]] = []
    for number in range(ROWS):
        tame = small or number % 3 != 2
        pool = SMALL if tame else EDGES
        row = [
            None
            if chance.random() < 0.12
            else chance.choice(pool[kind] if chance.random() < 0.8 else SMALL[kind])
            for kind in kinds
        ]
        if len(kinds) == 1 and number < len(SMALL[kinds]) and tame:
            row = [SMALL[kinds][number]]
        rows.append((tuple(row), tame))
    return list(dict.fromkeys(rows))


def word(x: Scalar) -> str:
    if x is None:
        return "n"
    if isinstance(x, bool):
        return "t" if x else "f"
    if isinstance(x, int):
        return f"i{x}"
    if x != x:
        return "d7ff8000000000000"
    return f"d{struct.unpack('<Q', struct.pack('<d', x))[0]:x}"


def outcome(fn, row: tuple[Scalar, ...]) -> Scalar | Exception:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # NumPy's: such rows leave
        try:
            return fn(*row)
        except Exception as problem:
            return problem


def result_format(results: list[Scalar | Exception]) -> str:
    kinds = {type(r) for r in results if not isinstance(r, Exception)} - {type(None)}
    if bool in kinds:
        assert kinds == {bool}, kinds
        return "b"
    return "g" if float in kinds else "l" if int in kinds else "n"


def stored(result: Scalar | Exception, fmt: str) -> str:
    """The outcome as a column of that type holds it."""
    if isinstance(result, Exception):
        return "!"
    if type(result) is complex:
        return "!"
    if fmt == "g" and type(result) is int:
        return word(float(result)) if abs(result) <= EXACT else "!"
    if type(result) is int and not -(2**63) <= result < 2**63:
        return "!"
    return word(result)


def literal(data: bytes) -> str:
    """A C string literal in lines of at most 120 columns; octal escapes, as short as what follows allows."""
    lines = [""]
    for k, byte in enumerate(data):
        char = chr(byte)
        if char.isascii() and char.isprintable() and char not in '"\\?':
            piece = char
        elif char == "\n":
            piece = "\\n"
        else:
            piece = f"\\{byte:03o}" if data[k + 1 : k + 2].isdigit() else f"\\{byte:o}"
        if len(lines[-1]) + len(piece) > 110:
            lines.append("")
        lines[-1] += piece
    return "\n".join(f'     "{line}"' for line in lines)


def main() -> int:
    files = ("front_cases", "front_language", "front_lists", "front_functions", "front_numpy")
    for name in files:
        # By a path of the repository, so that no machine's folders stand in the blobs.
        place = f"tools/{name}.py"
        exec(compile((ROOT / place).read_text(), place, "exec"), {"__name__": name})
    print("/* Made by tools/gen_front_vectors.py: functions, rows, and what CPython answers. */")
    print("#ifndef SB_FRONT_FRONT_VECTORS_H\n#define SB_FRONT_FRONT_VECTORS_H\n")
    print("/* clang-format off */")
    print("typedef struct front_vector {\n    const char *name, *kinds, *params, *format;")
    print(
        "    const char *blob;\n    unsigned blob_size;\n    const char *rows;\n} front_vector;\n"
    )
    print("static const front_vector front_vectors[] = {")
    for case in CASES:
        name = case.fn.__name__
        captured = capture(case.fn)
        assert captured.refusals == (), (name, captured.refusals)
        blob = captured.blob
        assert blob is not None and str(ROOT).encode() not in blob, "run it as the first lines say"
        rows = rows_of(name, case.kinds, case.small)
        results = [outcome(case.fn, row) for row, _ in rows]
        fmt = case.result or result_format(results)
        text = ""
        for (row, tame), result in zip(rows, results, strict=True):
            kept = tame and not case.may_leave and stored(result, fmt) != "!"
            text += f"{'.' if kept else ''}{' '.join(map(word, row))} > {stored(result, fmt)}\n"
        params = " ".join(case.fn.__code__.co_varnames[: len(case.kinds)])
        assert len(blob) < 4000 and len(text) < 4000
        formats = "".join(FORMATS[kind] for kind in case.kinds)
        print(f'    {{"{name}", "{formats}", "{params}", "{fmt}",')
        print(f"{literal(blob)},\n     {len(blob)},\n{literal(text.encode())}}},")
    print("};\n/* clang-format on */\n\n#endif")
    return 0


if __name__ == "__main__":
    sys.exit(main())
