# cython: boundscheck=False, wraparound=False, binding=False
"""Protobuf straight between Structs and bytes, driven by the schema's tables: one codec for each message type.

https://protobuf.dev/programming-guides/encoding; where that leaves a choice, as upb (Google's runtime) does:
`tests/codec/test_protobuf_oracle.py` holds the two together. Enums are closed: an unknown number is refused.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t

from polywire.codec._buffer cimport Writer, writer_free, writer_init
from polywire.codec._protobuf_read cimport Reader, read_message
from polywire.codec._protobuf_write cimport write_field, write_message
from polywire.codec._tables cimport FieldTable, MessageTable, message_table, read_slot, wrong

from polywire.codec.results import WrongResult


cdef class ProtobufCodec:
    """The protobuf form of one message type. Its methods are the hot path: call them unwrapped."""

    cdef MessageTable table

    def __init__(self, message):
        self.table = message_table(message)

    cdef object run(self, object value, bint wrapped):
        cdef Writer w
        writer_init(&w)
        w.trail.count = 0
        try:
            if wrapped:
                write_field(&w, <FieldTable>self.table.fields[0], value, 0)
            else:
                write_message(&w, self.table, value, 0)
            return PyBytes_FromStringAndSize(<char*>w.base, w.pos - w.base)
        except UnicodeEncodeError:
            raise wrong(self.table, &w.trail, w.trail.count, "has a lone surrogate, which UTF-8 cannot carry") from None
        except ValueError as error:
            raise wrong(self.table, &w.trail, w.trail.count, str(error)) from None
        finally:
            writer_free(&w)

    def encode(self, value):
        return self.run(value, False)

    def encode_wrapped(self, value):
        return self.run(value, True)

    def encode_empty(self, value):
        if value is not None:
            raise WrongResult(f"{self.table.name}: expected None, got {type(value).__name__}")
        return b""

    def decode(self, bytes data not None):
        cdef Reader r
        r.start = <const uint8_t*>PyBytes_AS_STRING(data)
        r.shift = 0
        return read_message(&r, self.table, r.start, r.start + PyBytes_GET_SIZE(data), 0)

    def decode_wrapped(self, bytes data not None):
        return read_slot(self.table, self.decode(data), <FieldTable>self.table.fields[0])

    def decode_empty(self, bytes data not None):
        self.decode(data)
