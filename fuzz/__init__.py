"""Differential fuzzing of Sabot against the running interpreter.

`python -m fuzz.differential --functions 2000 --columns 25 --seed 7` makes functions from a grammar, runs each on columns
full of boundary values through Sabot and through CPython, and fails on any difference. `python -m fuzz.mutate` breaks a
copy of the engine on purpose and checks that the fuzzer notices.

Reading order: columns (what goes in), grammar (the functions), oracle (what must come out), engine (who is asked),
differential (the loop), shrink and script (what a failure looks like), mutate and mutations (is the fuzzer any good).
"""
