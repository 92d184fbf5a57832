"""Weather that is made up: a base for each city, and a daily curve over it."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from atlas.locked import LOCK
from polywire import Doc, InvalidArgument, Message, NotFound, Service, mutation, query

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


class GetWeatherRequest(Message):
    city_code: Annotated[str, Doc("Three letters, `LON`.")]
    extended: Annotated[bool, Doc("Describe it in more words.")] = False


class WeatherResponse(Message):
    temperature: Annotated[float, Doc("Degrees Celsius.")]
    humidity: Annotated[float, Doc("Percent.")]
    description: str
    timestamp: Annotated[int, Doc("Unix time in seconds.")]


class WeatherService(Service, package="weather", lock=LOCK):
    """The weather in a few cities."""

    def __init__(self, interval_s: float = 1.0) -> None:
        self.interval_s = interval_s

    @query("GET /v1/weather/{city_code}")
    async def get_weather(self, request: GetWeatherRequest) -> WeatherResponse:
        """The weather now."""
        return weather(request)

    @query("GET /v1/weather/{city_code}/updates")
    async def subscribe_weather(self, request: GetWeatherRequest) -> AsyncIterator[WeatherResponse]:
        """The weather now, and again every second for as long as somebody listens."""
        while True:
            yield weather(request)
            await asyncio.sleep(self.interval_s)

    @mutation("POST /v1/weather/reports")
    async def report_batch(self, reports: AsyncIterator[WeatherResponse]) -> WeatherResponse:
        """Takes measurements, and gives their average; its time is that of the latest."""
        count, temperature, humidity, latest = 0, 0.0, 0.0, 0
        async for report in reports:
            if not (math.isfinite(report.temperature) and math.isfinite(report.humidity)):
                raise InvalidArgument(f"report {count} is not of finite numbers", reason="NOT_FINITE")
            count += 1
            # A mean that moves cannot overflow as a sum can.
            temperature += (report.temperature - temperature) / count
            humidity += (report.humidity - humidity) / count
            latest = max(latest, report.timestamp)
        if not count:
            raise InvalidArgument("there is no report to take the average of", reason="NO_REPORTS")
        return WeatherResponse(round(temperature, 1), round(humidity, 1), f"average of {count} reports", latest)

    @mutation("POST /v1/weather/chat")
    async def weather_chat(self, requests: AsyncIterator[GetWeatherRequest]) -> AsyncIterator[WeatherResponse]:
        """The weather in each city when it is asked for; one that is not known ends the chat."""
        async for request in requests:
            yield weather(request)


def weather(request: GetWeatherRequest) -> WeatherResponse:
    climate = CLIMATES.get(request.city_code.upper())
    if climate is None:
        raise NotFound(f"no city {request.city_code:.20}", reason="CITY_NOT_FOUND")
    now = int(time.time())
    warmth = warmth_at(now, climate.longitude)
    temperature = round(climate.temperature + 5 * warmth, 1)
    humidity = round(climate.humidity - 10 * warmth, 1)
    description = climate.description
    if request.extended:
        description += f", {temperature} °C, {humidity} % humidity"
    return WeatherResponse(temperature, humidity, description, now)


def warmth_at(now: int, longitude: float) -> float:
    """From -1 before dawn (3 h, solar time) to 1 in the afternoon (15 h)."""
    solar_hour = (now % DAY_S) / 3600 + longitude / 15
    return math.cos((solar_hour - 15) / 24 * math.tau)
