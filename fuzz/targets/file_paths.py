"""Paths of files that are served: no name leads out of the directory, and none makes a field of its own."""

from __future__ import annotations

import posixpath

from polywire.http.files import content_headers, path_segments
from polywire.wire.headers import HeaderBlock

ACTIVE = ("text/html", "text/javascript", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/wasm")
"""What could run with the rights of our origin."""


def fuzz_one(data: bytes) -> None:
    names = path_segments(data.decode("latin-1"))
    if names is None:
        return
    assert 0 < len(names) <= 32
    joined = posixpath.normpath(posixpath.join("/served", *names))
    assert joined == "/served/" + "/".join(names), "a name that leads elsewhere"
    assert "\0" not in joined
    for trusted in (True, False):
        fields = content_headers(names[-1], trusted=trusted)
        HeaderBlock(fields)
        told = dict(fields)
        assert told["x-content-type-options"] == "nosniff"
        if not trusted:
            assert "sandbox" in told["content-security-policy"]
            assert not told["content-type"].startswith(ACTIVE) or told["content-disposition"].startswith("attachment;")
