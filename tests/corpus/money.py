"""Finance: interest, loans, options, taxes."""

import math

from corpus.case import case, choice, flags, ints, reals

BRACKETS = ((11_000, 0.10), (44_725, 0.12), (95_375, 0.22), (182_100, 0.24), (231_250, 0.32))
TOP_RATE = 0.37
VAT = (0.0, 0.07, 0.19)


@case(principal=reals(100, 50_000, 2), rate=reals(0.001, 0.12), years=ints(1, 40))
def compound_interest(principal, rate, years):
    return principal * (1 + rate / 12) ** (12 * years)


@case(principal=reals(100, 50_000, 2), rate=reals(0, 0.1), years=ints(0, 40))
def savings_by_year(principal, rate, years):
    balance = principal
    for _ in range(years):
        balance += balance * rate
    return round(balance, 2)


@case(principal=reals(1_000, 500_000, 2), rate=reals(0, 0.09, 2), months=choice(60, 120, 240, 360))
def monthly_payment(principal, rate, months):
    if rate == 0:
        return principal / months
    r = rate / 12
    return principal * r / (1 - (1 + r) ** -months)


@case(principal=reals(1_000, 50_000, 2), rate=reals(0.01, 0.2), payment=reals(900, 2_000, 2))
def months_to_pay_off(principal, rate, payment):
    months = 0
    while principal > 0:
        principal = principal * (1 + rate / 12) - payment
        months += 1
        if months >= 600:
            return -1
    return months


@case(principal=reals(5_000, 300_000, 2), rate=reals(0.005, 0.08), month=ints(1, 60))
def interest_part(principal, rate, month):
    """What of a 60-month loan's payment is interest."""
    r = rate / 12
    payment = principal * r / (1 - (1 + r) ** -60)
    balance = principal
    interest = 0.0
    for _ in range(month):
        interest = balance * r
        balance -= payment - interest
    return interest


@case(
    cost=reals(500, 2_000, 2),
    first=reals(200, 900, 2),
    second=reals(200, 900, 2),
    third=reals(200, 900, 2),
)
def internal_rate(cost, first, second, third):
    flows = (-cost, first, second, third)
    rate = 0.1
    for _ in range(50):
        value = 0.0
        slope = 0.0
        for t, flow in enumerate(flows):
            value += flow / (1 + rate) ** t
            slope -= t * flow / (1 + rate) ** (t + 1)
        if abs(slope) < 1e-12:
            return None
        step = value / slope
        rate -= step
        if rate <= -0.99:
            return None
        if abs(step) < 1e-10:
            break
    return rate


@case(rate=reals(0.01, 0.15), a=reals(-500, 900), b=reals(-500, 900), c=reals(-500, 900))
def net_present_value(rate, a, b, c):
    return sum(flow / (1 + rate) ** (t + 1) for t, flow in enumerate((a, b, c)))


def norm_cdf(x):
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


@case(
    spot=reals(50, 150),
    strike=reals(50, 150),
    years=reals(0.05, 3),
    rate=reals(0, 0.06),
    vol=reals(0.05, 0.8),
)
def black_scholes_call(spot, strike, years, rate, vol):
    d1 = (math.log(spot / strike) + (rate + vol * vol / 2) * years) / (vol * math.sqrt(years))
    d2 = d1 - vol * math.sqrt(years)
    return spot * norm_cdf(d1) - strike * math.exp(-rate * years) * norm_cdf(d2)


@case(spot=reals(50, 150), strike=reals(50, 150), years=reals(0.1, 2), is_call=flags())
def option_delta(spot, strike, years, is_call):
    vol = 0.25
    d1 = (math.log(spot / strike) + 0.5 * vol**2 * years) / (vol * years**0.5)
    return norm_cdf(d1) if is_call else norm_cdf(d1) - 1


@case(income=reals(0, 400_000, 2))
def income_tax(income):
    tax = 0.0
    lower = 0
    for upper, rate in BRACKETS:
        if income <= upper:
            return tax + (income - lower) * rate
        tax += (upper - lower) * rate
        lower = upper
    return tax + (income - lower) * TOP_RATE


@case(nulls="pass", net=reals(0, 1_000, 2), kind=ints(0, 2), exempt=flags(0.1))
def gross_price(net, kind, exempt):
    if net is None:
        return None
    if exempt or kind is None:
        return net
    return round(net * (1 + VAT[kind]), 2)


@case(price=reals(1, 500, 2), quantity=ints(1, 600), member=flags(0.3))
def order_total(price, quantity, member):
    if quantity >= 500:
        discount = 0.2
    elif quantity >= 100:
        discount = 0.1
    elif quantity >= 10:
        discount = 0.05
    else:
        discount = 0
    if member:
        discount += 0.02
    return price * quantity * (1 - discount)


@case(cents=ints(0, 100_000))
def coins_needed(cents):
    count = 0
    for coin in (200, 100, 50, 20, 10, 5, 2, 1):
        count += cents // coin
        cents %= coin
    return count


@case(cost=reals(100, 10_000, 2), salvage=reals(0, 90, 2), life=ints(3, 15), year=ints(1, 20))
def straight_line_value(cost, salvage, life, year):
    return max(cost - (cost - salvage) / life * year, salvage)


@case(nulls="pass", buy=reals(1, 100, 2), sell=reals(1, 100, 2), fee=reals(0, 1, 2))
def profit_margin(buy, sell, fee):
    if buy is None or sell is None or sell == 0:
        return None
    profit = sell - buy - (fee or 0.0)
    return profit / sell * 100


@case(face=ints(1, 1000), coupon=reals(0.0, 0.08), yearly=reals(0.01, 0.09), years=ints(1, 30))
def bond_price(face, coupon, yearly, years):
    price = face / (1 + yearly) ** years
    for t in range(1, years + 1):
        price += face * coupon / (1 + yearly) ** t
    return price
