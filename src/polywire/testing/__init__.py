"""What tests of a polywire service use: an in-memory client and transport."""

from polywire.testing.client import TestClient
from polywire.testing.memory import Answer, MemorySink

__all__ = ["Answer", "MemorySink", "TestClient"]
