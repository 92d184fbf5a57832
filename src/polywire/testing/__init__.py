"""What tests of a polywire service use: an in-memory client and transport."""

from polywire.testing.client import TestClient
from polywire.testing.memory import Answer, MemorySink
from polywire.testing.streams import Event

__all__ = ["Answer", "Event", "MemorySink", "TestClient"]
