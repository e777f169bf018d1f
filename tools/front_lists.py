"""Small functions with lists that change, or whose length the row decides; for src/front/front_vectors.inc."""

from front_case import case


@case("i", small=True)
def list_appended(n):
    xs = []
    for i in range(n):
        xs.append(i * 2.0)
    return sum(xs)


@case("i", small=True)
def list_sieve(n):
    flags = [True] * (n + 1)
    count = 0
    for i in range(2, n + 1):
        if flags[i]:
            count += 1
            for j in range(i * i, n + 1, i):
                flags[j] = False
    return count


@case("i", small=True, may_leave=True)
def list_fibonacci(n):
    t = [0, 1]
    for i in range(2, n + 1):
        t.append((t[-1] + t[i - 2]) % 1000003)
    return t[n]


@case("fff")
def list_bubble_sort(a, b, c):
    xs = [a, b, c]
    for i in range(len(xs)):
        for j in range(len(xs) - 1 - i):
            if xs[j] > xs[j + 1]:
                xs[j], xs[j + 1] = xs[j + 1], xs[j]
    return xs[0] - xs[2]


@case("i", small=True)
def list_comprehension_filtered(n):
    return sum([i * i for i in range(n) if i % 3 == 0])


@case("ii", small=True)
def list_comprehension_of_two_loops(n, m):
    return len([i + j for i in range(n % 7) for j in range(m % 5) if i != j])


@case("if", small=True)
def list_median(n, x):
    xs = sorted([(i * x) % 7.0 for i in range(n % 60 + 1)])
    return xs[len(xs) // 2] + sorted(xs, reverse=True)[0]


@case("i", small=True)
def list_two_names(n):
    xs = []
    ys = xs
    for i in range(n):
        ys.append(i)
    ys += [5]
    return len(xs) * 1000 + xs[-1]


@case("i", small=True)
def list_grows_in_its_loop(n):
    queue = [n]
    total = 0
    for x in queue:
        total += x
        if x > 1 and len(queue) < 50:
            queue.append(x // 2)
            queue.append(x - 1)
    return total


@case("i", small=True)
def list_stack(n):
    stack = list(range(n))
    total = 0
    while stack:
        total = total * 3 % 1000 + stack.pop()
    return total


@case("i", small=True)
def list_palindrome(n):
    digits = []
    while n > 0:
        digits.append(n % 10)
        n //= 10
    return digits == digits[::-1]


@case("i", small=True, may_leave=True)
def list_enumerate_reversed(n):
    xs = [i for i in range(n)]
    return sum(i * x for i, x in enumerate(reversed(xs))) + max(xs)


@case("if", small=True, may_leave=True)
def list_mean(n, x):
    xs = [x + i for i in range(n)]
    return sum(xs) / len(xs)


@case("i", small=True)
def list_or_none(n):
    xs = None
    for i in range(n):
        if xs is None:
            xs = []
        xs.append(i)
    return -1 if xs is None else len(xs)


def list_built(n):
    out = []
    for i in range(n):
        out.append(float(i))
    return out


@case("ii", small=True, may_leave=True)
def list_from_function(n, k):
    a = list_built(n)
    a.extend(list_built(k))
    return a[k] + len(a)


@case("i", small=True)
def list_membership(n):
    xs = [i * 2 for i in range(n)]
    return (n in xs) + 10 * (3 in xs) + 100 * (4.0 in xs) + 1000 * (2.5 not in xs)


@case("f", may_leave=True)
def list_membership_of_floats(x):
    xs = [1.0, 2.5]
    xs.append(x)
    return (x in xs) + 10 * (1 in xs) + 100 * (True in xs)


@case("i", small=True)
def list_added_is_another(n):
    xs = [1]
    ys = xs
    xs = xs + [n]
    ys += xs
    return len(ys) * 10 + len(xs)


@case("i", small=True, may_leave=True)
def list_positions(n):
    xs = list(range(10))
    del xs[n]
    xs.insert(n, 99)
    xs[n] += 1
    return xs.index(100) * 1000 + sum(xs[2:5]) + xs[-2] + sum(xs[n:])


@case("iii", may_leave=True)
def list_item_by_row(x, y, z):
    xs = [10, 20, 30]
    xs[x] = y
    xs[-1] += 1
    return xs[z] - xs[1]


@case("f")
def list_of_row_values(x):
    xs = []
    xs.append(x)
    xs.append(x + 1)
    a, b = xs
    return a * b


@case("ii", small=True)
def list_in_branches(x, y):
    if x > 2:
        xs = [y] * (x % 5)
    else:
        xs = []
    xs.append(x)
    return len(xs) + xs[0]


@case("bi", small=True)
def list_of_two_chosen(c, n):
    a = [0] * 3
    b = [0] * 4
    xs = a if c else b
    xs[1] = n
    return a[1] * 100 + b[1] * 10 + len(xs)


@case("i", small=True, may_leave=True)
def list_read_before_filled(n):
    xs = []
    last = 0.5
    for i in range(n % 20):
        if xs:
            last = xs[-1] + 1.0
        xs.append(last)
    return xs[-1]


@case("i", small=True)
def list_prefix_sums(n):
    sums = [0]
    for i in range(n):
        sums.append(sums[-1] + i)
    return sums[-1] - sums[len(sums) // 2]


@case("i", small=True)
def list_zipped(n):
    xs = [i for i in range(n)]
    ys = [2.5 * i for i in range(n // 2)]
    total = 0.0
    for i, x, y in zip(range(5), xs, ys):
        total += i + x * y
    return total


@case("i", small=True)
def list_any_all(n):
    xs = [i % 4 for i in range(n)]
    return (any(x == 3 for x in xs), all(xs))[0] + 2 * all(xs[1:4])


@case("i", small=True, may_leave=True)
def list_min_max(n):
    xs = [(i * 7) % 11 for i in range(n)]
    xs.sort(reverse=True)
    ys = xs.copy()
    ys.reverse()
    return max(xs) * 100 + min(xs) + ys[0] - xs[0]


@case("ii", small=True)
def list_in_tuple(x, y):
    pair = ([0] * 3, [1] * 3)
    pair[x % 2][y % 3] += 5
    return pair[0][y % 3] * 10 + pair[1][y % 3]


@case("i", small=True)
def list_by_loop_and_return(n):
    xs = []
    for i in range(n):
        xs.append(i)
        if len(xs) == 5:
            return sum(xs)
    return -len(xs)


@case("i", small=True)
def list_nested_comprehension(n):
    return sum([sum([j for j in range(i)]) for i in range(n % 12)])


@case("i", small=True)
def list_made_each_turn(n):
    total = 0
    for i in range(n % 30):
        row = [i] * i
        row.append(1)
        total += len(row) + row[0]
    return total


@case("i", small=True)
def list_shrinks_in_its_loop(n):
    xs = list(range(n))
    seen = 0
    for x in xs:
        seen += x
        if len(xs) > 3:
            xs.pop(0)
    return seen


@case("i", small=True)
def list_reversed_while_it_shrinks(n):
    xs = list(range(n))
    seen = 0
    for x in reversed(xs):
        seen += x
        if x % 2:
            xs.pop()
    return seen * 100 + len(xs)


@case("ii", small=True)
def list_slices(x, y):
    xs = [i * i for i in range(10)]
    return sum(xs[x:y]) + 1000 * len(xs[-y:]) + 7 * len(xs[: -x - 1]) + (1, 2, 3)[1:][0]


@case("b", may_leave=True)
def list_of_booleans(c):
    xs = [c] * 2
    xs.append(not c)
    return xs[0] == xs[2] or xs[1]


@case("i", small=True)
def list_emptied(n):
    xs = [1, 2, 3]
    while xs and n > 0:
        xs.pop()
        n -= 1
    return bool(xs) and len(xs) < 3


@case("if", small=True, may_leave=True)
def list_of_zeros_and_floats(n, x):
    best = [0] * (n % 10 + 3)
    best[1] = x
    best[-1] += x * 0.5
    best.append(2.5)
    best.append(n)
    return best[n % 4] + best[-1] * len(best) + sum(best[1:])


@case("if", small=True, may_leave=True)
def list_mixed_kinds_kept(n, x):
    xs = [1, x, 2, 0.25]
    xs.append(sum(xs[:0]))
    first = xs.pop(0)
    last = xs.pop()
    middle = xs.pop(-2)
    return (
        isinstance(first, int)
        + 2 * isinstance(last, int)
        + 4 * isinstance(middle, float)
        + 8 * len(xs)
    )


@case("if", small=True)
def list_mixed_iterated(n, x):
    xs = [x if i % 2 else i for i in range(n % 9)]
    ys = xs * 2 + xs[1:3]
    total = 0
    for i, y in enumerate(reversed(ys)):
        total += y * i
    return total * 1.0


@case("if", small=True, may_leave=True)
def list_beside_sorted_kinds(n, x):
    xs = [x]
    xs.append(x * 2)
    return sorted((x, n, 3))[1] + xs[1]


# --- lists that change beside lists of other things


@case("ii")
def list_beside_pairs(x, y):
    xs = []
    for low, high in [(0, 3), (x, y), (7, 9)]:
        xs.append(low * 10 - high)
    return xs[1] + len(xs)


@case("ii")
def list_beside_comprehension_of_pairs(x, y):
    xs = [y]
    pairs = [(k, k * x) for k in range(3)]
    xs.append(pairs[1][1])
    first, second = [k * y for k in (1, 2)]
    return xs[0] - xs[1] + first * second


@case("ii")
def list_beside_tuple_of_map(x, y):
    xs = []
    xs.append(x)
    t = tuple(map(abs, (x, y)))
    return t[0] + t[1] + xs.pop()
