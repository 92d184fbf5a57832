"""Items that many streams send alike, and where they go straight out: what a fan-out does once for each of its readers."""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject

# Of one batch: the ids that clients give their calls differ, and they choose them.
cdef Py_ssize_t MOST_ENCODINGS = 16
cdef Py_ssize_t UNBOUNDED = 1 << 60


cdef class SharedBatch:
    """Items that go out together, each a `Shared` and its position or None, and the bytes that have been made of them."""

    def __init__(self, list items not None):
        self.items = items
        self.count = len(items)
        self.last_id = items[self.count - 1][1]
        self.encodings = {}

    cdef bytes encoded(self, object key, object encode):
        """What encode(batch) makes, of the first call with that key. Raises what it raises, and tries again."""
        cdef bytes made
        cdef PyObject* found = PyDict_GetItem(self.encodings, key)
        if found != NULL:
            made = <bytes>found
        else:
            made = encode(self)
            if len(self.encodings) < MOST_ENCODINGS:
                self.encodings[key] = made
        self.last_key = key
        self.last_made = made
        return made


cdef class SharedOutlet(Link):
    """One reader of batches.

    encode: makes the bytes of a batch, the same for all with that `key`, best one object of all of them; None as key:
        there is no such way.
    write: takes the bytes; False: above the high-water mark.
    credit: items that may be sent yet; beyond it they are sent one by one, as ever.
    is_over: nothing may be sent any more.
    moved: items that have gone this way.
    """

    def send(self, SharedBatch batch not None):
        """Send all of a batch; False: await `drained` before more. None: it could not be sent, and nothing was."""
        return self.hand_over(batch)

    cdef object hand_over(self, SharedBatch batch):
        cdef bytes data
        if self.key is None or self.is_over or self.credit < batch.count:
            return None
        # Looked up by identity first, and without a touch of `encode`, which is each reader's own.
        data = batch.last_made if self.key is batch.last_key else batch.encoded(self.key, self.encode)
        self.credit -= batch.count
        self.moved += batch.count
        return self.put(data) and self.credit > 0

    cdef bint put(self, bytes data) except -1:
        return self.write(data)


cdef class ExchangeOutlet(SharedOutlet):
    """A reader whose batches are parts of an answer's body, of which it takes any number."""

    def __init__(self, exchange, encode):
        self.exchange = exchange
        self.sink = exchange.sink
        self.encode = encode
        self.credit = UNBOUNDED

    cdef bint put(self, bytes data) except -1:
        """What `Exchange.write` does: once for each reader its call would show."""
        cdef object exchange = self.exchange
        self.credit = UNBOUNDED
        if exchange._gone:
            return False
        exchange.sent_body_bytes += len(data)
        if self.sink.send_data(data):
            return True
        exchange._blocked = True
        self.sink.receiver = exchange
        return False
