"""Functions that call themselves."""

from corpus.case import case, choice, ints, reals


def factorial(n):
    return 1 if n <= 1 else n * factorial(n - 1)


@case(n=ints(0, 14), k=ints(0, 14))
def arrangements(n, k):
    return 0 if k > n else factorial(n) // factorial(n - k)


@case(a=ints(1, 5_000), b=ints(1, 5_000))
def shared_divisor(a, b):
    return a if b == 0 else shared_divisor(b, a % b)


def raised(x, n):
    if n == 0:
        return 1.0
    half = raised(x, n // 2)
    return half * half * x if n % 2 else half * half


@case(rate=reals(0, 0.05), months=ints(0, 480))
def growth_by_squaring(rate, months):
    return raised(1 + rate, months)


@case(n=ints(0, 17))
def fibonacci_numbers(n):
    return n if n < 2 else fibonacci_numbers(n - 1) + fibonacci_numbers(n - 2)


def steps_of(n):
    if n == 1:
        return 0
    return 1 + steps_of(n // 2 if n % 2 == 0 else 3 * n + 1)


@case(n=choice(1, 2, 3, 5, 6, 10, 12, 21, 48, 85, 128, 1024))
def collatz_depth(n):
    return steps_of(n)


@case(m=ints(0, 2), n=ints(0, 5))
def ackermann_like(m, n):
    if m == 0:
        return n + 1
    if n == 0:
        return ackermann_like(m - 1, 1)
    return ackermann_like(m - 1, ackermann_like(m, n - 1))


STEPS = (3, 8, 15, 21, 34, 55, 62, 70, 81, 99)


def first_above(x, low=0, high=10):
    """Binary search in a captured tuple."""
    if low == high:
        return low
    middle = (low + high) // 2
    if STEPS[middle] <= x:
        return first_above(x, middle + 1, high)
    return first_above(x, low, middle)


@case(x=ints(0, 110))
def step_found(x):
    return first_above(x)


def digits_summed(n):
    return n if n < 10 else n % 10 + digits_summed(n // 10)


@case(n=ints(0, 10**9))
def root_of_digits(n):
    total = digits_summed(n)
    return total if total < 10 else root_of_digits(total)


def below(depth, x):
    return x if depth == 0 else below_too(depth - 1, x / 2)


def below_too(depth, x):
    return x + 1 if depth == 0 else below(depth - 1, x * 1.5)


@case(depth=ints(0, 12), x=reals(0, 10))
def taking_turns(depth, x):
    return round(below(depth, x), 6)
