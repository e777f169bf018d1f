"""Lists that grow or change: sieves, tables, windows, searches."""

from __future__ import annotations

from corpus.case import case, ints, reals


@case(n=ints(2, 400))
def primes_by_sieve(n):
    is_prime = [True] * (n + 1)
    is_prime[0] = is_prime[1] = False
    p = 2
    while p * p <= n:
        if is_prime[p]:
            for multiple in range(p * p, n + 1, p):
                is_prime[multiple] = False
        p += 1
    return sum(is_prime)


@case(n=ints(0, 80))
def fibonacci_by_table(n):
    table = [0, 1]
    while len(table) <= n:
        table.append(table[-1] + table[-2])
    return table[n]


@case(start=reals(10, 200, 2), step=reals(-3, 3, 2), n=ints(5, 40))
def best_moving_average(start, step, n):
    prices = [start + step * k + (k * 37 % 11) for k in range(n)]
    window = 5
    averages = []
    for k in range(window, len(prices) + 1):
        averages.append(sum(prices[k - window : k]) / window)
    return max(averages)


@case(seed=ints(1, 10_000), n=ints(1, 30))
def longest_increasing_run(seed, n):
    values = []
    for _ in range(n):
        seed = (seed * 1103515245 + 12345) % 2147483648
        values.append(seed % 100)
    longest = [1] * n
    for i in range(n):
        for j in range(i):
            if values[j] < values[i] and longest[j] + 1 > longest[i]:
                longest[i] = longest[j] + 1
    return max(longest)


@case(x=ints(0, 3_000), n=ints(1, 60))
def position_of_square(x, n):
    squares = [k * k for k in range(n)]
    low, high = 0, len(squares)
    while low < high:
        middle = (low + high) // 2
        if squares[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low if low < len(squares) and squares[low] == x else -1


@case(a=reals(0, 1), b=reals(0, 1), c=reals(0, 1), bins=ints(2, 12))
def fullest_bin(a, b, c, bins):
    counts = [0] * bins
    for value in [a, b, c, (a + b) / 2, (b + c) / 2, (a + c) / 2]:
        counts[min(int(value * bins), bins - 1)] += 1
    return counts.index(max(counts))


@case(x=reals(-1, 1), degree=ints(0, 12))
def exponential_by_horner(x, degree):
    coefficients = [1.0]
    for k in range(1, degree + 1):
        coefficients.append(coefficients[-1] / k)
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


@case(n=ints(1, 60), low=ints(0, 30), high=ints(0, 60))
def sum_between(n, low, high):
    sums = [0]
    for k in range(n):
        sums.append(sums[-1] + k * k % 7)
    low, high = min(low, n), min(high, n)
    return sums[high] - sums[low] if low <= high else 0


@case(capacity=ints(0, 60), w=ints(1, 20), v=ints(1, 50))
def knapsack(capacity, w, v):
    weights = [w, 5, 7, 11, 3]
    values = [v, 12, 17, 29, 6]
    best = [0] * (capacity + 1)
    for weight, value in zip(weights, values):
        for room in range(capacity, weight - 1, -1):
            best[room] = max(best[room], best[room - weight] + value)
    return best[capacity]


@case(amount=ints(0, 90))
def ways_to_pay(amount):
    ways = [1] + [0] * amount
    for coin in (1, 2, 5, 10, 20, 50):
        for total in range(coin, amount + 1):
            ways[total] += ways[total - coin]
    return ways[amount]


@case(nulls="pass", a=reals(0, 9), b=reals(0, 9), c=reals(0, 9), d=reals(0, 9))
def median_of_known(a, b, c, d):
    known = sorted([v for v in (a, b, c, d) if v is not None])
    if not known:
        return None
    middle = len(known) // 2
    if len(known) % 2 == 1:
        return known[middle]
    return (known[middle - 1] + known[middle]) / 2


@case(number=ints(10**8, 10**12))
def luhn_digit(number):
    digits = []
    while number > 0:
        digits.append(number % 10)
        number //= 10
    total = 0
    for position, digit in enumerate(digits):
        if position % 2 == 0:
            digit *= 2
            if digit > 9:
                digit -= 9
        total += digit
    return (10 - total % 10) % 10


@case(n=ints(0, 10**9))
def is_palindrome_number(n):
    digits = []
    while n:
        digits.append(n % 10)
        n //= 10
    return digits == digits[::-1]


@case(n=ints(1, 5_000))
def largest_factor_of_list(n):
    factors = []
    divisor = 2
    while n > 1:
        while n % divisor == 0:
            factors.append(divisor)
            n //= divisor
        divisor += 1
    return max(factors) if factors else 1


@case(n=ints(1, 40), k=ints(1, 9))
def last_of_the_circle(n, k):
    circle = list(range(1, n + 1))
    at = 0
    while len(circle) > 1:
        at = (at + k - 1) % len(circle)
        circle.pop(at)
    return circle[0]


@case(seed=ints(1, 10_000), n=ints(1, 25))
def swaps_of_insertion_sort(seed, n):
    items = [(seed * (k + 3)) % 101 for k in range(n)]
    swaps = 0
    for i in range(1, len(items)):
        j = i
        while j > 0 and items[j - 1] > items[j]:
            items[j - 1], items[j] = items[j], items[j - 1]
            swaps += 1
            j -= 1
    return swaps


@case(n=ints(1, 200))
def collatz_peak(n):
    path = [n]
    while path[-1] != 1:
        last = path[-1]
        path.append(last // 2 if last % 2 == 0 else 3 * last + 1)
    return max(path) - len(path)


@case(rows=ints(0, 30), k=ints(0, 30))
def pascal_entry(rows, k):
    row = [1]
    for _ in range(rows):
        row = [1] + [row[i] + row[i + 1] for i in range(len(row) - 1)] + [1]
    return row[k] if k < len(row) else 0


@case(price=reals(1, 100, 2), n=ints(2, 30))
def largest_drop(price, n):
    prices = [price * (1.0 + (k * k % 13) / 100.0) for k in range(n)]
    drops = [before - after for before, after in zip(prices, prices[1:])]
    return max(drops)
