# cython: boundscheck=False, wraparound=False, binding=False
"""What a value must satisfy beyond its kind."""

import re


cdef class Bounds:
    def __cinit__(self, object constraints):
        self.ge = constraints.ge
        self.gt = constraints.gt
        self.le = constraints.le
        self.lt = constraints.lt
        self.multiple_of = constraints.multiple_of
        self.min_length = -1 if constraints.min_length is None else constraints.min_length
        self.max_length = -1 if constraints.max_length is None else constraints.max_length
        self.pattern = constraints.pattern
        self.search = None if constraints.pattern is None else re.compile(constraints.pattern).search

    cdef str broken(self, object value):
        """The reason the value is refused, or None."""
        cdef Py_ssize_t length
        if self.ge is not None and not value >= self.ge:
            return f"must be at least {self.ge}"
        if self.gt is not None and not value > self.gt:
            return f"must be greater than {self.gt}"
        if self.le is not None and not value <= self.le:
            return f"must be at most {self.le}"
        if self.lt is not None and not value < self.lt:
            return f"must be less than {self.lt}"
        if self.multiple_of is not None and not is_multiple(value, self.multiple_of):
            return f"must be a multiple of {self.multiple_of}"
        if self.min_length >= 0 or self.max_length >= 0:
            length = len(value)
            if length < self.min_length:
                return f"must have a length of at least {self.min_length}"
            if 0 <= self.max_length < length:
                return f"must have a length of at most {self.max_length}"
        if self.search is not None and self.search(value) is None:
            return f"must match the pattern {self.pattern}"
        return None


cdef bint is_multiple(object value, object step):
    if isinstance(value, float) or isinstance(step, float):
        # Binary fractions: 0.3 is a multiple of 0.1 to whoever wrote the bound.
        quotient = float(value) / float(step)
        if quotient - quotient != 0:  # infinite or NaN
            return False
        return abs(quotient - round(quotient)) <= 1e-9 * max(1.0, abs(quotient))
    return value % step == 0
