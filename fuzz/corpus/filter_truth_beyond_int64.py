"""A filter wants the truth of a value, which an int beyond 64 bits has."""


# ruff: noqa
# fmt: off
def double_it(v):
    return v * 60


FUNCTION = double_it
PARAMS = {"v": "i"}
RESULT = "i"
OPERATOR = "filter"
SETTINGS = {"batch_size": 3, "threads": 2, "tier": "interpreter", "morsel_rows": 0}
ROWS = [
    (1,),
    (0,),
    (9223372036854775807,),
    (-9223372036854775808,),
    (5,),
]

if __name__ == "__main__":
    from fuzz.script import main

    main(globals())
