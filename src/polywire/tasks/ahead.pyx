# cython: boundscheck=False, wraparound=False
"""Asking for memory before it is used: see `ahead.pxd`."""

from cpython.list cimport PyList_GET_ITEM
from cpython.object cimport PyObject

cdef enum:
    MOST = 32


cdef class Link:
    cdef PyObject* next_link(self) noexcept:
        return NULL


cdef void fetch_ahead(list some, Py_ssize_t at, Py_ssize_t end) noexcept:
    cdef PyObject* reached[MOST]
    cdef PyObject* one
    cdef Py_ssize_t count = min(end - at, MOST), place, left = 0
    for place in range(count):
        reached[place] = <PyObject*>PyList_GET_ITEM(some, at + place)
        fetch(reached[place])
    for place in range(count):
        if isinstance(<object>reached[place], Link):
            reached[left] = reached[place]
            left += 1
    while left:
        count = left
        left = 0
        for place in range(count):
            one = (<Link>reached[place]).next_link()
            if one != NULL and one != <PyObject*>None:
                fetch(one)
                reached[left] = one
                left += 1
