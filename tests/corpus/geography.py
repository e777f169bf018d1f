"""Geography: distances, bearings, grid cells."""

import math
from math import asin, cos, radians, sin, sqrt

from corpus.case import case, ints, reals

EARTH_KM = 6371.0088
LAT = reals(-85, 85, 5)
LON = reals(-180, 179.99, 5)


@case(lat1=LAT, lon1=LON, lat2=LAT, lon2=LON)
def haversine(lat1, lon1, lat2, lon2):
    lat1, lon1, lat2, lon2 = radians(lat1), radians(lon1), radians(lat2), radians(lon2)
    a = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_KM * asin(sqrt(a))


@case(lat1=LAT, lon1=LON, lat2=LAT, lon2=LON)
def haversine_mapped(lat1, lon1, lat2, lon2):
    lat1, lon1, lat2, lon2 = map(math.radians, [lat1, lon1, lat2, lon2])
    dlat, dlon = lat2 - lat1, lon2 - lon1
    a = math.sin(dlat / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(dlon / 2) ** 2
    return EARTH_KM * 2 * math.atan2(math.sqrt(a), math.sqrt(1 - a))


@case(lat1=LAT, lon1=LON, lat2=LAT, lon2=LON)
def flat_distance(lat1, lon1, lat2, lon2):
    x = (lon2 - lon1) * math.cos(math.radians((lat1 + lat2) / 2))
    y = lat2 - lat1
    return math.hypot(x, y) * 111.195


@case(lat1=LAT, lon1=LON, lat2=LAT, lon2=LON)
def bearing(lat1, lon1, lat2, lon2):
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    dlon = math.radians(lon2 - lon1)
    y = math.sin(dlon) * math.cos(phi2)
    x = math.cos(phi1) * math.sin(phi2) - math.sin(phi1) * math.cos(phi2) * math.cos(dlon)
    return (math.degrees(math.atan2(y, x)) + 360) % 360


@case(lat=LAT, lon=LON)
def grid_cell(lat, lon):
    row = int((lat + 90) * 10)
    col = int((lon + 180) * 10)
    return row * 3600 + col


@case(lat=LAT, lon=LON, zoom=ints(0, 18))
def map_tile(lat, lon, zoom):
    n = 2.0**zoom
    x = math.floor((lon + 180) / 360 * n)
    phi = math.radians(lat)
    y = math.floor((1 - math.log(math.tan(phi) + 1 / math.cos(phi)) / math.pi) / 2 * n)
    return x * 262144 + y


@case(x=ints(0, 65535), y=ints(0, 65535))
def z_order(x, y):
    key = 0
    for bit in range(16):
        key |= (x >> bit & 1) << (2 * bit)
        key |= (y >> bit & 1) << (2 * bit + 1)
    return key


def inside(lat, lon, south, west, north, east):
    return south <= lat <= north and west <= lon <= east


@case(lat=LAT, lon=LON)
def continent_box(lat, lon):
    if inside(lat, lon, 35, -10, 70, 40):
        return 1
    if inside(lat, lon, -35, -20, 35, 50):
        return 2
    if inside(lat, lon, 15, -170, 70, -50):
        return 3
    return 0


@case(lon=LON)
def utm_zone(lon):
    return int((lon + 180) // 6) + 1


@case(degrees=reals(-720, 720))
def wrap_longitude(degrees):
    while degrees > 180:
        degrees -= 360
    while degrees <= -180:
        degrees += 360
    return degrees
