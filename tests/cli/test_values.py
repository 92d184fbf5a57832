"""Options that click has no type for."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from polywire.cli.values import WorkersType, processors, settings_of


@pytest.mark.parametrize(("given", "count"), [("1", 1), ("7", 7), (3, 3)])
def test_a_number_of_workers(given: object, count: int) -> None:
    assert WorkersType().convert(given, None, None) == count


def test_auto_is_the_number_of_processors() -> None:
    assert WorkersType().convert("auto", None, None) == processors() >= 1


@pytest.mark.parametrize("given", ["0", "-1", "two", "1025", ""])
def test_what_is_no_number_of_workers(given: str) -> None:
    with pytest.raises(click.BadParameter, match="neither a number from 1 to 1024 nor 'auto'"):
        WorkersType().convert(given, None, None)


@pytest.mark.parametrize(
    ("text", "most"), [("50000 100000", 1), ("100000 100000\n", 1), ("max 100000", None), ("x", None)]
)
def test_a_containers_share_bounds_the_processors(text: str, most: int | None, tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text(text)
    assert processors(quota) == (processors(tmp_path / "none") if most is None else most)


def test_settings_by_name() -> None:
    pairs = ["max_headers=64", "tick_s=0.25", "server_header=None", "protocols=http1,tls", "uds_mode=0o600"]
    settings, limits = settings_of(pairs, ())
    assert limits == {"max_headers": 64}
    assert settings == {
        "tick_s": 0.25, "server_header": None, "protocols": frozenset({"http1", "tls"}), "uds_mode": 0o600
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pair", "message"),
    [("max_headers", "write NAME=VALUE"), ("max_header=1", "did you mean max_header"),
     ("zzz=1", "no such setting; there are .*tick_s"), ("port=1", "an option of its own"),
     ("limits=1", "an option of its own"), ("max_headers=many", "'many' is not a whole number from 0"),
     ("max_headers=-1", "is not a whole number"),
     ("tick_s=nan", "is not a number from 0"), ("tick_s=inf", "is not a number"),
     ("clear_text=maybe", "is not true or false")],
)  # fmt: skip
def test_settings_that_make_no_sense(pair: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of([pair], ["port"])
