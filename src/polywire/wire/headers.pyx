# cython: boundscheck=False, wraparound=False
"""Header fields, in and out: what both HTTP engines share."""

from binascii import a2b_base64

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint8_t
from libc.string cimport memcmp

cdef extern from *:
    """
    #define pw_length(o) ((size_t)PyUnicode_GET_LENGTH(o))
    #define pw_data(o) ((void*)PyUnicode_1BYTE_DATA(o))
    static int has_capital(PyObject *name) {
        if (!PyUnicode_Check(name) || !PyUnicode_IS_ASCII(name)) return 0;
        const char *p = (const char *)PyUnicode_1BYTE_DATA(name);
        for (Py_ssize_t i = 0, n = PyUnicode_GET_LENGTH(name); i < n; i++)
            if (p[i] >= 'A' && p[i] <= 'Z') return 1;
        return 0;
    }
    """
    size_t pw_length(PyObject*)
    void* pw_data(PyObject*)
    bint has_capital(PyObject*)

# Names repeat on every request: a direct-mapped cache from their bytes to one str with its hash computed.
# Bounded by its size; a name over 40 bytes is never cached.
cdef PyObject* NAMES[512]
cdef size_t LONGEST_CACHED = 40


cdef inline unsigned int slot(const uint8_t* name, size_t length) noexcept:
    cdef unsigned int h = <unsigned int>length
    if length < 4:
        for i in range(length):
            h = h * 31 + name[i]
    else:
        h = ((h * 31 + name[1]) * 31 + name[length - 1]) * 31 + name[length // 2] + name[length - 2] * 7
    return (h ^ (h >> 9)) & 511


cdef object intern_name(const uint8_t* name, size_t length):
    """The str for a name that is lower-case ASCII already."""
    cdef PyObject* cached
    cdef unsigned int place
    if length > LONGEST_CACHED:
        return PyUnicode_DecodeLatin1(<const char*>name, length, NULL)
    place = slot(name, length)
    cached = NAMES[place]
    if cached != NULL and pw_length(cached) == length and memcmp(pw_data(cached), name, length) == 0:
        return <object>cached
    text = PyUnicode_DecodeLatin1(<const char*>name, length, NULL)
    hash(text)
    Py_INCREF(text)
    NAMES[place] = <PyObject*>text
    Py_XDECREF(cached)
    return text


cdef object intern_lower(const uint8_t* name, size_t length):
    """The lower-case str for a name in any case."""
    cdef uint8_t low[40]
    cdef uint8_t c
    if length > LONGEST_CACHED:
        return PyUnicode_DecodeLatin1(<const char*>name, length, NULL).lower()
    for i in range(length):
        c = name[i]
        low[i] = c | 32 if 65 <= c <= 90 else c
    return intern_name(low, length)


cdef class Headers:
    """Received header fields: lower-case names, values as Latin-1 text, in order, none lost.

    Reading is by name in any case (`get`, `get_all`, `get_binary`, `in`) or by pair (`items`).
    """

    def __cinit__(self, pairs=()):
        self._values = {}
        for name, value in pairs:
            self.add(name.lower(), value)

    cdef int add(self, object name, object value) except -1:
        cdef PyObject* seen = PyDict_GetItem(self._values, name)
        if seen == NULL:
            self._values[name] = value
        elif type(<object>seen) is list:
            (<list>seen).append(value)
        else:
            self._values[name] = [<object>seen, value]
        return 0

    def drop(self, str name):
        """Forget a field, in lower case; nothing where there is none."""
        self._values.pop(name, None)

    def get(self, name, default=None):
        """The value; of a repeated field, its values joined by ", " (RFC 9110 §5.2), of `cookie` by "; "."""
        cdef PyObject* seen = self.find(name)
        if seen == NULL:
            return default
        if type(<object>seen) is list:
            return ("; " if name == "cookie" else ", ").join(<object>seen)
        return <object>seen

    cdef PyObject* find(self, object name) except? NULL:
        # Names come in lower case nearly always; one that is found nowhere may not have.
        cdef PyObject* seen = PyDict_GetItem(self._values, name)
        if seen == NULL and has_capital(<PyObject*>name):
            seen = PyDict_GetItem(self._values, name.lower())
        return seen

    def get_all(self, name):
        """Every value of the field, in order; [] where there is none."""
        cdef PyObject* seen = self.find(name)
        if seen == NULL:
            return []
        if type(<object>seen) is list:
            return list(<object>seen)
        return [<object>seen]

    def get_binary(self, name):
        """The values of a `-bin` field: split at commas, then decoded, padding or not (gRPC over HTTP/2, Requests).

        A value that is not base64 is left out.
        """
        values = []
        for line in self.get_all(name):
            for part in line.split(","):
                text = part.strip()
                try:
                    values.append(a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True))
                except ValueError:
                    continue
        return values

    def items(self):
        """(name, value) pairs, one for each value; repeated fields stand together."""
        pairs = []
        for name, value in self._values.items():
            if type(value) is list:
                pairs.extend([(name, one) for one in value])
            else:
                pairs.append((name, value))
        return pairs

    def names(self):
        return list(self._values)

    def __getitem__(self, name):
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name):
        return self.find(name) != NULL

    def __len__(self):
        return len(self._values)

    def __repr__(self):
        # Names only: values may be credentials.
        return f"Headers({list(self._values)!r})"


cdef bytes check_name(object name):
    cdef bytes raw = name.encode("ascii") if type(name) is str else bytes(name)
    if not raw or raw.lower() != raw or raw.strip(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"):
        raise ValueError(f"header name {name!r} is not a lower-case token (RFC 9110 §5.1)")
    return raw


cdef bytes check_value(object value):
    cdef bytes raw = value.encode("latin-1") if type(value) is str else bytes(value)
    cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(raw)
    cdef Py_ssize_t n = PyBytes_GET_SIZE(raw)
    for i in range(n):
        if (p[i] < 32 and p[i] != 9) or p[i] == 127:
            raise ValueError("header value holds a control character (RFC 9110 §5.5)")
    if n and (p[0] == 32 or p[0] == 9 or p[n - 1] == 32 or p[n - 1] == 9):
        return raw.strip(b" \t")
    return raw


cdef class HeaderBlock:
    """Header fields to send, checked and laid out once, sent many times.

    pairs: (name, value), str or bytes; names lower-case tokens, values without control characters.
    Raises ValueError for anything that would split or smuggle a message. Immutable.
    `h1_lines` is the fields as HTTP/1.1 lines, each ended by CRLF; `h2_block` is where the HTTP/2 engine keeps its own form.
    """

    def __cinit__(self, pairs=()):
        self.pairs = tuple([(check_name(name), check_value(value)) for name, value in pairs])
        self.h1_lines = b"".join([name + b": " + value + b"\r\n" for name, value in self.pairs])
        self.h2_block = None

    def __repr__(self):
        return f"HeaderBlock({self.pairs!r})"


cdef class CommonHeaders:
    """The fields that every response of a server carries (date, server); the server replaces `block` once a second."""

    def __cinit__(self, block=None):
        self.block = HeaderBlock() if block is None else block
