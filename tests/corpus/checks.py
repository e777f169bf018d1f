"""Checksums and hashes on integers."""

from corpus.case import case, ints


@case(number=ints(10**14, 10**16 - 1))
def luhn_valid(number):
    total = 0
    double = False
    while number > 0:
        digit = number % 10
        if double:
            digit *= 2
            if digit > 9:
                digit -= 9
        total += digit
        double = not double
        number //= 10
    return total % 10 == 0


@case(number=ints(9_780_000_000_000, 9_799_999_999_999))
def isbn13_valid(number):
    total = 0
    for place in range(13):
        number, digit = divmod(number, 10)
        total += digit * (3 if place % 2 else 1)
    return total % 10 == 0


@case(number=ints(0, 999_999_999))
def isbn10_check(number):
    total = 0
    for weight in range(2, 11):
        total += weight * (number % 10)
        number //= 10
    return (11 - total % 11) % 11


@case(value=ints(0, 2**62))
def adler32(value):
    a, b = 1, 0
    for i in range(8):
        a = (a + (value >> (8 * i) & 0xFF)) % 65521
        b = (b + a) % 65521
    return b << 16 | a


@case(value=ints(0, 2**32 - 1))
def crc32_of_word(value):
    crc = 0xFFFFFFFF
    for shift in (0, 8, 16, 24):
        crc ^= (value >> shift) & 0xFF
        for _ in range(8):
            if crc & 1:
                crc = (crc >> 1) ^ 0xEDB88320
            else:
                crc >>= 1
    return crc ^ 0xFFFFFFFF


@case(value=ints(0, 2**62))
def fnv1a_32(value):
    h = 0x811C9DC5
    while value:
        h ^= value & 0xFF
        h = h * 0x01000193 & 0xFFFFFFFF
        value >>= 8
    return h


@case(value=ints(0, 2**62))
def bit_count(value):
    count = 0
    while value:
        value &= value - 1
        count += 1
    return count


@case(value=ints(0, 2**32 - 1))
def popcount32(value):
    value -= value >> 1 & 0x55555555
    value = (value & 0x33333333) + (value >> 2 & 0x33333333)
    value = value + (value >> 4) & 0x0F0F0F0F
    return (value * 0x01010101 & 0xFFFFFFFF) >> 24


@case(value=ints(0, 2**31))
def bits_by_method(value):
    return value.bit_count() + value.bit_length()


@case(state=ints(1, 2**32 - 1))
def xorshift32(state):
    state ^= state << 13 & 0xFFFFFFFF
    state ^= state >> 17
    state ^= state << 5 & 0xFFFFFFFF
    return state


@case(value=ints(0, 2**32 - 1))
def byte_swap(value):
    return (value & 0xFF) << 24 | (value & 0xFF00) << 8 | (value >> 8) & 0xFF00 | value >> 24


@case(value=ints(0, 2**31 - 1))
def reverse_bits(value):
    result = 0
    for _ in range(32):
        result = result << 1 | value & 1
        value >>= 1
    return result


@case(value=ints(0, 2**31 - 1))
def gray_code(value):
    return value ^ value >> 1


@case(number=ints(10**7, 10**8 - 1))
def mod97_check(number):
    return 98 - number * 100 % 97
