"""The tables of docs/clients.md say what the code says."""

from __future__ import annotations

import dataclasses

from polywire.client import ChannelSettings, SocketSettings
from tests.docs.pages import ROOT, table


def test_settings() -> None:
    told = {name.strip("`"): default.strip("`") for name, default, _ in table(ROOT / "docs" / "clients.md", "channel")}
    settings = ChannelSettings()
    real = {field.name: repr(getattr(settings, field.name)) for field in dataclasses.fields(settings)}
    assert told.pop("limits") == f"HttpLimits(max_concurrent_streams={settings.limits.max_concurrent_streams})"
    del real["limits"]
    assert told == real


def test_settings_of_sockets() -> None:
    told = {name.strip("`"): default.strip("`") for name, default, _ in table(ROOT / "docs" / "clients.md", "socket")}
    settings = SocketSettings()
    assert told == {field.name: repr(getattr(settings, field.name)) for field in dataclasses.fields(settings)}
