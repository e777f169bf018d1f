"""A loop left by break does not run its else, and keeps what the else would assign."""


# ruff: noqa
# fmt: off
def always(x, n):
    for _ in range(0, 1):
        break
    else:
        x = 4
    return x * 10 + n


FUNCTION = always
PARAMS = {"x": "i", "n": "i"}
RESULT = "i"
OPERATOR = "with_columns"
SETTINGS = {"batch_size": 0, "threads": 1, "tier": "interpreter", "morsel_rows": 0}
ROWS = [
    (96899, 1),
    (3, 2),
    (10, 0),
]

if __name__ == "__main__":
    from fuzz.script import main

    main(globals())
