"""Who opens a socket: its token, by header or in `hello`, and the principal whose it is."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from polywire.errors import Code, Internal, RpcError, Unavailable
from polywire.http.websocket import INTERNAL_ERROR
from polywire.protocols.websocket.messages import HELLO_TIMEOUT, TOO_MANY, UNAUTHENTICATED
from polywire.runtime.metadata import Metadata

if TYPE_CHECKING:
    from polywire.protocols.websocket.server import WebSocketServer
    from polywire.protocols.websocket.session import Session

logger = logging.getLogger("polywire")


def bearer_token(metadata: Metadata) -> str | None:
    """Of `authorization: Bearer …` (RFC 6750 §2.1); None where there is none."""
    scheme, _, token = (metadata.get("authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


class Authentication:
    """Of one socket, until its client is known. Nothing else is taken of it before."""

    def __init__(self, session: Session, server: WebSocketServer) -> None:
        assert server.options.authenticate is not None
        self._session = session
        self._server = server
        self._authenticate = server.options.authenticate
        self._timeout_s = server.options.first_message_s
        self._task: asyncio.Task[None] | None = None

    def await_hello(self) -> None:
        self._session.await_first(self._timeout_s, HELLO_TIMEOUT, "no hello came in time")

    def ask(self, token: str | None) -> None:
        """Have the app say whose token it is; meanwhile nothing is read."""
        self._session.first_came()
        self._session.hold()
        self._task = asyncio.get_running_loop().create_task(self._ask(token))

    async def _ask(self, token: str | None) -> None:
        session = self._session
        try:
            async with asyncio.timeout(self._timeout_s):
                principal = await self._authenticate(token, session.exchange.peer)
            if session.ws.is_open:
                self._server.count(session, principal)
                session.known(principal)
        except RpcError as error:
            self.refuse(error)
        except TimeoutError:
            self.refuse(Unavailable("authentication took too long"))
        except Exception:
            request_id = session.exchange.request_id
            extra = {"request_id": request_id}
            logger.exception("the authentication of a WebSocket failed (request %s)", request_id, extra=extra)
            self.refuse(Internal("internal error"))

    def refuse(self, error: RpcError) -> None:
        """Close the socket of one who is not let in."""
        if error.code == Code.RESOURCE_EXHAUSTED:
            self._session.refuse(error, TOO_MANY, "too many WebSockets")
        elif error.code in (Code.UNAUTHENTICATED, Code.PERMISSION_DENIED):
            self._session.refuse(error, UNAUTHENTICATED, "unauthenticated")
        else:
            self._session.refuse(error, INTERNAL_ERROR, "authentication failed")

    def stop(self) -> None:
        """The socket is closed."""
        if self._task is not None:
            self._task.cancel()
