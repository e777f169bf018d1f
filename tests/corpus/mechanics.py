"""Physics and engineering."""

import math

from corpus.case import case, ints, reals

G = 9.80665
C = 299_792_458.0


@case(speed=reals(1, 100), angle=reals(1, 89))
def projectile_range(speed, angle):
    return speed**2 * math.sin(2 * math.radians(angle)) / G


@case(speed=reals(1, 100), angle=reals(1, 89), t=reals(0, 30))
def projectile_height(speed, angle, t):
    y = speed * math.sin(math.radians(angle)) * t - G * t**2 / 2
    return y if y > 0 else 0.0


@case(density=reals(1, 1_000), speed=reals(0.01, 20), diameter=reals(0.01, 2))
def reynolds_regime(density, speed, diameter, viscosity=0.001):
    re = density * speed * diameter / viscosity
    if re < 2300:
        return 0
    return 1 if re < 4000 else 2


@case(mass=reals(0.1, 100), speed=reals(0, 299_000_000))
def relativistic_energy(mass, speed):
    gamma = 1 / math.sqrt(1 - (speed / C) ** 2)
    return (gamma - 1) * mass * C**2


@case(height=reals(10, 3_000), mass=reals(1, 120))
def fall_time_with_drag(height, mass):
    dt = 0.05
    v = 0.0
    y = height
    t = 0.0
    while y > 0 and t < 120:
        drag = 0.25 * v * v
        v += (G - drag / mass) * dt
        y -= v * dt
        t += dt
    return t


@case(start=reals(-1, 1), speed=reals(-2, 2), steps=ints(1, 200))
def oscillator(start, speed, steps):
    x, v = start, speed
    for _ in range(steps):
        v -= 4.0 * x * 0.01
        x += v * 0.01
    return x


@case(celsius=reals(-30, 45, 1), humidity=ints(1, 100))
def dew_point(celsius, humidity):
    a, b = 17.62, 243.12
    gamma = math.log(humidity / 100) + a * celsius / (b + celsius)
    return b * gamma / (a - gamma)


@case(celsius=reals(-40, 45, 1), wind=reals(0, 120, 1))
def wind_chill(celsius, wind):
    if celsius > 10 or wind < 4.8:
        return celsius
    return 13.12 + 0.6215 * celsius - 11.37 * wind**0.16 + 0.3965 * celsius * wind**0.16


@case(nulls="pass", a=reals(1, 1_000, 1), b=reals(1, 1_000, 1), c=reals(1, 1_000, 1))
def parallel_resistors(a, b, c):
    inverse = 0.0
    for r in (a, b, c):
        if r:
            inverse += 1 / r
    return 1 / inverse if inverse > 0 else None


@case(x=reals(-3, 3), y=reals(-3, 3))
def potential(x, y):
    def well(cx, cy, depth):
        r2 = (x - cx) ** 2 + (y - cy) ** 2
        return -depth * math.exp(-r2)

    return well(0, 0, 2.0) + well(1, 1, 1.0) + well(-1, 0.5, 0.5)


@case(kmh=reals(0, 250, 1), reaction=reals(0.5, 2, 1), wet=ints(0, 1))
def braking_distance(kmh, reaction, wet):
    v = kmh / 3.6
    friction = 0.4 if wet else 0.75
    return v * reaction + v * v / (2 * friction * G)


@case(wavelength=ints(380, 780))
def photon_energy(wavelength):
    return 6.62607015e-34 * C / (wavelength * 1e-9) / 1.602176634e-19
