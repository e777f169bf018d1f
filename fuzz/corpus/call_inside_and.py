"""A call whose body has branches, as an operand of and: the same error."""


# ruff: noqa
# fmt: off
def sign(v):
    if v > 3:
        return 2
    return -1


def f(x, z):
    return (x and sign(z)) or z + 1


FUNCTION = f
PARAMS = {'x': 'i', 'z': 'i'}
RESULT = 'i'
OPERATOR = 'with_columns'
SETTINGS = {
    "batch_size": 0,
    "threads": 1,
    "tier": 'interpreter',
    "morsel_rows": 0,
}
ROWS = [
    (0, 2),
    (1, 2),
    (9, 7),
    (0, 9),
    (-4, 4),
]

if __name__ == "__main__":
    from fuzz.script import main

    main(globals())
