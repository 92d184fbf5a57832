from cpython.object cimport PyObject

# What is touched once for each of thousands is not in the processor's caches any more. Asked for some steps ahead, many
# lines come at the same time; one after the other, each costs as much as all the work on it.

cdef extern from *:
    """
    #if defined(__GNUC__) || defined(__clang__)
    #define PW_FETCH(p) __builtin_prefetch(p)
    #else
    #define PW_FETCH(p) ((void)(p))
    #endif
    /* The lines of an object that is about to be used. */
    static inline void pw_fetch(PyObject *object) {
        const char *p = (const char *)object;
        PW_FETCH(p);
        PW_FETCH(p + 64);
        PW_FETCH(p + 128);
    }
    """
    void fetch "pw_fetch"(PyObject*) noexcept


cdef class Link:
    """One of the objects that lead from a subscriber to its connection."""

    # The one that is used after this one, borrowed; NULL: there is none.
    cdef PyObject* next_link(self) noexcept


# Ask for what is used of some of a list, from each one on along its links; those that are no `Link` are passed over.
cdef void fetch_ahead(list some, Py_ssize_t at, Py_ssize_t end) noexcept
