"""Games and sequences."""

from corpus.case import case, flags, ints


@case(n=ints(1, 100_000))
def collatz_steps(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


@case(a=ints(0, 63), b=ints(0, 63), c=ints(0, 63))
def nim_first_wins(a, b, c):
    return a ^ b ^ c != 0


@case(mine=ints(800, 2_800), other=ints(800, 2_800), won=flags())
def elo_update(mine, other, won, k=32):
    expected = 1 / (1 + 10 ** ((other - mine) / 400))
    return round(mine + k * (won - expected))


@case(a=ints(1, 6), b=ints(1, 6), c=ints(1, 6))
def dice_score(a, b, c):
    if a == b == c:
        return 100 * a
    if a == b or b == c:
        return 10 * b
    if a == c:
        return 10 * a
    return a + b + c


@case(seed=ints(0, 2**31 - 1), rolls=ints(1, 20))
def lcg_roll(seed, rolls):
    for _ in range(rolls):
        seed = (1103515245 * seed + 12345) % 2147483648
    return seed % 6 + 1


@case(x=ints(0, 7), y=ints(0, 7))
def knight_moves(x, y):
    moves = 0
    for dx in (-2, -1, 1, 2):
        for dy in (-2, -1, 1, 2):
            if abs(dx) != abs(dy) and 0 <= x + dx < 8 and 0 <= y + dy < 8:
                moves += 1
    return moves


@case(n=ints(1, 60), step=ints(1, 12))
def josephus(n, step):
    survivor = 0
    for size in range(2, n + 1):
        survivor = (survivor + step) % size
    return survivor + 1


@case(row=ints(0, 255), rule=ints(0, 255))
def cellular_step(row, rule):
    new = 0
    for i in range(8):
        left = row >> (i + 1) % 8 & 1
        right = row >> (i - 1) % 8 & 1
        pattern = left << 2 | (row >> i & 1) << 1 | right
        if rule >> pattern & 1:
            new |= 1 << i
    return new


@case(total=ints(4, 30), has_ace=flags(0.2))
def blackjack(total, has_ace):
    if has_ace and total + 10 <= 21:
        total += 10
    return total if total <= 21 else 0
