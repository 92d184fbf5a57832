"""Certificates of a small authority, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Signs certificates, all in one directory."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self.directory = directory
        self.cert = directory / f"{name}.pem"
        self._key = directory / f"{name}.key"
        _openssl("req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.cert)

    def sign(self, name: str, names: str, *, days: int = 1) -> tuple[Path, Path]:
        """A certificate for the common name with subject alternative names (`DNS:a,URI:b`), and its key.

        days: it is good for; less than 0: it has expired.
        """
        cert, key, request, extensions = (self.directory / f"{name}.{end}" for end in ("pem", "key", "csr", "ext"))
        extensions.write_text(f"subjectAltName={names}\n")
        _openssl("req", *_KEY, "-subj", f"/O=polywire/CN={name}", "-keyout", key, "-out", request)
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self._key, "-CAcreateserial"),
            *("-days", days, "-extfile", extensions, "-out", cert),
        )
        return cert, key


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
