"""Calendar arithmetic on integers."""

from corpus.case import case, days, ints, times

MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def day_number(date):
    """Days since the first of March of the year 0."""
    year, month, day = date // 10000, date // 100 % 100, date % 100
    if month <= 2:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - 306


@case(year=ints(1600, 2400))
def leap_year(year):
    return is_leap(year)


@case(year=ints(1900, 2100), month=ints(1, 12))
def days_in_month(year, month):
    if month == 2 and is_leap(year):
        return 29
    return MONTH_DAYS[month - 1]


@case(date=days())
def zeller(date):
    y, m, d = date // 10000, date // 100 % 100, date % 100
    if m < 3:
        m += 12
        y -= 1
    k, j = y % 100, y // 100
    return (d + 13 * (m + 1) // 5 + k + k // 4 + j // 4 + 5 * j) % 7


@case(start=days(), end=days())
def days_between(start, end):
    return day_number(end) - day_number(start)


@case(date=days())
def day_of_year(date):
    year, rest = divmod(date, 10000)
    month, day = divmod(rest, 100)
    total = day
    for m in range(1, month):
        total += 29 if m == 2 and is_leap(year) else MONTH_DAYS[m - 1]
    return total


@case(departure=times(), arrival=times())
def minutes_between(departure, arrival):
    minutes = (arrival // 100 * 60 + arrival % 100) - (departure // 100 * 60 + departure % 100)
    return minutes if minutes >= 0 else minutes + 24 * 60


@case(nulls="pass", scheduled=times(), actual=times())
def delay_minutes(scheduled, actual):
    if scheduled is None or actual is None:
        return None
    to_minutes = lambda hhmm: hhmm // 100 * 60 + hhmm % 100  # noqa: E731
    delay = to_minutes(actual) - to_minutes(scheduled)
    if delay < -720:
        delay += 1440
    elif delay > 720:
        delay -= 1440
    return delay


@case(date=days())
def iso_week(date):
    number = day_number(date)
    weekday = (number + 2) % 7  # Monday is 0
    thursday = number - weekday + 3
    year = date // 10000
    if thursday < day_number(year * 10000 + 101):
        year -= 1
    elif thursday >= day_number((year + 1) * 10000 + 101):
        year += 1
    return (thursday - day_number(year * 10000 + 101)) // 7 + 1


@case(born=days("1940-01-01", "2010-12-31"), today=days("2020-01-01", "2025-12-31"))
def age_in_years(born, today):
    years = today // 10000 - born // 10000
    if today % 10000 < born % 10000:
        years -= 1
    return years


@case(year=ints(1900, 2099))
def easter(year):
    a = year % 19
    b, c = divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return month * 100 + day + 1


@case(start=days(), count=ints(0, 60))
def add_working_days(start, count):
    number = day_number(start)
    while count > 0:
        number += 1
        if (number + 2) % 7 < 5:
            count -= 1
    return number


@case(date=days(), months=ints(-24, 24))
def add_months(date, months):
    year, month, day = date // 10000, date // 100 % 100, date % 100
    index = year * 12 + month - 1 + months
    year, month = index // 12, index % 12 + 1
    last = 29 if month == 2 and is_leap(year) else MONTH_DAYS[month - 1]
    return year * 10000 + month * 100 + min(day, last)


@case(seconds=ints(0, 4_000_000_000))
def epoch_to_date(seconds):
    z = seconds // 86400 + 719468
    era = z // 146097
    doe = z - era * 146097
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    day = doy - (153 * mp + 2) // 5 + 1
    month = mp + 3 if mp < 10 else mp - 9
    year = yoe + era * 400 + (month <= 2)
    return year * 10000 + month * 100 + day


@case(date=days())
def quarter(date):
    return (date // 100 % 100 - 1) // 3 + 1


@case(date=days(), first_month=ints(1, 12))
def fiscal_year(date, first_month=4):
    year, month = date // 10000, date // 100 % 100
    return year + 1 if month >= first_month > 1 else year
