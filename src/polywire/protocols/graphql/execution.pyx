# cython: boundscheck=False, wraparound=False
"""Runs what a plan resolves: level by level, each field a call of the runtime.

A field that several objects have at one place of the query is asked for at once for all of them where its resolver
takes a list. What suspends runs side by side; a mutation's fields run one after the other (GraphQL §6.2.2).
"""

from polywire.errors import Cancelled, Code, DeadlineExceeded
from polywire.protocols.graphql.leaves import WrongValue
from polywire.runtime.call import Call

cdef object OK = Code.OK
cdef object CANCELLED = Code.CANCELLED


class Slow(Exception):
    """Something is null or wrong where it may not be: `complete` knows where."""


cdef class Failed:
    """What a call gave that gave no value."""

    cdef readonly object error

    def __init__(self, error):
        self.error = error


cdef class Results:
    """Of one field, for the objects at one place of the query.

    The answer is made after others have run, who may have changed a list that a method gave: a result goes to the
    object that it was made for, or to none.
    """

    cdef list objects
    cdef list values
    cdef Place beneath
    # How many of its calls have not ended.
    cdef Py_ssize_t left
    cdef Py_ssize_t place
    cdef dict by_id

    def __init__(self, list objects, list values):
        self.objects = objects
        self.values = values
        self.left = len(values)

    def take(self, one):
        """The next result, which must be of `one`. Raises Slow."""
        cdef Py_ssize_t place = self.place
        if place == len(self.objects) or self.objects[place] is not one:
            raise Slow
        self.place = place + 1
        return self.values[place]

    def find(self, one):
        """The result of `one`, wherever it stands. Raises WrongValue."""
        if self.by_id is None:
            # The objects are kept, so that no other has the id of one.
            self.by_id = {id(each): value for each, value in zip(self.objects, self.values, strict=True)}
        if id(one) not in self.by_id:
            raise WrongValue("an object has come into a list while its fields were resolved")
        return self.by_id[id(one)]


cdef Results NOTHING = Results([], [])
# Of a field that no object has asked for.


cdef class Place:
    """Where a query has values beneath which calls are to be made: an `Output`, as far as this room needs it."""

    cdef bint is_list
    # Of each class that a value may have.
    cdef list levels

    def __init__(self, output):
        self.is_list = output.is_list
        self.levels = [(cls, Level(node)) for cls, node in output.resolving]


cdef class Step:
    """A field that a method answers for: a `Resolved`."""

    cdef Py_ssize_t slot
    cdef object binding, make_input, selection
    cdef bint batched, stops
    # None where no calls are to be made beneath it.
    cdef Place beneath

    def __init__(self, entry):
        self.slot = entry.slot
        self.binding = entry.binding
        self.make_input = entry.make_input
        self.selection = entry.selection
        self.batched = entry.batched
        # With the caller.
        self.stops = not entry.binding.finish_on_disconnect
        self.beneath = Place(entry.output) if entry.output.resolving else None


cdef class Level:
    """A set of fields on one type, a `Node`: those that take calls, and those beneath which some do."""

    cdef list steps
    cdef list nested

    def __init__(self, node):
        self.steps = [Step(entry) for entry in node.resolved]
        self.nested = [(entry.attribute, Place(entry.output)) for entry in node.nested]


cdef class Execution:
    """One run of a plan.

    then: called once with this, when everything has been resolved; `results` has what came of it.
    """

    cdef readonly list results
    # Of the operation: an error's where all fields of the root failed.
    cdef public object code
    # What the fields' calls want sent beside the answer, as it stands on the wire.
    cdef readonly tuple metadata
    cdef object runtime, carrier, timeout_s, then
    cdef dict variables
    # Values beneath which calls are to be made. They are not made where a value comes, which may be deep within the
    # end of another call.
    cdef list ready
    cdef set open
    # Fields of a mutation that wait for those before them, the next one last.
    cdef list serial
    # Calls that have not ended.
    cdef Py_ssize_t pending
    # More calls are being made further up.
    cdef bint goes_on
    cdef bint cancelled
    # Some call has suspended.
    cdef bint waited

    def __init__(self, runtime, carrier, dict variables, Py_ssize_t slots, timeout_s, then):
        self.results = [NOTHING] * slots
        self.code = OK
        self.metadata = ()
        self.runtime = runtime
        self.carrier = carrier
        self.variables = variables
        self.timeout_s = timeout_s
        self.then = then
        self.ready = []
        self.goes_on = True

    def cancel(self, code=CANCELLED):
        """Stop what runs, and begin nothing more."""
        self.cancelled = True
        if self.open:
            for call in list(self.open):
                call.cancel(code)

    def run(self, Level root, bint serially=False):
        """Resolve everything beneath the root."""
        if serially:
            self.serial = root.steps[::-1]
        else:
            self.resolve(root, [None])
        self.go_on()

    def run_beneath(self, Level root, value):
        """Resolve what is beneath the one field of the root, whose value is here: an item of a subscription."""
        cdef Step step = root.steps[0]
        self.results[step.slot] = Results([None], [value])
        if step.beneath is not None:
            self.descend(step.beneath, [value])
        self.go_on()

    cdef int go_on(self) except -1:
        """Make the calls that can be made, and answer once there are none."""
        cdef Py_ssize_t place
        self.goes_on = True
        while True:
            place = 0
            while place < len(self.ready):
                # Grows meanwhile, by the calls that end at once.
                beneath, values = self.ready[place]
                self.descend(beneath, values)
                place += 1
            self.ready.clear()
            if self.pending:
                self.goes_on = False
                return 0
            if not self.serial:
                self.then(self)
                return 0
            self.begin(self.serial.pop(), [None])

    cdef int resolve(self, Level level, list objects) except -1:
        cdef Step step
        if objects:
            for step in level.steps:
                self.begin(step, objects)
            for attribute, beneath in level.nested:
                self.descend(beneath, [getattr(one, attribute, None) for one in objects])
        return 0

    cdef int descend(self, Place place, list values) except -1:
        if place.is_list:
            values = [one for value in values if type(value) is list for one in <list>value]
        for cls, level in place.levels:
            self.resolve(level, [one for one in values if type(one) is cls or isinstance(one, cls)])
        return 0

    cdef int begin(self, Step step, list objects) except -1:
        cdef Results results
        cdef Py_ssize_t place
        if step.batched:
            self.call(step, objects, (step, objects), self.batch_done)
            return 0
        results = Results(objects, [None] * len(objects))
        results.beneath = step.beneath
        self.results[step.slot] = results
        for place in range(len(objects)):
            self.call(step, objects[place], (results, place), self.one_done)
        return 0

    cdef int call(self, Step step, object parent, tuple state, object done) except -1:
        call = Call(step.binding, self.carrier)
        call.parent = parent
        call.state = state
        if step.selection is not None:
            call.selection = step.selection.with_variables(self.variables) if self.variables else step.selection
        if self.timeout_s is not None:
            call.limit_time(self.timeout_s)
        self.pending += 1
        try:
            if self.waited:
                if self.cancelled:
                    raise Cancelled("the caller has left")
                if call.remaining_s() == 0:
                    raise DeadlineExceeded("the deadline has passed")
            call.input = step.make_input(self.variables)
        except Exception as error:
            self.runtime.reject(call, error, done)
            return 0
        self.runtime.dispatch(call, done)
        if not call.answered:
            self.waited = True
            if step.stops:
                if self.open is None:
                    self.open = set()
                self.open.add(call)
        return 0

    cdef int note(self, object call) except -1:
        """What is known of a call that has ended, besides its value."""
        if self.open is not None:
            self.open.discard(call)
        given = call._response_metadata
        if given is not None:
            self.metadata += given.wire_items()
        return 0

    cpdef one_done(self, call, value, error):
        cdef Results results
        cdef Py_ssize_t place
        results, place = call.state
        self.note(call)
        results.values[place] = value if error is None else Failed(error)
        results.left -= 1
        if results.beneath is not None and not results.left:
            self.ready.append((results.beneath, results.values))
        self.pending -= 1
        if not self.goes_on:
            self.go_on()

    cpdef batch_done(self, call, value, error):
        cdef Step step
        cdef list objects
        cdef list values
        step, objects = call.state
        if error is None and (type(value) is not list or len(value) != len(objects)):
            what = f"{len(value)} elements" if type(value) is list else type(value).__name__
            # The runtime tells it as INTERNAL, and calls this again with that.
            raise TypeError(f"{call.method.full_name} gave {what} for {len(objects)} objects")
        self.note(call)
        values = [*value] if error is None else [Failed(error)] * len(objects)
        self.results[step.slot] = Results(objects, values)
        if step.beneath is not None:
            self.ready.append((step.beneath, values))
        self.pending -= 1
        if not self.goes_on:
            self.go_on()
