"""A comprehension that is indexed was refused although its length is known."""


# ruff: noqa
# fmt: off
def f(x, z):
    return [v + x for v in (x, z, 2)][z % 3]


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
