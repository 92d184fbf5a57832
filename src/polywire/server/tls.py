"""The TLS context of a server: 1.2 and later, forward secrecy, ALPN."""

from __future__ import annotations

import ssl

from polywire.server.settings import HTTP1, HTTP2, ServerSettings

ALPN = {HTTP2: "h2", HTTP1: "http/1.1"}

# RFC 9113 §9.2.2 and its appendix A: over TLS 1.2 only ephemeral key exchange with AEAD. TLS 1.3 suites are set apart.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!PSK:!SRP"


class TlsError(Exception):
    """The certificate or key cannot be used; the text says which and what to do."""


def server_context(settings: ServerSettings) -> ssl.SSLContext | None:
    """The context for `settings`, or None where no certificate is given. Raises TlsError."""
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
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
    return context


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
