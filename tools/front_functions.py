"""Small functions with more than one thing going on: chains of comparisons that assign, powers with a modulus, functions as values."""

from front_case import case

# --- chains of comparisons


@case("iii")
def chain_assigns(a, b, c):
    n = 0
    holds = a < (n := b) < (n := n + c) <= 10
    return n * 2 + holds


@case("iii")
def chain_assigns_only_where_it_gets(a, b, c):
    if a < b < (q := c):
        return q
    return 7 if a < b else -7


@case("iii", may_leave=True)
def chain_may_not_assign(a, b, c):
    if a < b < (q := c):
        return q
    return q


@case("iif")
def chain_with_sum(a, b, c):
    return a <= sum(x for x in (b, c)) < max((c, 3), default=0) < 9


@case("iii")
def chain_with_look_up(a, b, c):
    prices = {1: 5, 2: 7, 3: 9}
    return a < prices.get(b, 6) <= c


@case("iii")
def chain_with_next(a, b, c):
    return a < next((x for x in (b, c, 5) if x > 2), 0) <= 8 < (z := 30) > a + z - 30


# --- pow with three arguments


@case("ii")
def power_of_modulus(a, b):
    return pow(a, abs(b), 1_000_000_007)


@case("ii", may_leave=True)
def power_inverse(a, b):
    return pow(a, b, 97)


@case("iii", may_leave=True, result="l")
def power_any_modulus(a, b, m):
    return pow(a, b, mod=m)
