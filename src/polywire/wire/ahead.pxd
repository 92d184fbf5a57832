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
    void fetch "pw_fetch"(object) noexcept
