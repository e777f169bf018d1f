"""Functions for src/front/front_vectors.inc: small, each about one thing that the front must get right.

`case(kinds, ...)` marks one: kinds has a letter per parameter (i int64, f double, b bool); small keeps big numbers out
where they would make loops long; may_leave says that rows may leave although their numbers are small;
result is the format of the column where the kinds that CPython's answers have do not tell it.
"""
# ruff: noqa: E711, E712, PLR1714, PLR0133, SIM, RET, B007, F841, PLR5501, PLW2901, E731, C901, PLR0911, PLR0912, PLR0915, F821, B018, A001

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple


class Case(NamedTuple):
    fn: Callable[..., Any]
    kinds: str
    small: bool
    may_leave: bool
    result: str | None


CASES: list[Case] = []
LIMIT = 17
SCALE = 2.5
NOTHING = None


def case(kinds: str, small: bool = False, may_leave: bool = False, result: str | None = None):
    def add(fn):
        CASES.append(Case(fn, kinds, small, may_leave, result))
        return fn

    return add


# --- expressions


@case("ii")
def add_ints(x, y):
    return x + y


@case("if")
def add_mixed(x, y):
    return x + y


@case("bi")
def add_bool(x, y):
    return x + y


@case("ii")
def sub_mul(x, y):
    return x * y - x


@case("ii")
def truediv(x, y):
    return x / y


@case("ff")
def truediv_floats(x, y):
    return x / y


@case("ii")
def floordiv(x, y):
    return x // y


@case("ii")
def mod(x, y):
    return x % y


@case("ff")
def floordiv_floats(x, y):
    return x // y


@case("ff")
def mod_floats(x, y):
    return x % y


@case("fi")
def mod_mixed(x, y):
    return x % y + y // x


@case("i")
def negate(x):
    return -x


@case("b")
def negate_bool(x):
    return -x


@case("b")
def plus_bool(x):
    return +x


@case("f")
def negate_float(x):
    return -x + 0.0


@case("i")
def not_int(x):
    return not x


@case("f")
def not_float(x):
    return not x


@case("b")
def not_bool(x):
    return not x


@case("ii")
def compare_ints(x, y):
    return x < y


@case("if")
def compare_mixed(x, y):
    return x <= y


@case("fi")
def compare_mixed_gt(x, y):
    return x > y


@case("fi")
def compare_mixed_ge(x, y):
    return x >= y


@case("if")
def equal_mixed(x, y):
    return x == y


@case("bf")
def equal_bool_float(x, y):
    return x == y


@case("ib")
def unequal_bool(x, y):
    return x != y


@case("bb")
def less_bools(x, y):
    return x < y


@case("i")
def equal_none(x):
    return x == None


@case("ii")
def chain(x, y):
    return 0 < x < y <= 100


@case("ii")
def chain_constant_tail(x, y):
    return x < 3 < 2


@case("ii")
def chain_constant_head(x, y):
    return 1 < 2 < x


@case("iif")
def chain_equal(x, y, z):
    return x == y == z


@case("ii")
def chain_raises_late(x, y):
    return x < y < None


@case("ii")
def chain_not_equal(x, y):
    return x != y != 3


@case("ii")
def and_operand(x, y):
    return x and y


@case("if")
def or_operand(x, y):
    return x or y


@case("iii")
def and_or(x, y, z):
    return x and y or z


@case("iii")
def or_three(x, y, z):
    return x or y or z


@case("i")
def or_none(x):
    return x or None


@case("ii")
def and_division(x, y):
    return y != 0 and x // y > 1


@case("ii")
def or_none_then_sum(x, y):
    return (x or 0) + (y or 0)


@case("i")
def and_constant(x):
    return x and 7 and x


@case("if")
def ifexp(x, y):
    return x if x is not None and y is not None and x > y else y


@case("ii")
def ifexp_lazy(x, y):
    return x // y if y else -1


@case("i")
def ifexp_none(x):
    return None if x == 3 else x


@case("i")
def ifexp_constant(x):
    return (1 if 2 < 3 else None) + x


@case("b")
def is_true(x):
    return x is True


@case("b")
def is_not_false(x):
    return x is not False


@case("i")
def int_is_true(x):
    return x is True


@case("f")
def is_none(x):
    return x is None


@case("ii")
def xor_like(x, y):
    return (x > 0) != (y > 0)


@case("bb")
def equal_comparisons(x, y):
    return (x == True) == (y is None)


@case("i")
def captured_constants(x):
    return x * LIMIT + SCALE if x is not NOTHING else LIMIT


@case("i")
def default_used(x, k=3, f=0.5):
    return x * k + f


@case("if")
def sum_of_choice(x, y):
    return (x if x is not None and x > 2 else y) + (y if x else x)


@case("if")
def negate_choice(x, y):
    return -(x if y > 0 else y)


@case("if")
def truth_of_choice(x, y):
    return not (x if y > 0 else y)


@case("ifb")
def compare_choices(x, y, z):
    return (x if z else y) < (y if x else z)


@case("ifb")
def equal_choices(x, y, z):
    return (x if z else y) == (z if y else None)


@case("ifb")
def arith_three_kinds(x, y, z):
    return (x if y else z) * (y if z else x)


@case("ifb")
def divide_three_kinds(x, y, z):
    return (x if y else z) / (y if z else x)


@case("if")
def floordiv_choices(x, y):
    return (x if y > 0 else y) // (y if x > 0 else x)


@case("i")
def int_min_folded(x):
    return x - 9223372036854775807 - 1


@case("i")
def folded_division(x):
    return x + 7 // 2 + -7 // 2 + 7 % -3


@case("f")
def folded_floats(x):
    return x + (0.1 + 0.2) - 1.5 // -0.4 + 5.5 % -2.0


@case("i", result="l")
def folded_zero_division(x):
    return x + 1 // 0


@case("i")
def folded_overflow(x):
    return x + 9223372036854775807 + 1 if x < 0 else 9223372036854775807 + 1


# --- statements


@case("ii")
def early_returns(x, y):
    if x is None:
        return 0
    if y is None:
        return -1
    if x > y:
        return x
    return y


@case("ii")
def elifs(x, y):
    if x == 1:
        r = y
    elif x == 2:
        r = y + 1
    elif x == 3:
        return -1
    else:
        r = 0
    return r * 2


@case("i")
def falls_off(x):
    if x > 3:
        return x


@case("i")
def returns_nothing(x):
    y = x
    return


@case("ii")
def nested_ifs(x, y):
    r = 0
    if x > 0:
        if y > 0:
            r = 1
        else:
            return None
        r += 10
    elif y is None:
        r = 3
    return r


@case("i")
def unbound_on_a_path(x):
    if x > 3:
        y = x
    return y


@case("i")
def unbound_then_kind(x):
    if x > 3:
        y = 1.5
    elif x > 1:
        y = 2
    if x > 2:
        return y
    return 0


@case("ii")
def bound_where_used(x, y):
    if x > 0:
        z = y
    if x > 0:
        return z
    return 0


@case("if")
def kind_by_path(x, y):
    if x > 2:
        v = x
    else:
        v = y
    v += 1
    return v


@case("if")
def none_by_path(x, y):
    v = None
    if x > 2:
        v = y
    if v is None:
        return -1.0
    return v * 2


@case("i")
def none_operand(x):
    v = None
    if x > 2:
        v = x
    return v + 1


@case("ii")
def swap_by_three(x, y):
    t = x
    x = y
    y = t
    return x - y


@case("i")
def chained_assignment(x):
    a = b = x + 1
    a += 1
    return a * 10 + b


@case("ii")
def augmented(x, y):
    x += y
    x -= 1
    x *= 2
    x //= 3
    x %= 7
    return x


@case("ii")
def aug_truediv(x, y):
    x /= y
    return x


@case("i")
def bool_locals(x):
    a = x > 1
    b = not a
    if a or b:
        b = True
    return b


@case("i")
def folded_flag_in_region(x):
    a = None
    if x > 1:
        a = not (1 < 0)
    else:
        a = not (2 < 1)
    return a


@case("i")
def same_kinds_folded(x):
    v = 1 if x else None
    if x > 1:
        w = None if v is None else 1.5
    else:
        w = None if v is None else 2.5
    return w


@case("ii")
def expression_statement(x, y):
    x // y
    return 1


@case("i")
def passes(x):
    if x:
        pass
    else:
        pass
    return x


@case("i")
def code_after_return(x):
    return x
    x += 1.5


@case("i")
def always_none_operand(x):
    if x > 2:
        x = x + None
    return x


# --- loops


@case("i")
def sum_range(n):
    s = 0
    for i in range(10):
        s += i * n
    return s


@case("i", small=True)
def sum_to(n):
    s = 0
    for i in range(n):
        s += i
    return s


@case("iii", small=True)
def range_three(a, b, c):
    s = 0
    k = 0
    for i in range(a, b, c):
        s += i
        k += 1
    return s * 1000 + k


@case("ii", small=True)
def range_negative_step(a, b):
    s = 0
    for i in range(a, b, -3):
        s = s * 3 + i
    return s


@case("i")
def range_wide(x):
    k = 0
    for i in range(-9223372036854775807 - 1, 9223372036854775807, 4611686018427387904):
        if i < x:
            k += 1
    return k


@case("i")
def range_wide_down(x):
    k = 0
    for i in range(9223372036854775807, -9223372036854775807 - 1, -9223372036854775807 - 1):
        if i > x:
            k += 1
    return k


@case("b")
def range_of_bool(n):
    s = 0
    for i in range(n):
        s += 1
    return s


@case("f")
def range_of_float(n):
    s = 0
    if n is None:
        return 0
    for i in range(n):
        s += 1
    return s


@case("i", small=True)
def range_zero_step(n):
    s = 0
    for i in range(0, 10, n):
        s += i
    return s


@case("i")
def range_empty(x):
    for i in range(5, 5):
        return i
    return x


@case("i", small=True)
def loop_variable_after(n):
    i = -1
    for i in range(n):
        pass
    return i


@case("i", small=True)
def loop_variable_unbound(n):
    for i in range(n):
        pass
    return i


@case("i", small=True)
def loop_variable_changed(n):
    s = 0
    for i in range(n):
        i = i * 2
        s += i
    return s


@case("f")
def peeled_total(x):
    total = 0
    for j in range(40):
        total += x * j
    return total


@case("fi", small=True)
def peeled_total_unknown(x, n):
    total = 0
    for j in range(n):
        total += x * j
    return total


@case("fi", small=True)
def peeled_else(x, n):
    total = 0
    for j in range(n):
        total += x * j
        if total > 20:
            break
    else:
        total += 100
    return total


@case("fi", small=True)
def kind_changes_late(x, n):
    v = 1
    for j in range(n):
        if j == 3:
            v = x
        else:
            v = v + 1
    return v


@case("fi", small=True)
def two_step_kinds(x, n):
    a = 0
    b = 0
    for j in range(n):
        b = a + b
        a = x
    return b


@case("fi", small=True)
def alternating_kinds(x, n):
    v = 0
    for j in range(n):
        if j % 2 == 0:
            v = 1
        else:
            v = x
    return v


@case("ii", small=True)
def none_until_found(x, n):
    r = None
    for j in range(n):
        if j * j > x:
            r = j
            break
    if r is None:
        return -1
    return r


@case("ii", small=True)
def break_and_else(x, n):
    for j in range(n):
        if j == x:
            r = 1.5
            break
    else:
        r = 2
    return r


@case("ii", small=True)
def else_returns(x, n):
    for j in range(n):
        if j == x:
            break
    else:
        return -1
    return j


@case("ii", small=True)
def else_returns_then_falls_off(x, n):
    for j in range(n):
        if j == x:
            break
    else:
        return -1


@case("ii", small=True)
def else_of_return(x, n):
    for j in range(n):
        if j == x:
            return j
    else:
        n = n + 1
    return n


@case("ii", small=True)
def else_breaks_outer(x, n):
    s = 0
    for i in range(5):
        for j in range(n):
            if i * j == x:
                break
        else:
            s += 100
            break
        s += j
    else:
        s += 1000
    return s


@case("ii", small=True)
def else_continues_outer(x, n):
    s = 0
    for i in range(4):
        for j in range(n):
            if i + j == x:
                break
        else:
            continue
        s += j + 10
    return s


@case("i", small=True)
def while_else(n):
    k = n
    while k > 0:
        k -= 3
        if k == 1:
            break
    else:
        k = 50
    return k


@case("i", small=True)
def while_true_return(n):
    while True:
        if n > 20:
            return n
        n = n * 2 + 1 if n > 0 else n + 7


@case("i", small=True)
def while_true_break(n):
    while True:
        n += 3
        if n > 20:
            break
    return n


@case("i", small=True)
def while_continue(n):
    s = 0
    while n > 0:
        n -= 1
        if n % 2:
            continue
        s += n
    return s


@case("i", small=True)
def while_false(n):
    while False:
        n += 1
    else:
        n += 2
    return n


@case("i", small=True)
def collatz(n):
    k = 0
    while n > 1 and k < 60:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        k += 1
    return k


@case("ii", small=True)
def gcd(a, b):
    while b:
        t = a % b
        a = b
        b = t
    return a


@case("ff")
def newton(x, y):
    g = y
    for k in range(6):
        g = (g + x / g) / 2
    return g


@case("i", small=True)
def nested_break_continue(n):
    s = 0
    for i in range(n):
        if i == 1:
            continue
        for j in range(i + 3):
            if j == 2:
                continue
            if j == 4:
                break
            if i * j == 9:
                return -s
            s += i * 10 + j
        if s > 60:
            break
    else:
        s += 1000
    return s


@case("i", small=True)
def while_in_for(n):
    s = 0
    for i in range(5):
        k = i
        while k < n:
            k += 2
            if k == 5:
                break
            s += k
        else:
            s -= 1
    return s


@case("i", small=True)
def return_in_inner_while(n):
    for i in range(10):
        k = 0
        while True:
            k += 1
            if k > i:
                break
            if k * i == n:
                return k
    return None


@case("if", small=True)
def mixed_returns_in_loop(n, x):
    for i in range(n):
        if i == 2:
            return i
        if x > i:
            return x
    return None


@case("i", small=True)
def division_in_loop(n):
    s = 0
    for i in range(5):
        s += 60 // (n - i)
    return s


@case("i", small=True)
def division_never_reached(n):
    s = 0
    for i in range(5):
        if n == i:
            continue
        s += 60 // (n - i)
    return s


@case("i", small=True)
def unbound_in_loop(n):
    for i in range(3):
        if i == n:
            v = i
        if i > n:
            return v + i
    return 0


@case("i", small=True)
def unbound_second_turn(n):
    for i in range(n):
        if i > 0:
            s = s + i
        else:
            s = 10
    return s


@case("i", small=True)
def bool_turns_int(n):
    v = False
    for i in range(n):
        v = v + 1
    return v == n


@case("i", small=True)
def bool_flag(n):
    found = False
    for i in range(2, n):
        if n % i == 0:
            found = True
            break
    return found


@case("i", small=True)
def none_carried(n):
    last = None
    s = 0
    for i in range(n):
        if last is not None:
            s += last * i
        last = i
        if i == 3:
            last = None
    return s


@case("ib", small=True)
def kinds_of_three(n, flag):
    v = None
    for i in range(n):
        if i == 0:
            v = flag
        elif i == 1:
            v = i
        elif i == 2:
            v = 2.5
        else:
            v = None
    return v is None or v == 1 or v == 2.5


@case("i", small=True)
def else_without_break(n):
    s = 0
    for i in range(n):
        s += i
    else:
        s += 0.5
    return s


@case("i", small=True)
def else_after_while_kinds(n):
    v = 1
    while n > 0:
        n -= 1
        if n == 2:
            v = 2.5
            break
    else:
        v = None
    return v


@case("ii", small=True, result="g")
def continue_keeps_locals(x, n):
    r = 0
    for i in range(n):
        if i == x:
            r = 0.5
            continue
        r = i
    return r


@case("ii", small=True)
def loop_in_branch(x, n):
    r = 0
    if x > 2:
        for i in range(n):
            r += i
    else:
        r = None
    if r is None:
        return x
    return r


@case("ii", small=True)
def loop_after_return(x, n):
    if x > 3:
        return x
    s = 0
    for i in range(n):
        s += x
        if s > 20:
            return s
    return s + 0


@case("i", small=True)
def first_turn_constant(n):
    total = 0
    for i in range(n):
        acc = 0
        for j in range(2):
            if i == 0:
                acc = acc + j
            else:
                acc = acc + 0.5
        total = total + acc
    return total


@case("fi", small=True)
def nested_peels(x, n):
    a = 0
    for i in range(n):
        b = 0
        for j in range(i):
            b += x
            for k in range(2):
                a += b
    return a


@case("fi", small=True)
def inner_after_peel(x, n):
    v = 0
    w = None
    for i in range(n):
        for j in range(3):
            w = v
            v = v + j
        v = v * x
    return w


@case("i", small=True)
def test_raises_in_loop(n):
    k = 5
    while 10 // k:
        k -= 1
        if k == n:
            return k
    return -1


@case("i", small=True)
def test_kind_changes(n):
    k = n
    while k and k > -5:
        k = None if k == 3 else k - 1
    return k is None


@case("i", small=True)
def break_first_turn(n):
    for i in range(n):
        break
    else:
        return -1
    return i


@case("i", small=True)
def nested_else_chain(n):
    for i in range(3):
        for j in range(3):
            for k in range(3):
                if i + j + k == n:
                    break
            else:
                continue
            break
        else:
            continue
        break
    else:
        return None
    return i * 100 + j * 10 + k


@case("ii", small=True)
def while_and_condition(a, b):
    k = 0
    while a > 0 and (b is None or k < b):
        a -= 1
        k += 1
    return k


@case("f")
def float_loop(x):
    s = 0.0
    for i in range(1, 20):
        s += x / i if i % 2 else -x
    return s


@case("i", small=True)
def unused_division(n):
    for i in range(3):
        1 // (n - i)
    return 0


# --- tuples, unpacking, assignment expressions


@case("ii")
def swap(x, y):
    x, y = y, x
    return x - y


@case("if")
def unpack_nested(x, y):
    (a, b), c = (x, y), x
    return a + b * c


@case("ii")
def tuple_index(x, y):
    t = (x, y, x + y)
    return t[0] + t[-1] + t[1]


@case("ii", may_leave=True)
def tuple_index_by_row(x, y):
    t = (10, 20, 30, y)
    return t[x]


@case("if")
def list_of_kinds(x, y):
    t = [x, y, 2, None]
    return t[1]


@case("b", result="l")
def tuple_or_none(c):
    t = (1, 2) if c else None
    if t is None:
        return -1
    a, b = t
    return a + b


@case("bi")
def tuples_of_two_lengths_unused(c, x):
    t = (1, 2) if c else (1, 2, 3)
    return x


@case("bii")
def tuples_merge(c, x, y):
    if c:
        t = (x, y)
    else:
        t = (y, 1.5)
    return t[0] if c is None else t[1]


@case("ii", may_leave=True)
def unpack_what_may_be_none(x, y):
    t = None
    if x:
        t = (x, y)
    a, b = t
    return a - b


@case("i")
def unpack_wrong_length(x):
    if x == 12:
        a, b = (1, 2, 3)
    return x


@case("ii")
def in_tuple(x, y):
    return x in (1, 2, y)


@case("fi")
def not_in_list(x, y):
    return x not in [0.5, y, 2]


@case("ff")
def in_floats(x, y):
    return x in (y, 1.0)


@case("ii")
def equal_tuples(x, y):
    return (x, 1) == (y, True)


@case("i")
def truth_of_tuples(x):
    return 1 if () else (2 if (x,) else 3)


@case("ii")
def concatenated(x, y):
    t = (x,) + (y, 3)
    return t[2] + t[1] + len(t)


@case("ii")
def walrus(x, y):
    if (z := x + y) > 3:
        return z
    return -z


@case("ii", result="l")
def walrus_inside_and(x, y):
    z = 0
    ok = x > 1 and (z := y) > 2
    return z if ok else -z


@case("bi", result="l")
def walrus_on_one_side(c, x):
    y = (z := x) if c else 5
    return z if c else y


@case("i", small=True)
def walrus_in_while(x):
    n = 0
    while (x := x - 1) > 0:
        n += x
    return n * 10 + x


@case("i", may_leave=True)
def deleted(x):
    y = x
    if x == 3:
        del y
    return y


@case("ii", may_leave=True)
def asserted(x, y):
    assert x != 3, "three"
    assert y
    return x + y


@case("ii", may_leave=True)
def raised(x, y):
    if x < y:
        raise ValueError(f"{x} is less than {y}")
    return x - y


# --- what for goes through


@case("ii")
def over_tuple(x, y):
    s = 0
    for t in (x, y, 3):
        s = s * 2 + t
    return s


@case("f")
def horner(x):
    r = 0.0
    for c in (1.0, -2.5, 0.125, 7.0):
        r = r * x + c
    return r


@case("ii", small=True)
def over_enumerate(x, y):
    s = 0
    for k, v in enumerate((x, y, 4), 1):
        s += k * v
    return s


@case("ii", small=True)
def over_enumerate_range(x, y):
    s = 0
    for k, v in enumerate(range(y, x), start=x):
        s += k * v
    return s


@case("iii", small=True)
def over_zip(x, y, z):
    s = 0
    for a, b, (c, d) in zip((x, y, z), range(5), enumerate([z, y, x])):
        s += a * b - c * d
    return s


@case("ii", small=True)
def over_reversed(x, y):
    s = 0
    for a in reversed((x, y, 5)):
        s = s * 3 + a
    for b in reversed(range(y, x)):
        s = s * 2 + b
    for b in reversed(range(x, y, -2)):
        s = s * 2 + b
    return s


@case("ii", small=True)
def break_out_of_tuple(x, y):
    found = -1
    for k, v in enumerate((3, 1, x)):
        if v == y:
            found = k
            break
    else:
        found = -2
    return found


@case("bi", result="g")
def over_kinds(c, x):
    s = 0
    for v in (x, 0.5, c):
        s = s + v
    return s * 1.0


@case("i", may_leave=True)
def over_a_number(x):
    if x == 3:
        for a in x:
            pass
    return x


@case("i", small=True)
def carried_tuple(x):
    pair = (0, 1)
    for _ in range(x):
        pair = (pair[1], pair[0] + pair[1])
    return pair[0]


@case("i", small=True)
def carried_tuple_changes_kind(x):
    pair = (0, 1)
    for k in range(x):
        pair = (pair[1], pair[0] + 0.5)
    return pair[0] + pair[1] * 1.0


# --- builtins


@case("ii")
def min_max(x, y):
    return min(x, y, 7) - max(y, x)


@case("if")
def max_of_kinds(x, y):
    return max(x, y) + 0.0


@case("ff")
def min_of_floats(x, y):
    return min(x, y)


@case("ii")
def max_of_tuple(x, y):
    return max((x, y, 5)) - min([x, y])


@case("ii", small=True, may_leave=True)
def max_of_generator(x, y):
    return max(k * y for k in range(x))


@case("i")
def sum_of_ints(x):
    return sum((x, 1, 2)) + sum([x], 10)


@case("ff")
def sum_of_floats(x, y):
    return sum((x, y, 1e16, 1.0, -1e16))


@case("if")
def sum_of_kinds(x, y):
    return sum([x, 2, y, x])


@case("if", small=True)
def sum_generated(x, y):
    return sum(y * k for k in range(x) if k != 2)


@case("ii", small=True)
def sum_of_two_loops(x, y):
    return sum(a * b for a in range(x) for b in range(y) if a != b)


@case("ii")
def any_all(x, y):
    return any(v > 3 for v in (x, y)) and not all([x, y])


@case("ii", small=True, may_leave=True)
def any_stops(x, y):
    return any(12 // (k - y) > 3 for k in range(x))


@case("ii", small=True, may_leave=True)
def all_of_two_loops(x, y):
    return all(10 // (a - b + 1) for a in range(x) for b in (y, 0))


@case("bif")
def conversions(a, x, y):
    return float(a) + float(x) + float(y) + 0.0


@case("if")
def bools(x, y):
    return bool(x) == bool(y) or False


@case("f")
def float_texts(x):
    return max(float("-inf"), min(x, float("1e3")))


@case("ii", may_leave=True)
def divmods(x, y):
    q, r = divmod(x, y)
    return q * 3 - r


@case("bif", result="l")
def instances(c, x, y):
    s = 0
    if isinstance(c, bool):
        s += 1
    if isinstance(x, int):
        s += 2
    if isinstance(y, (int, float)):
        s += 4
    if isinstance(c, int):
        s += 8
    return s


@case("ii")
def sorted_three(x, y):
    a, b, c = sorted((x, y, 4))
    return a * 2 - b + c


@case("ff")
def sorted_floats(x, y):
    return sorted([x, y, 0.5])[1]


@case("ii")
def comprehension(x, y):
    squares = [v + 1 for v in (x, y, 3)]
    return squares[0] + squares[2] * len(squares)


@case("ff")
def comprehension_summed(x, y):
    values = [v for v in (x, y)]
    return sum(values) / len(values)


@case("ff")
def tuple_beside_a_loop_with_branches(x, y):
    pair = (x, y)
    s = 0.0
    for k in range(3):
        if k > s:
            s += k
    return s if pair[0] is None else pair[0] + s


@case("i")
def comprehension_of_range(x):
    t = tuple(k * x for k in range(4))
    return t[3] + t[1]


@case("ii")
def variables_of_comprehensions(x, y):
    k = x
    t = [k + y for k in (1, 2)]
    return k + t[0] + t[1]


# --- functions


def half(x, by=2):
    if x is None:
        return None
    return x / by


def clamp(value, *, low=0, high=100):
    if value < low:
        return low
    if value > high:
        return high
    return value


def mean_of(first, *others):
    return (first + sum(others)) / (1 + len(others))


@case("ii", may_leave=True)
def calls(x, y):
    return half(x) + half(by=4, x=y)


@case("if")
def calls_with_returns(x, y):
    total = 0
    for k in range(3):
        if clamp(x + k, high=5) == 5:
            return clamp(y, low=-1.0, high=1.0)
        total += clamp(k)
    return total + 0.5


@case("ii")
def calls_with_stars(x, y):
    return mean_of(x, y, 3) + mean_of(y)


@case("ii")
def nested_function(x, y):
    def scaled(v, by=3):
        w = v * by
        return w + y

    z = scaled(x)
    y = 1
    return z + scaled(2)


@case("ii")
def nested_lambda(x, y):
    square = lambda v: v * v + y
    return square(square(2)) - square(x - x)


@case("i", may_leave=True)
def nested_function_not_defined(x):
    if x > 2:

        def g(v):
            return v + 1

    return g(x)


@case("i", small=True)
def functions_in_loops(x):
    def step(n):
        while n > 10:
            n = n - 7
            if n == 11:
                return -1
        return n

    s = 0
    for k in range(x):
        s += step(k * k)
    return s


PAIR = (2, 0.5)
WEIGHTS = ((1, 2.0), (3, -1.5))


@case("f")
def captured_tuples(x):
    r = x * PAIR[1] + PAIR[0]
    for a, b in WEIGHTS:
        r = r * a + b
    return r


# --- powers, bits, rounding, math


@case("ii", small=True, may_leave=True)
def powers(x, y):
    return x**2 + y**3 - 2**x


@case("ii", small=True, may_leave=True, result="g")
def power_of_row(x, y):
    return x**y


@case("fi", may_leave=True)
def power_of_float(x, y):
    return x**2 + x ** (y - 3)


@case("ff", may_leave=True)
def power_of_floats(x, y):
    return x**y


@case("bif", small=True, may_leave=True, result="g")
def power_of_kinds(c, x, y):
    base = x if c else y
    return base**2


@case("ii", may_leave=True)
def bits(x, y):
    return (x & y) | (x ^ 5) & ~y


@case("bb")
def bits_of_bools(x, y):
    return (x & y) ^ (x | True)


@case("bi", may_leave=True)
def bits_of_kinds(x, y):
    return (x & y) + (y | x)


@case("ii", small=True, may_leave=True)
def shifts(x, y):
    return (x << y) - (x >> y) + (1 << 62 >> x)


@case("ii", small=True, may_leave=True)
def shift_far(x, y):
    return x >> (y + 60)


@case("if", may_leave=True)
def absolute(x, y):
    return abs(x) + abs(y) + abs(x - y)


@case("bif")
def absolute_of_kinds(c, x, y):
    v = x if c else y
    return abs(v) + 0.0


@case("f", may_leave=True)
def whole_number(x):
    return int(x)


@case("bif", may_leave=True)
def whole_number_of_kinds(c, x, y):
    return int(x if c else y) + int(c) + 0


@case("f", may_leave=True)
def rounded(x):
    return round(x) + round(x, None)


@case("ff", may_leave=True)
def rounded_to_digits(x, y):
    return round(x * 1.005, 2) + round(y, ndigits=1) - round(x, -1)


@case("fi", small=True, may_leave=True)
def rounded_by_row(x, n):
    return round(x, n)


@case("ii", small=True, may_leave=True)
def rounded_ints(x, n):
    return round(x, n - 5) + round(x)


@case("f", may_leave=True)
def floors(x):
    return math.floor(x) * 100 + math.ceil(x) * 10 + math.trunc(x)


@case("i")
def floors_of_ints(x):
    return math.floor(x) + math.ceil(x) + math.trunc(x)


@case("f", may_leave=True)
def roots(x):
    return math.sqrt(x) + math.sqrt(x * x)


@case("ff", may_leave=True)
def trigonometry(x, y):
    return math.sin(x) * math.cos(y) + math.tan(x) - math.atan2(y, x) + math.atan(y)


@case("f", may_leave=True)
def arcs(x):
    return math.asin(x) + math.acos(x)


@case("ff", may_leave=True)
def exponentials(x, y):
    return math.exp(x) + math.expm1(y) - math.exp2(x) + math.cosh(y) - math.sinh(x) + math.tanh(y)


@case("fi", may_leave=True)
def logarithms(x, y):
    return math.log(x) + math.log2(y) + math.log10(x) + math.log1p(y)


@case("ff", may_leave=True)
def logarithm_to_a_base(x, y):
    return math.log(x, y)


@case("ff", may_leave=True)
def libm_of_two(x, y):
    return math.fmod(x, y) + math.copysign(x, y) + math.remainder(x, y) + math.pow(x, y)


@case("ff")
def more_libm(x, y):
    return math.erf(x) + math.erfc(y) + math.cbrt(x) + math.nextafter(x, y)


@case("f", may_leave=True)
def area_functions(x):
    return math.asinh(x) + (math.acosh(x) if x >= 1 else math.atanh(x))


@case("ii", may_leave=True)
def number_theory(x, y):
    return math.gcd(x, y, 12) + math.isqrt(x) + math.gcd()


@case("if")
def classes_of_floats(x, y):
    return math.isnan(y) or math.isinf(y) and not math.isfinite(x)


@case("f")
def angles(x):
    return math.degrees(x) + math.radians(x) + math.fabs(x) * math.pi - math.tau + math.e


@case("f")
def infinities(x):
    return min(max(x, -math.inf), math.inf)


@case("ii", may_leave=True)
def operators_by_name(x, y):
    z = operator.add(x, y) * operator.neg(x) - operator.floordiv(x, y)
    return z if operator.lt(x, y) else operator.xor(x, y)


@case("ff", may_leave=True)
def haversine(lat, lon):
    p = math.radians(lat - 40.5)
    q = math.radians(lon + 73.25)
    a = math.sin(p / 2) ** 2 + math.cos(math.radians(lat)) * 0.76 * math.sin(q / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(a))
