"""A call whose body has branches, on one side of a choice: the other side read what the call's regions had made: an internal error."""


# ruff: noqa
# fmt: off
def sign(v):
    if v > 3:
        return 0.5
    return -1.0


def f(x):
    return sign(x + 1) if x else 0 * x


FUNCTION = f
PARAMS = {'x': 'i'}
RESULT = 'm'
OPERATOR = 'with_columns'
SETTINGS = {
    "batch_size": 0,
    "threads": 1,
    "tier": 'interpreter',
    "morsel_rows": 0,
}
ROWS = [
    (0,),
    (1,),
    (9,),
    (None,),
    (-4,),
]

if __name__ == "__main__":
    from fuzz.script import main

    main(globals())
