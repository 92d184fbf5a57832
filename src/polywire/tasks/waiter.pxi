# Part of eager.pyx: what a task awaits for news, and is stepped from in place.

cdef enum:
    IDLE
    WAITING
    WOKEN
    CANCELLED


cdef class Waiter:
    """Awaited by one task at a time, any number of times; `await` returns once `wake` has been called.

    `wake` while nobody waits does nothing: whoever waits looks first at what it waits for. Cancelled, it can be awaited
    again.

    A future would wake its task by way of the loop, at the cost of a turn, a handle and the task's own step. Here the
    coroutine of a call goes on within the callback that brings the news, before the driver writes, so that what it
    answers goes out with that same write. Where another task is running (a test feeds bytes, say), or where the task
    that waits is not one of `EagerRunner`'s, it is woken as by a future.
    """

    cdef public unsigned char _asyncio_future_blocking
    cdef object loop, callback, context, message
    cdef Carrier carrier
    cdef unsigned char state

    def __cinit__(self, loop):
        self.loop = loop

    # For the one that waits.

    def __await__(self):
        if self.state != IDLE:
            # Woken or cancelled, but not yet aware of it, it still waits.
            raise RuntimeError("another task is waiting for the same already")
        self.carrier = None
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.state == WOKEN:
            self.state = IDLE
            raise StopIteration
        self.state = WAITING
        self._asyncio_future_blocking = True
        return self

    cpdef close(self):
        self.callback = self.context = self.carrier = None
        self.state = IDLE

    def throw(self, kind, value=None, traceback=None):
        self.close()
        raise kind if isinstance(kind, BaseException) else (kind() if value is None else value)

    # For the one that has news.

    cpdef int wake(self) except -1:
        """Resume the task that waits."""
        if self.state != WAITING:
            return 0
        self.state = WOKEN
        if self.callback is None:
            # The first step of the task is still under way, or just over; `add_done_callback` comes.
            return 0
        if self.carrier is None or current_task(self.loop) is not None:
            return self.wake_later()
        self._asyncio_future_blocking = False
        return self.carrier.resume(self)

    cdef int wake_later(self) except -1:
        """Have the loop step the task. No more is kept of it: contexts lead to calls, and these to this waiter."""
        cdef object callback = self.callback
        cdef object context = self.context
        self.callback = self.context = self.carrier = None
        self.loop.call_soon(callback, self, context=context)
        return 0

    # For the task.

    def add_done_callback(self, callback, *, context=None):
        if self.state == WAITING:
            self.callback = callback
            self.context = context
        else:
            self.loop.call_soon(callback, self, context=context)

    def remove_done_callback(self, callback):
        if self.callback is None:
            return 0
        self.callback = None
        return 1

    cpdef cancel(self, msg=None):
        if self.state != WAITING:
            return False
        self.state = CANCELLED
        self.message = msg
        if self.callback is not None:
            self.wake_later()
        return True

    def get_loop(self):
        return self.loop

    def done(self):
        return self.state != WAITING

    def cancelled(self):
        return self.state == CANCELLED

    def result(self):
        if self.state == CANCELLED:
            raise CancelledError() if self.message is None else CancelledError(self.message)

    def exception(self):
        return None


PENDING = object()
"""What `Feed.pull` returns where nothing is there yet."""
cdef object pending = PENDING


cdef class Awaited:
    """What is awaited again and again for the next of something, and waits where there is none: no coroutine is made.

    For `__anext__` of iterators over what arrives. One task at a time.
    """

    cdef Waiter waiter
    cdef unsigned char waiting

    cdef object take(self):
        """The next one; PENDING where none is there yet. Raises StopAsyncIteration, or what is to be raised."""
        raise NotImplementedError

    cdef Waiter news(self):
        """What is woken where `take` may have something; asked for once, before the first wait."""
        raise NotImplementedError

    def __await__(self):
        # Asked for again at every step by `anext(items, default)`.
        return self

    def __iter__(self):
        return self

    cdef object advance(self):
        """What `take` has, or the waiter with `waiting` set."""
        cdef object item
        if self.waiting:
            if self.waiter.state == WAITING:
                raise RuntimeError("another task is waiting for the next item already")
            self.waiting = False
            self.waiter.state = IDLE
        item = self.take()
        if item is not pending:
            return item
        if self.waiter is None:
            self.waiter = self.news()
        self.waiter.__await__()
        self.waiter.state = WAITING
        self.waiter._asyncio_future_blocking = True
        self.waiting = True
        return self.waiter

    def __next__(self):
        cdef object item = self.advance()
        if self.waiting:
            return item
        raise StopIteration(item)

    def send(self, value):
        return self.__next__()

    def close(self):
        if self.waiting:
            self.waiting = False
            self.waiter.close()

    def throw(self, kind, value=None, traceback=None):
        self.close()
        raise kind if isinstance(kind, BaseException) else (kind() if value is None else value)


cdef PySendResult send_awaited(object awaited, object value, PyObject** result) except PYGEN_ERROR:
    """`am_send`: an item is handed over as it is, without the exception that an iterator would end with."""
    cdef object item = (<Awaited>awaited).advance()
    Py_INCREF(item)
    result[0] = <PyObject*>item
    return PYGEN_NEXT if (<Awaited>awaited).waiting else PYGEN_RETURN


@cython.final
cdef class Feed(Awaited):
    """Gives what pull() returns each time, and waits where that is PENDING.

    pull: without arguments; what it raises is raised.
    news: gives the `Waiter` that is woken where `pull` may have something; asked for once, before the first wait.
    """

    cdef object pull, ask

    def __cinit__(self, pull, news):
        self.pull = pull
        self.ask = news

    cdef object take(self):
        return self.pull()

    cdef Waiter news(self):
        return self.ask()


set_am_send(Feed, send_awaited)


@cython.final
cdef class Mailbox(Awaited):
    """Gives the messages that have come, in order; StopAsyncIteration after the last one.

    most, most_bytes: of messages that wait, after which whoever brings them is paused.
    source: its `go_on()` is called where none is left and somebody was paused: it lets them go on, which may bring some.
    """

    cdef object source
    # Somebody is paused until there is room.
    cdef public bint holds
    # No message comes any more.
    cdef readonly bint is_over
    cdef list items
    cdef Py_ssize_t at
    cdef unsigned int most, most_bytes

    def __cinit__(self, Py_ssize_t most, Py_ssize_t most_bytes, source):
        self.most = most
        self.most_bytes = most_bytes
        self.source = source

    def __len__(self):
        return self.count()

    cdef Py_ssize_t count(self):
        return 0 if self.items is None else len(self.items) - self.at

    def receive(self, source, list messages not None):
        """Take messages, and the list itself, and wake who waits. source: what they came on, a `http.WebSocket`."""
        cdef Py_ssize_t left
        if messages:
            self.items = messages if self.items is None else self.items[self.at:] + messages
            self.at = 0
            self.wake()
        left = self.count()
        if left >= self.most or (left and self.size() >= self.most_bytes):
            self.holds = True
            source.pause()
        elif source.is_blocked:
            source.pause_until_drained()

    cdef Py_ssize_t size(self) except -1:
        cdef Py_ssize_t total = 0
        for place in range(self.at, len(self.items)):
            total += len(self.items[place])
        return total

    def end(self):
        """No more comes than what is here."""
        self.is_over = True
        self.wake()

    def clear(self):
        """Forget what is here, and who brought it."""
        self.items = None
        self.source = None

    cdef int wake(self) except -1:
        return 0 if self.waiter is None else self.waiter.wake()

    cdef object take(self):
        cdef object item
        if self.items is None and self.holds and not self.is_over and self.source is not None:
            self.holds = False
            self.source.go_on()
        if self.items is None:
            if self.is_over:
                raise StopAsyncIteration
            return pending
        item = self.items[self.at]
        self.items[self.at] = None
        self.at += 1
        if self.at == len(self.items):
            self.items = None
        return item

    cdef Waiter news(self):
        return Waiter.__new__(Waiter, get_running_loop())


set_am_send(Mailbox, send_awaited)
