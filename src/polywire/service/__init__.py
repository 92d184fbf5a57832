"""What users write: services, their methods, the app. Declares; runs nothing."""

from __future__ import annotations

from polywire.service.app import App, BoundService, HealthCheck
from polywire.service.interceptor import Interceptor, Invoke
from polywire.service.operations import mutation, query, resolve
from polywire.service.service import Service
from polywire.service.tracked import Tracked

__all__ = [
    "App",
    "BoundService",
    "HealthCheck",
    "Interceptor",
    "Invoke",
    "Service",
    "Tracked",
    "mutation",
    "query",
    "resolve",
]
