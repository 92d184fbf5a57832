# cython: boundscheck=False, wraparound=False
"""What a fan-out does once for each subscriber: who has not been told yet, and straight out where that can be."""

import logging

from polywire.runtime._outlet cimport SharedBatch, SharedOutlet
from polywire.wire.ahead cimport fetch

logger = logging.getLogger("polywire")

# From a listener to the transport of its connection.
cdef int STEPS = 6


cdef class Listener:
    """One subscriber, and how far it has been told."""

    # None once it has closed.
    cdef object deliver
    # Whose method that is, where it is a stream.
    cdef Delivery stream
    cdef long long order

    def __init__(self, deliver, long long order):
        self.order = order
        stream = getattr(deliver, "__self__", None)
        if isinstance(stream, Delivery) and deliver == stream.deliver:
            self.stream = stream
        else:
            self.deliver = deliver

    cdef void fetch_ahead(self, int steps) noexcept:
        if steps == 0:
            fetch(self.stream)
        elif self.stream is not None:
            self.stream.fetch_ahead(steps - 1)

    def close(self):
        """Deliver nothing more; whether it was open."""
        cdef bint was_open = self.deliver is not None or self.stream is not None
        self.deliver = self.stream = None
        return was_open

    def take(self, batch not None):
        """Deliver what of the batch is new to this one."""
        self.tell(batch, batch[0].order, batch[len(batch) - 1].order)

    cdef int tell(self, tuple batch, long long oldest, long long newest) except -1:
        cdef long long order = self.order
        if newest <= order:
            return 0
        self.order = newest
        if oldest <= order:
            # It came in between, and the first ones were in its backlog.
            batch = tuple([one for one in batch if one.order > order])
        return self.hand_over(batch)

    cdef int hand_over(self, tuple batch) except -1:
        if self.stream is not None:
            self.stream.take(batch)
        elif self.deliver is not None:
            self.deliver(batch)
        return 0


cdef class PatternListener(Listener):
    """One subscriber of many topics: it has no place in any of them."""

    cdef int tell(self, tuple batch, long long oldest, long long newest) except -1:
        return self.hand_over(batch)


cdef class Delivery:
    """The base of `TopicStream`: a batch goes straight out while nothing waits, else `_deliver_each` sees to it."""

    # While events may go straight out.
    cdef public object _emit
    # The way out for whole batches, where the call has one.
    cdef public SharedOutlet _outlet
    cdef public object _call, _conversion
    # The position of the last one that was taken.
    cdef public str _last

    cdef void fetch_ahead(self, int steps) noexcept:
        if steps == 0:
            fetch(self._outlet)
        elif self._outlet is not None:
            self._outlet.fetch_ahead(steps - 1)

    def deliver(self, batch):
        """Called by the broker."""
        self.take(batch)

    cdef int take(self, object batch) except -1:
        cdef object conversion = self._conversion
        cdef SharedBatch shared
        cdef object more
        if conversion.batch is batch:
            shared = conversion.shared
        else:
            shared = conversion.convert(batch)
        if self._emit is not None and self._outlet is not None:
            try:
                more = self._outlet.hand_over(shared)
            except Exception:
                # Whose fault it is shows item by item.
                more = None
            if more is not None:
                self._last = shared.last_id or ""
                if not more:
                    self._emit = None
                    self._wake()
                return 0
        self._deliver_each(shared.items)
        return 0


def tell(list receivers not None, Py_ssize_t at, Py_ssize_t most, tuple batch not None):
    """Tell `most` receivers of a batch, from the one at `at` on; the place of the next one. Failures are logged."""
    cdef Py_ssize_t end = min(at + most, len(receivers)), place
    cdef int step
    cdef long long oldest = 0, newest = 0
    for place in range(at, end):
        fetch(receivers[place])
    for step in range(STEPS):
        for place in range(at, end):
            if isinstance(receivers[place], Listener):
                (<Listener>receivers[place]).fetch_ahead(step)
    if batch:
        oldest, newest = batch[0].order, batch[len(batch) - 1].order
    for place in range(at, end):
        try:
            if isinstance(receivers[place], Listener):
                (<Listener>receivers[place]).tell(batch, oldest, newest)
            else:
                receivers[place].take(batch)
        except Exception:
            logger.exception("a subscriber failed")
    return end
