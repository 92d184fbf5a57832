"""What every message of a user's own WebSocket goes through, on its way to the handler and from it."""


cdef object NOTHING = iter(())


cdef class Sent:
    """Awaits nothing."""

    def __await__(self):
        return NOTHING


cdef Sent SENT = Sent()


cdef class RawSocket:
    """The base of `protocols.raw_sockets.WebSocket`."""

    cdef public object _session
    cdef object ws, mailbox

    def _begin(self, session, ws, mailbox):
        self._session = session
        self.ws = ws
        self.mailbox = mailbox

    def __aiter__(self):
        return self

    def __anext__(self):
        return self.mailbox

    def send(self, message):
        """Queue a message at once, as text or as bytes; awaited, it waits while the peer takes less than is sent.

        Who never awaits it is not held up, and the queue grows. Awaited, it raises SocketClosed where the socket is
        closed. Raises TypeError for what is neither text nor bytes. Cancelled, the message goes out all the same.
        """
        if self.ws.send(message):
            return SENT
        return self._session.drained()
