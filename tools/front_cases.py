"""Small functions, each about one thing that the front must get right: expressions, statements, control flow."""

from front_case import case

LIMIT = 17
SCALE = 2.5
NOTHING = None


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
