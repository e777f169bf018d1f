"""Number theory."""

import math

from corpus.case import case, ints


def gcd(a, b):
    while b:
        a, b = b, a % b
    return a


@case(a=ints(1, 10**9), b=ints(1, 10**9))
def greatest_divisor(a, b):
    return gcd(a, b)


@case(a=ints(1, 10**6), b=ints(1, 10**6))
def least_multiple(a, b):
    return a // math.gcd(a, b) * b


@case(n=ints(0, 20_000))
def is_prime(n):
    if n < 2:
        return False
    if n % 2 == 0:
        return n == 2
    i = 3
    while i * i <= n:
        if n % i == 0:
            return False
        i += 2
    return True


@case(n=ints(0, 3_000))
def is_prime_generator(n):
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))


@case(n=ints(0, 10**12))
def digit_sum(n):
    total = 0
    while n:
        total += n % 10
        n //= 10
    return total


@case(n=ints(0, 10**9))
def digital_root(n):
    while n > 9:
        digits = 0
        while n > 0:
            n, digit = divmod(n, 10)
            digits += digit
        n = digits
    return n


@case(n=ints(0, 90))
def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


@case(base=ints(0, 10**6), exponent=ints(0, 10**6))
def mod_pow(base, exponent, modulus=1_000_000_007):
    result = 1
    base %= modulus
    while exponent > 0:
        if exponent & 1:
            result = result * base % modulus
        base = base * base % modulus
        exponent >>= 1
    return result


@case(base=ints(0, 10**6), exponent=ints(0, 500))
def mod_pow_builtin(base, exponent):
    return pow(base, exponent, 1_000_003)


@case(n=ints(0, 10**9))
def reversed_number(n):
    result = 0
    while n > 0:
        result = result * 10 + n % 10
        n //= 10
    return result


@case(n=ints(0, 99_999))
def is_palindrome(n):
    rest, back = n, 0
    while rest:
        back = back * 10 + rest % 10
        rest //= 10
    return back == n


@case(n=ints(1, 3_000))
def divisor_count(n):
    count = 0
    d = 1
    while d * d <= n:
        if n % d == 0:
            count += 1 if d * d == n else 2
        d += 1
    return count


@case(n=ints(1, 500))
def is_perfect(n):
    return sum(d for d in range(1, n // 2 + 1) if n % d == 0) == n


@case(n=ints(1, 10**6))
def largest_factor(n):
    factor = 2
    while factor * factor <= n:
        if n % factor:
            factor += 1
        else:
            n //= factor
    return n


@case(n=ints(0, 20))
def factorial(n):
    product = 1
    for k in range(2, n + 1):
        product *= k
    return product


@case(n=ints(0, 9_999))
def is_armstrong(n):
    total, rest, digits = 0, n, 1 if n < 10 else 2 if n < 100 else 3 if n < 1000 else 4
    while rest:
        total += (rest % 10) ** digits
        rest //= 10
    return total == n


@case(n=ints(1, 200))
def totient(n):
    return sum(math.gcd(n, k) == 1 for k in range(1, n + 1))


@case(n=ints(0, 10**15))
def is_square(n):
    return math.isqrt(n) ** 2 == n


@case(n=ints(0, 255))
def to_binary_digits(n):
    result, place = 0, 1
    while n:
        result += n % 2 * place
        place *= 10
        n //= 2
    return result


@case(n=ints(-500, 500))
def triangular(n):
    return sum(range(n + 1)) if n >= 0 else None
