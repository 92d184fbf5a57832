"""The texts of the HTTP/1.1 engine: status lines, and the answers that it gives itself."""

from __future__ import annotations

from typing import Final

REASONS: Final = {
    100: "Continue",
    101: "Switching Protocols",
    102: "Processing",
    103: "Early Hints",
    200: "OK",
    201: "Created",
    202: "Accepted",
    203: "Non-Authoritative Information",
    204: "No Content",
    205: "Reset Content",
    206: "Partial Content",
    207: "Multi-Status",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    423: "Locked",
    424: "Failed Dependency",
    425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    499: "Client Closed Request",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
    511: "Network Authentication Required",
}
"""Reason phrases (RFC 9110 §15); a status without one gets an empty phrase, which is allowed (RFC 9112 §4)."""

STATUS_LINES: Final[list[bytes]] = [
    f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\n".encode() for status in range(600)
]
"""By status; the first hundred are never used."""

PROBLEMS: Final[tuple[tuple[int, str, str], ...]] = (
    (200, "OK", ""),
    (400, "INVALID_ARGUMENT", "the request line is not `method target HTTP-version`"),
    (400, "INVALID_ARGUMENT", "the method is not a token of at most 32 characters followed by one space"),
    (400, "INVALID_ARGUMENT", "the request target is not valid for this method"),
    (400, "INVALID_ARGUMENT", "the request line does not end with an HTTP version"),
    (400, "INVALID_ARGUMENT", "a line does not end with CRLF, or too many empty lines precede the request"),
    (400, "INVALID_ARGUMENT", "a field name is not a token followed by a colon"),
    (400, "INVALID_ARGUMENT", "a field value holds a control character"),
    (400, "INVALID_ARGUMENT", "folded field lines are not allowed"),
    (400, "INVALID_ARGUMENT", "the Host field is missing"),
    (400, "INVALID_ARGUMENT", "the Host field is repeated or not a host"),
    (400, "INVALID_ARGUMENT", "Content-Length is not one decimal number"),
    (400, "INVALID_ARGUMENT", "Content-Length and Transfer-Encoding exclude each other"),
    (400, "INVALID_ARGUMENT", "Transfer-Encoding is not `chunked`"),
    (400, "INVALID_ARGUMENT", "Transfer-Encoding does not exist in HTTP/1.0"),
    (400, "INVALID_ARGUMENT", "the chunked body is malformed"),
    (400, "INVALID_ARGUMENT", "the body ended early"),
    (408, "DEADLINE_EXCEEDED", "the request took too long to arrive"),
    (414, "RESOURCE_EXHAUSTED", "the request target is too long"),
    (417, "INVALID_ARGUMENT", "the only expectation known is 100-continue"),
    (431, "RESOURCE_EXHAUSTED", "the header fields are too many or too large"),
    (501, "UNIMPLEMENTED", "the only transfer coding known is chunked"),
    (501, "UNIMPLEMENTED", "CONNECT is not offered"),
    (505, "UNIMPLEMENTED", "only HTTP/1.0 and HTTP/1.1 are spoken in this form"),
)
"""(status, code, message) of each `Problem` of http1_grammar.pxd, in its order."""

FORBIDDEN_TRAILERS: Final = frozenset(
    {
        "authorization",
        "age",
        "cache-control",
        "connection",
        "cookie",
        "date",
        "expect",
        "expires",
        "forwarded",
        "host",
        "keep-alive",
        "location",
        "max-forwards",
        "origin",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "retry-after",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
        "www-authenticate",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    }
)
"""Fields that a recipient must not take from trailers (RFC 9110 §6.5.1), besides `content-*` and `if-*`."""


def error_body(code: str, message: str) -> bytes:
    """The error envelope of REST, for requests that reach no protocol; both texts are ours, with nothing to escape."""
    return f'{{"error":{{"code":"{code}","message":"{message}","details":[],"request_id":null}}}}'.encode()


def may_trail(name: str) -> bool:
    return name not in FORBIDDEN_TRAILERS and not name.startswith(("content-", "if-"))
