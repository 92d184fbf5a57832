# cython: boundscheck=False, wraparound=False
"""What a fan-out does once for each subscriber: who has not been told yet, and straight out where that can be."""

from polywire.runtime._outlet cimport SharedBatch, SharedOutlet


cdef class Listener:
    """One subscriber, and how far it has been told."""

    # None once it has closed.
    cdef public object deliver
    cdef public long long order

    def __init__(self, deliver, long long order):
        self.deliver = deliver
        self.order = order

    def take(self, tuple batch not None):
        cdef object deliver = self.deliver
        cdef long long newest = batch[len(batch) - 1].order
        cdef long long order = self.order
        if deliver is None or newest <= order:
            return
        self.order = newest
        if batch[0].order <= order:
            # It came in between, and the first ones were in its backlog.
            batch = tuple([one for one in batch if one.order > order])
        deliver(batch)


cdef class PatternListener(Listener):
    """One subscriber of many topics: it has no place in any of them."""

    def take(self, tuple batch not None):
        if self.deliver is not None:
            self.deliver(batch)


cdef class Delivery:
    """The base of `TopicStream`: a batch goes straight out while nothing waits, else `_deliver_each` sees to it."""

    # While events may go straight out.
    cdef public object _emit
    # The way out for whole batches, where the call has one.
    cdef public SharedOutlet _outlet
    cdef public object _call, _conversion
    # The position of the last one that was taken.
    cdef public str _last

    def deliver(self, batch):
        """Called by the broker."""
        cdef object conversion = self._conversion
        cdef SharedBatch shared
        cdef object more
        if conversion.batch is batch:
            shared = conversion.shared
        else:
            shared = conversion.convert(batch)
        if self._emit is not None and self._outlet is not None:
            try:
                more = self._outlet.send(shared)
            except Exception:
                # Whose fault it is shows item by item.
                more = None
            if more is not None:
                self._last = shared.last_id or ""
                if not more:
                    self._emit = None
                    self._wake()
                return
        self._deliver_each(shared.items)
