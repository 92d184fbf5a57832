"""The TLS context of a server: 1.2 and later, forward secrecy, ALPN, client certificates; replaced while it serves."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import socket
import ssl
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from polywire.runtime.call import TlsIdentity
from polywire.server.settings import HTTP1, HTTP2, ServerSettings

logger = logging.getLogger("polywire.server")

ALPN = {HTTP2: "h2", HTTP1: "http/1.1"}

# RFC 9113 §9.2.2 and its appendix A: over TLS 1.2 only ephemeral key exchange with AEAD. TLS 1.3 suites are set apart.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!PSK:!SRP"
_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_UNREAD_BYTES = 65536


class TlsError(Exception):
    """The certificate or key cannot be used; the text says which and what to do."""


class _Successor:
    """What every handshake asks by whose certificates it goes on, and where it leaves the name it was asked for.

    The context that a listener has stays for good, because it holds the keys of the session tickets, which forked
    workers share; a handshake leaves it for the one that was read last.
    """

    __slots__ = ("context",)

    def __init__(self) -> None:
        self.context: ssl.SSLContext | None = None

    def __call__(self, tls: ssl.SSLObject, name: str | None, _first: ssl.SSLContext) -> None:
        if isinstance(tls, _Handshaker):
            tls.server_name = name
        if self.context is not None:
            tls.context = self.context


ALERTS: ContextVar[list[bytes] | None] = ContextVar("polywire_tls_alerts", default=None)
"""Where the task that makes a TLS connection finds the alert with which its handshake has failed."""


class _Handshaker(ssl.SSLObject):
    """Keeps the alert of a handshake that fails (RFC 8446 §6.2), which event loops drop, and the name asked for."""

    outgoing: ssl.MemoryBIO
    alerts: list[bytes] | None
    server_name: str | None = None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            if self.alerts is not None:
                self.alerts.append(self.outgoing.read())
            raise


class _Context(ssl.SSLContext):
    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any) -> ssl.SSLObject:
        tls = super().wrap_bio(incoming, outgoing, *args, **options)
        if isinstance(tls, _Handshaker):
            tls.outgoing, tls.alerts = outgoing, ALERTS.get()
        return tls


def last_words(connection: socket.socket, alerts: list[bytes]) -> None:
    """Send what ALERTS was given. connection: another descriptor of it, non-blocking, as the loop closes its own."""
    with contextlib.suppress(OSError):
        connection.send(b"".join(alerts))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(_UNREAD_BYTES)  # closing with unread bytes would send RST, which overtakes the alert


def server_context(settings: ServerSettings) -> ssl.SSLContext | None:
    """The context for `settings`, or None where no certificate is given. Raises TlsError.

    Sessions are resumed by tickets, under keys that are made with the context: workers must be forked after this. Not
    so where clients show certificates, which a resumed session would not look at again.
    SSLKEYLOGFILE in the environment is honoured, and said in the log.
    """
    context = _build(settings)
    if context is not None:
        if context.keylog_filename is not None:
            logger.warning(
                "SSLKEYLOGFILE is set: the secrets of every TLS connection are written to %s", context.keylog_filename
            )
        context.sni_callback = _Successor()
    return context


def reload_certificates(context: ssl.SSLContext | None, settings: ServerSettings) -> bool:
    """Read the files of `settings` again, for the handshakes to come of a context made by `server_context`.

    Everything is read and checked before anything is replaced: what is wrong is logged, and False returned. Open
    connections stay as they are.
    """
    if context is None:
        return False
    try:
        following = _build(settings)
    except TlsError as error:
        logger.error("the certificates are not replaced, the old ones stay in use: %s", error)
        return False
    successor: Any = context.sni_callback
    successor.context = following
    logger.info("the certificates of %s have been read again", settings.tls_cert)
    return True


def server_name_of(tls: ssl.SSLObject) -> str | None:
    """The name that a connection's peer has asked for (RFC 6066 §3); None for none."""
    return tls.server_name if isinstance(tls, _Handshaker) else None


def identity_of(tls: Any) -> TlsIdentity | None:
    """Who a connection's peer is by its certificate, which the handshake has verified; None where it showed none."""
    shown = tls.getpeercert()
    if not shown:
        return None
    encoded = tls.getpeercert(binary_form=True)
    names: dict[str, list[str]] = {}
    for kind, name in shown.get("subjectAltName", ()):
        names.setdefault(kind, []).append(name)
    common = [value for part in shown.get("subject", ()) for key, value in part if key == "commonName"]
    return TlsIdentity(
        common_name=common[-1] if common else None,
        dns=tuple(names.get("DNS", ())),
        uris=tuple(names.get("URI", ())),
        emails=tuple(names.get("email", ())),
        ips=tuple(names.get("IP Address", ())),
        serial=shown["serialNumber"],
        sha256=hashlib.sha256(encoded).hexdigest(),
        not_after=datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC),
    )


def _build(settings: ServerSettings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = _Context(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _Handshaker
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols([name for protocol, name in ALPN.items() if protocol in settings.protocols])
    for path in (settings.tls_cert, settings.tls_key):
        if path is not None:
            _check_readable(path)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, _no_password)
    except ssl.SSLError as error:
        raise TlsError(_explain(error, settings.tls_cert, settings.tls_key)) from error
    _ask_clients(context, settings)
    _log_secrets(context)
    return context


def _ask_clients(context: ssl.SSLContext, settings: ServerSettings) -> None:
    if settings.client_auth == "none" or settings.tls_client_ca is None:
        return
    _check_readable(settings.tls_client_ca)
    try:
        context.load_verify_locations(settings.tls_client_ca)
    except ssl.SSLError as error:
        raise TlsError(
            f"{settings.tls_client_ca} must hold certificates of authorities in PEM form (-----BEGIN CERTIFICATE-----)"
        ) from error
    context.verify_mode = _VERIFY[settings.client_auth]
    # 1.2 shows the client's certificate to everybody on the way, and resumes sessions whatever we ask of OpenSSL.
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0


def _log_secrets(context: ssl.SSLContext) -> None:
    path = os.environ.get("SSLKEYLOGFILE")
    if not path:
        return
    try:
        # Made here where it does not exist: OpenSSL would let everybody read it.
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        context.keylog_filename = path
    except OSError as error:
        raise TlsError(f"cannot write to {path}, which SSLKEYLOGFILE names: {error.strerror}") from error


def _check_readable(path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise TlsError(f"cannot read {path}: {error.strerror}") from error


def _no_password() -> str:
    """Without this OpenSSL would ask on the terminal."""
    raise TlsError("the TLS key is encrypted; decrypt it first: openssl pkey -in KEY -out PLAIN_KEY")


def _explain(error: ssl.SSLError, cert: str, key: str | None) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the private key {key or cert} does not belong to the certificate {cert}; give the pair made together"
    if key is None:
        return (
            f"{cert} must hold a certificate and its private key in PEM form (-----BEGIN …-----); "
            "where they are two files, give the key too: --tls-key"
        )
    return f"{cert} or {key} is not in PEM form (-----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY-----)"
