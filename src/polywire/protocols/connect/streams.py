"""Connect's streams: enveloped messages, then an envelope that says how it ended."""

from __future__ import annotations

from typing import Any

import msgspec

from polywire.errors import RpcError
from polywire.http.exchange import Exchange
from polywire.protocols.connect.errors import check_version, error_json, timeout_s
from polywire.protocols.rpc.endpoint import Answering, StreamEndpoint
from polywire.protocols.rpc.framing import frame
from polywire.runtime.call import Call
from polywire.runtime.metadata import error_pairs

_END = 0x02
_OK = frame(b"{}", _END)
_encode = msgspec.json.Encoder().encode


class ConnectStream(StreamEndpoint):
    """A method with a stream in one direction or both: both at once over HTTP/2, one after the other over HTTP/1.1."""

    timeout_field = "connect-timeout-ms"
    coding_field = "connect-content-encoding"
    accepted_field = "connect-accept-encoding"
    version_field = "connect-protocol-version"

    @staticmethod
    def read_timeout(text: str) -> float:
        return timeout_s(text)

    def check_version(self, version: str | None) -> None:
        check_version(version, self._runtime.app.connect.require_version, self.version_field)

    def _refused(self, call: Call, exchange: Exchange, error: RpcError) -> None:
        initial = () if call._response_metadata is None else call._response_metadata.wire_items()
        exchange.respond(200, self._block, self._last(call, error), initial)

    def _end(self, call: Call, answering: Answering, error: RpcError | None) -> None:
        answering.write(self._last(call, error))
        answering.exchange.finish()

    def _last(self, call: Call, error: RpcError | None) -> bytes:
        if error is None and call._trailers is None:
            return _OK
        told: dict[str, Any] = {}
        metadata: dict[str, list[str]] = {}
        if error is not None:
            told["error"] = error_json(error, self._service)
            for name, text in error_pairs(error.metadata):
                metadata.setdefault(name, []).append(text)
            metadata["x-request-id"] = [call.request_id]
        if call._trailers is not None:
            for key, value in call._trailers.wire_items():
                metadata.setdefault(key.decode(), []).append(value.decode())
        if metadata:
            told["metadata"] = metadata
        return frame(_encode(told), _END)
