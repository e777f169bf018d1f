"""Is the fuzzer any good? Puts one error at a time into a copy of the engine and runs the fuzzer on it.

    python -m fuzz.mutate [--only WORDS] [--tree PATH] [--functions 1200] [--columns 8] [--seed 1]

The tree is copied to a temporary folder and built there once; each mutation then rebuilds what it touches, runs the fuzzer
until its first finding and is taken back. The fuzzer must find nothing in the unchanged copy, and something in every
changed one: a mutation that survives, or whose text is no longer in its file, or that does not compile, fails the run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fuzz.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parent.parent


class Copy:
    """A copy of the tree with a build of its own."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.root = folder / "tree"
        self.build = folder / "build"
        self.root.mkdir()
        for path in source.iterdir():
            if path.name.startswith((".", "build", "dist")):
                continue
            if path.is_dir():
                shutil.copytree(
                    path, self.root / path.name, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(path, self.root / path.name)
        # Without bytecode: a file is changed and changed back within a second.
        self.env = dict(os.environ, CC="gcc", PYTHONDONTWRITEBYTECODE="1")
        self.env["PATH"] = str(Path(sys.executable).parent) + os.pathsep + self.env.get("PATH", "")
        self.call("meson", "setup", "-Dtests=disabled", str(self.build), str(self.root))
        self.make()
        package = self.build / "lib" / "sabot"
        package.mkdir(parents=True)
        for path in (self.root / "python" / "sabot").iterdir():
            (package / path.name).symlink_to(path)
        for module in (self.build / "python").glob("_core*.so"):
            (package / module.name).symlink_to(module)
        (package / "_bin").mkdir()
        (package / "_bin" / "sabot-jit").symlink_to(self.build / "src" / "jit_helper" / "sabot-jit")

    def call(self, *command: str) -> None:
        done = subprocess.run(
            command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command[:2])} failed:\n{done.stdout[-3000:]}")

    def make(self) -> None:
        self.call("ninja", "-C", str(self.build))

    def fuzz(self, tier: str, args: argparse.Namespace) -> tuple[int, str]:
        """Exit status and output of the fuzzer on the copy as it is built now."""
        env = dict(self.env, PYTHONPATH=os.pathsep.join((str(self.build / "lib"), str(self.root))))
        command = [sys.executable, "-m", "fuzz.differential", "--tier", tier, "--seed", args.seed]
        command += ["--functions", str(args.functions), "--columns", str(args.columns)]
        command += ["--findings", "1", "--no-shrink", "--combinations", "0"]
        done = subprocess.run(
            command,
            env=env,
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout


def change(copy: Copy, mutation: Mutation) -> str:
    """Puts the error in; gives the text of the file before."""
    path = copy.root / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        raise RuntimeError(
            f"{mutation.file} holds the text {text.count(mutation.old)} times, not once"
        )
    path.write_text(text.replace(mutation.old, mutation.new))
    return text


def try_mutation(copy: Copy, mutation: Mutation, args: argparse.Namespace) -> tuple[bool, str]:
    """Whether the fuzzer noticed, and what it said."""
    before = None
    try:
        before = change(copy, mutation)
        copy.make()
        status, output = copy.fuzz(mutation.tier, args)
    except RuntimeError as e:
        return False, str(e)
    finally:
        if before is not None:
            (copy.root / mutation.file).write_text(before)
    first = next((line for line in output.splitlines() if line.startswith("---")), "")
    if status != 0 and first:
        return True, first
    return False, "survived" if status == 0 else output[-2000:]


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(
        prog="fuzz.mutate", description="Check that the fuzzer notices errors."
    )
    p.add_argument("--only", default="", help="mutations whose name holds this")
    p.add_argument("--tree", type=Path, default=ROOT, help="what to copy")
    p.add_argument("--functions", type=int, default=1200)
    p.add_argument("--columns", type=int, default=8)
    p.add_argument("--seed", default="1")
    args = p.parse_args(argv)
    chosen = [m for m in MUTATIONS if args.only in m.name]
    missed = 0
    with tempfile.TemporaryDirectory(prefix="sabot-mutate-") as folder:
        copy = Copy(args.tree, Path(folder))
        status, output = copy.fuzz("mixed", args)
        if status != 0:
            print(f"the unchanged copy already fails:\n{output}")
            return 1
        for mutation in chosen:
            start = time.monotonic()
            caught, what = try_mutation(copy, mutation, args)
            missed += not caught
            word = "caught" if caught else "MISSED"
            print(
                f"{word}  {mutation.name} ({time.monotonic() - start:.0f} s)\n        {what}",
                flush=True,
            )
    print(f"seed {args.seed}: {len(chosen) - missed} of {len(chosen)} caught")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
