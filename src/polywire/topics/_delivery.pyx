# cython: boundscheck=False, wraparound=False
"""What a fan-out does once for each subscriber: who has not been told yet, and straight out where that can be."""

import logging

from cpython.object cimport PyObject

from polywire.runtime._outlet cimport SharedBatch, SharedOutlet
from polywire.tasks.ahead cimport Link, fetch_ahead

logger = logging.getLogger("polywire")


cdef class Listener(Link):
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

    cdef PyObject* next_link(self) noexcept:
        return <PyObject*>self.stream

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


cdef class LastBatch:
    """The base of `Conversion`: its last result, which the subscribers of a topic ask for one after the other."""

    cdef object batch
    cdef SharedBatch shared

    cdef SharedBatch converted(self, object batch):
        if self.batch is not batch:
            self.shared = self.convert(batch)
            self.batch = batch
        return self.shared


cdef class Delivery(Link):
    """The base of `TopicStream`: a batch goes straight out while nothing waits, else `_deliver_each` sees to it."""

    # While events may go straight out.
    cdef public object _emit
    # The way out for whole batches, where the call has one.
    cdef public SharedOutlet _outlet
    cdef public object _call
    cdef public LastBatch _conversion
    # The position of the last one that was taken.
    cdef public str _last

    cdef PyObject* next_link(self) noexcept:
        return <PyObject*>self._outlet

    def deliver(self, batch):
        """Called by the broker."""
        self.take(batch)

    cdef int take(self, object batch) except -1:
        cdef SharedBatch shared = self._conversion.converted(batch)
        cdef object more
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
    cdef long long oldest = 0, newest = 0
    fetch_ahead(receivers, at, end)
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
