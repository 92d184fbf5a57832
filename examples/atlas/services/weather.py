"""Weather that is made up: a base for each city, and a daily curve over it."""

import math
import time
from dataclasses import dataclass
from typing import Annotated

from polywire import Doc, Message, NotFound, Service, query

DAY_S = 86_400


@dataclass(frozen=True)
class Climate:
    temperature: float
    humidity: float
    description: str
    longitude: float


CLIMATES = {
    "BER": Climate(10.5, 72.0, "overcast", 13.4),
    "LON": Climate(11.5, 79.0, "light rain", -0.1),
    "NYC": Climate(13.0, 63.0, "clear sky", -74.0),
    "PAR": Climate(12.5, 76.0, "scattered clouds", 2.4),
    "SYD": Climate(18.5, 65.0, "sunny", 151.2),
    "TYO": Climate(16.0, 68.0, "partly cloudy", 139.7),
}


class WeatherResponse(Message):
    temperature: Annotated[float, Doc("Degrees Celsius.")]
    humidity: Annotated[float, Doc("Percent.")]
    description: str
    timestamp: Annotated[int, Doc("Unix time in seconds.")]


class WeatherService(Service, package="weather"):
    """The weather in a few cities."""

    @query("GET /v1/weather/{city_code}")
    async def get_weather(self, city_code: str, extended: bool = False) -> WeatherResponse:
        """The weather now. City codes have three letters, `LON`; `extended` describes it in more words."""
        climate = CLIMATES.get(city_code.upper())
        if climate is None:
            raise NotFound(f"no city {city_code}", reason="CITY_NOT_FOUND")
        now = int(time.time())
        warmth = warmth_at(now, climate.longitude)
        temperature = round(climate.temperature + 5 * warmth, 1)
        humidity = round(climate.humidity - 10 * warmth, 1)
        description = climate.description
        if extended:
            description += f", {temperature} °C, {humidity} % humidity"
        return WeatherResponse(temperature, humidity, description, now)


def warmth_at(now: int, longitude: float) -> float:
    """From -1 before dawn (3 h, solar time) to 1 in the afternoon (15 h)."""
    solar_hour = (now % DAY_S) / 3600 + longitude / 15
    return math.cos((solar_hour - 15) / 24 * math.tau)
