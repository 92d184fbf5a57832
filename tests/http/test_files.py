"""Which names lead to which files, and how these are told to be."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from polywire.http.files import ServedFile, content_headers, path_segments


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("a.txt", ["a.txt"]),
        ("a/b/c.txt", ["a", "b", "c.txt"]),
        ("a%20b", ["a b"]),
        ("%C3%A9", ["é"]),
        ("/".join("x" * 32), ["x"] * 32),
    ],
)
def test_names(path: str, names: list[str]) -> None:
    assert path_segments(path) == names


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a/",
        "/a",
        "a//b",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "%2e%2e/a",
        "%2E%2e%2fa",
        "a%2fb",
        "a%2Fb",
        "a%00",
        "a%0ab",
        "a%7f",
        ".hidden",
        ".git/config",
        "a/.htaccess",
        "%2egit/config",
        "%ff",
        "/".join("x" * 33),
    ],
)
def test_what_names_no_file(path: str) -> None:
    assert path_segments(path) is None


def opened(directory: Path, *segments: str) -> bool:
    file = ServedFile()
    try:
        return file.open(str(directory), segments)
    finally:
        file.close()


def test_only_regular_files_of_the_directory(tmp_path: Path) -> None:
    directory = tmp_path / "public"
    (directory / "sub").mkdir(parents=True)
    (directory / "a").write_text("a")
    (directory / "sub" / "b").write_text("b")
    (tmp_path / "secret").write_text("s")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "secret").write_text("s")
    (directory / "out").symlink_to(tmp_path / "secret")
    (directory / "away").symlink_to(tmp_path / "more")
    (directory / "loop").symlink_to("loop")
    os.mkfifo(directory / "pipe")
    assert opened(directory, "a")
    assert opened(directory, "sub", "b")
    for segments in (
        ("out",),
        ("away", "secret"),
        ("loop",),
        ("pipe",),
        ("sub",),
        ("a", "b"),
        ("missing",),
        ("missing", "b"),
        ("x" * 300,),
    ):
        assert not opened(directory, *segments)
    assert not opened(tmp_path / "nowhere", "a")


def test_the_directory_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "v2").mkdir()
    (tmp_path / "v2" / "a").write_text("a")
    (tmp_path / "current").symlink_to("v2")
    assert opened(tmp_path / "current", "a")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    before = descriptors()
    for segments in (("a",), ("missing",), ("a", "b")):
        opened(tmp_path, *segments)
    assert descriptors() == before


def test_closed_before_its_thread_begins(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    before = descriptors()
    file = ServedFile()
    file.close()
    assert not file.open(str(tmp_path), ["a"])
    assert file.read(0, 1) == b""
    assert descriptors() == before


def test_closed_while_a_thread_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("abc")
    before = descriptors()
    file = ServedFile()
    assert file.open(str(tmp_path), ["a"])
    begun, closed = threading.Event(), threading.Event()
    pread = os.pread

    def slowly(fd: int, length: int, position: int) -> bytes:
        begun.set()
        assert closed.wait(5)
        return pread(fd, length, position)  # of the same file, not of one that has its number now

    monkeypatch.setattr(os, "pread", slowly)
    read: list[bytes] = []
    thread = threading.Thread(target=lambda: read.append(file.read(0, 3)))
    thread.start()
    assert begun.wait(5)
    file.close()
    closed.set()
    thread.join(5)
    assert read == [b"abc"]
    assert descriptors() == before


def test_the_tag_tells_states_apart(tmp_path: Path) -> None:
    path = tmp_path / "a"

    def tag() -> str | None:
        file = ServedFile()
        assert file.open(str(tmp_path), ["a"])
        file.close()
        return file.validators.etag

    path.write_text("one")
    first = tag()
    assert first == tag()
    os.utime(path, ns=(1, 1))
    second = tag()
    (tmp_path / "b").write_text("two")
    os.replace(tmp_path / "b", path)
    os.utime(path, ns=(1, 1))
    assert len({first, second, tag()}) == 3


def told(name: str, *, trusted: bool = False) -> tuple[str, bool]:
    """The type, and whether it is to be saved."""
    headers = dict(content_headers(name, trusted=trusted))
    assert headers["x-content-type-options"] == "nosniff"
    assert ("content-security-policy" in headers) is not trusted
    return headers["content-type"], headers.get("content-disposition", "").startswith("attachment")


@pytest.mark.parametrize(
    ("name", "media_type", "saved"),
    [
        ("a.txt", "text/plain; charset=utf-8", False),
        ("a.json", "application/json", False),
        ("a.png", "image/png", False),
        ("a.PNG", "image/png", False),
        ("a.mp4", "video/mp4", False),
        ("a.pdf", "application/pdf", True),
        ("a.html", "text/html; charset=utf-8", True),
        ("a.svg", "image/svg+xml", True),
        ("a.svgz", "application/gzip", True),
        ("a.xml", "text/xml; charset=utf-8", True),
        ("a.js", "application/octet-stream", True),
        ("a.css", "text/css; charset=utf-8", True),
        ("a.tar.gz", "application/gzip", True),
        ("a.zip", "application/zip", True),
        ("a", "application/octet-stream", True),
        ("http:a.png", "image/png", False),
        ("data:text/html,a", "application/octet-stream", True),
    ],
)
def test_types_by_name(name: str, media_type: str, saved: bool) -> None:
    assert told(name) == (media_type, saved)


def test_a_trusted_directory_holds_pages() -> None:
    assert told("a.html", trusted=True) == ("text/html; charset=utf-8", False)
    assert told("a.svg", trusted=True) == ("image/svg+xml", False)
    for name in ("a.js", "a.mjs"):
        assert told(name, trusted=True)[0] == "text/javascript; charset=utf-8"


def test_a_name_cannot_add_to_its_header() -> None:
    disposition = dict(content_headers('a"; x=é.html', trusted=False))["content-disposition"]
    assert disposition == "attachment; filename*=UTF-8''a%22%3B%20x%3D%C3%A9.html"
