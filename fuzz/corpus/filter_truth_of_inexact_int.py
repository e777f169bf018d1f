"""A filter does not convert an int among floats to a double."""


# ruff: noqa
# fmt: off
def some(v):
    return v * 4 if v > 10 else 0.5


FUNCTION = some
PARAMS = {"v": "i"}
RESULT = "m"
OPERATOR = "filter"
SETTINGS = {"batch_size": 0, "threads": 1, "tier": "interpreter", "morsel_rows": 0}
ROWS = [
    (1,),
    (4611686018427387904,),
    (9007199254740993,),
    (-5,),
]

if __name__ == "__main__":
    from fuzz.script import main

    main(globals())
