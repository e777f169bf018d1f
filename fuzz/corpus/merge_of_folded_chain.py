"""A chain of comparisons between constants folds to a value that a merge can use."""


# ruff: noqa
# fmt: off
def both(a, d):
    while 0 if d else 1.0 >= 0 == 3:
        pass
    if 0 < 1.0 < True > True if d else 0:
        return 1.0
    return a


FUNCTION = both
PARAMS = {"a": "f", "d": "f"}
RESULT = "f"
OPERATOR = "with_columns"
SETTINGS = {"batch_size": 0, "threads": 1, "tier": "interpreter", "morsel_rows": 0}
ROWS = [
    (1.5, 2.0),
    (None, 0.0),
    (-0.0, 1.0),
]

if __name__ == "__main__":
    from fuzz.script import main

    main(globals())
