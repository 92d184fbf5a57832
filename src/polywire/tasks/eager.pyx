# cython: boundscheck=False, wraparound=False
"""Steps a coroutine at once and makes it a real asyncio task only if it suspends.

Most handlers never suspend, and creating and scheduling a task for each costs more than all the rest of a call.
The coroutine's first step runs inside a real `asyncio.Task` all the same, so that `current_task`, `timeout`,
`TaskGroup`, anyio and `cancel` mean what they always mean, and that very task goes on with it when it suspends.

* Python 3.12 and later: `asyncio.Task(eager_start=True)`.
* Python 3.11: a spare task. It exists already, parked on a `Park`; it is made the current task for the step, as
  `_enter_task` and `_leave_task` would. If the coroutine ends, the task stays parked for the next call; if it suspends, the task wakes in place and takes the coroutine over.

Either way the coroutine runs in a context of its own, copied afresh, in which `CURRENT_CALL` is set.

A coroutine that suspends again and again for news of one thing (a stream's next message, say) awaits a `Waiter`, and
is then stepped in place by whoever brings the news, without its task noticing: see there.
"""

import asyncio
import sys
from asyncio import CancelledError, get_running_loop
from asyncio import tasks as _tasks
from contextvars import ContextVar, copy_context

cimport cython
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

cdef extern from "Python.h":
    PyObject* PyContext_CopyCurrent() except NULL
    int PyContext_Enter(object) except -1
    int try_to_enter "PyContext_Enter"(object)
    int PyContext_Exit(object) except -1
    PyObject* PyContextVar_Set(object, object) except NULL
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object, object, PyObject**)
    void PyErr_Clear()

cdef extern from *:
    """
    static int pw_raise(void) { return -1; }
    static void pw_set_am_send(PyObject *type, PySendResult (*send)(PyObject *, PyObject *, PyObject **)) {
        ((PyTypeObject *)type)->tp_as_async->am_send = send;
    }
    """
    int pw_raise() except -1
    void set_am_send "pw_set_am_send"(object, PySendResult (*)(object, object, PyObject**) except PYGEN_ERROR)

CURRENT_CALL = ContextVar("polywire.current_call")

cdef object current_call_var = CURRENT_CALL
cdef bint NATIVE = sys.version_info >= (3, 12)
cdef object Task = asyncio.Task
# Python 3.11 only: asyncio's own record of which task runs in which loop, what _enter_task and _leave_task write to.
cdef dict CURRENT = {} if NATIVE else _tasks._current_tasks
cdef object register_task = _tasks._register_task
cdef object unregister_task = _tasks._unregister_task
cdef object current_task = _tasks.current_task
cdef object swap_current_task = getattr(_tasks, "_swap_current_task", None)
cdef Py_ssize_t MOST_SPARES = 64

cdef object ENDED = object()


cdef class Park:
    """What a spare task awaits: future enough for `asyncio.Task`, and woken in place instead of through the loop."""

    cdef public bint _asyncio_future_blocking
    cdef object loop, wakeup
    cdef bint cancelled

    def __cinit__(self, loop):
        self.loop = loop

    def get_loop(self):
        return self.loop

    def add_done_callback(self, callback, *, context=None):
        self.wakeup = callback

    def done(self):
        # Honest to anyio, which asks whether a task's waiter still waits before it cancels the task.
        return False

    def cancel(self, msg=None):
        # False: the task notes the cancellation and throws it into the coroutine when it takes over.
        self.cancelled = True
        return False

    def result(self):
        return None


cdef class Carrier:
    """The coroutine of a task: it carries a call's coroutine, which it may be given after its first step.

    It ends with None whatever the call's coroutine did (the outcome goes to `finish`), but for a cancellation.
    """

    cdef object coro, context, call, finish, yielded, task, failure, __weakref__
    cdef Park park
    cdef EagerRunner runner
    cdef unsigned char parked, eager, over

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.advance(None)

    def send(self, value):
        return self.advance(None)

    def throw(self, kind, value=None, traceback=None):
        exc = kind if isinstance(kind, BaseException) else (kind() if value is None else value)
        return self.advance(exc)

    def close(self):
        if self.coro is not None:
            self.coro.close()

    # What inspect.getcoroutinestate looks at, for anyio.
    @property
    def cr_running(self):
        return self.coro is not None and self.coro.cr_running

    @property
    def cr_suspended(self):
        return self.coro is None or self.coro.cr_suspended

    @property
    def cr_frame(self):
        return None if self.coro is None else self.coro.cr_frame

    @property
    def cr_await(self):
        return None if self.coro is None else self.coro.cr_await

    @property
    def cr_code(self):
        return None if self.coro is None else self.coro.cr_code

    @property
    def __name__(self):
        return "parked" if self.coro is None else self.coro.__name__

    @property
    def __qualname__(self):
        return "polywire.parked" if self.coro is None else self.coro.__qualname__

    cdef object advance(self, object exc):
        cdef object yielded, failure
        if self.over:
            # It ended while it was stepped in place; now its task ends too.
            failure = exc if self.failure is None else self.failure
            self.failure = None
            if failure is not None:
                raise failure
            raise StopIteration
        if self.coro is None:
            # A spare: park, or end where somebody cancelled it (the loop is shutting down).
            if exc is not None:
                self.runner.forget(self)
                raise exc
            if self.park is None:
                self.park = Park.__new__(Park, self.runner.loop)
            self.park._asyncio_future_blocking = True
            self.parked = True
            return self.park
        self.parked = False
        if self.yielded is not None:
            # Taking over: hand the loop what the first step was waiting for.
            yielded = self.yielded
            self.yielded = None
            if exc is None:
                return None if yielded is BARE else reblock(yielded)
            if is_cancelled_with(yielded, exc):
                return reblock(yielded)
        yielded = self.step(exc)
        if yielded is ENDED:
            raise StopIteration
        if type(yielded) is Waiter:
            (<Waiter>yielded).carrier = self
        return yielded

    cdef int resume(self, Waiter waiter) except -1:
        """Step the coroutine, which `waiter` held up, in place. Its task only notices if it waits for anything else.

        The task still waits for `waiter` meanwhile: that is true again where the coroutine comes back to it.
        """
        cdef object context = waiter.context
        if not NATIVE:
            return self.go_on(waiter, context)
        if try_to_enter(context) < 0:
            # Whoever brings the news runs in this very context.
            PyErr_Clear()
            return waiter.wake_later()
        try:
            return self.go_on(waiter, context)
        finally:
            PyContext_Exit(context)

    cdef int go_on(self, Waiter waiter, object context) except -1:
        cdef object yielded
        cdef object loop = self.runner.loop
        # Not left there: what runs now may let another task wait for the same.
        cdef object callback = waiter.callback
        waiter.callback = None
        if NATIVE:
            swap_current_task(loop, self.task)
        else:
            CURRENT[loop] = self.task
        try:
            yielded = self.step(None)
        except BaseException as error:
            self.failure = error
            yielded = ENDED
        finally:
            if NATIVE:
                swap_current_task(loop, None)
            else:
                del CURRENT[loop]
        if yielded is waiter:
            waiter.callback = callback
            waiter.context = context
            waiter.carrier = self
            if self.task._must_cancel:
                waiter.cancel(self.task._cancel_message)
            return 0
        if yielded is ENDED:
            self.over = True
        else:
            if type(yielded) is Waiter:
                (<Waiter>yielded).carrier = self
            self.yielded = BARE if yielded is None else unblock(yielded)
        if waiter.state == IDLE:
            waiter.close()
        callback(NEWS)
        return 0

    cdef object step(self, object exc):
        """One step of the coroutine in its context; ENDED after `finish` has been called."""
        cdef PyObject* result = NULL
        cdef PySendResult status
        cdef object value = None
        cdef object error = None
        # None: an eager task of Python 3.12 enters the context itself.
        cdef object context = self.context
        if context is not None:
            PyContext_Enter(context)
        try:
            if exc is None:
                status = PyIter_Send(self.coro, None, &result)
                if status == PYGEN_NEXT:
                    value = <object>result
                    Py_DECREF(value)
                    return value
                if status == PYGEN_RETURN:
                    value = <object>result
                    Py_DECREF(value)
                else:
                    pw_raise()
            else:
                return self.coro.throw(exc)
        except StopIteration as stop:
            value = stop.value
        except BaseException as e:
            error = e
        finally:
            if context is not None:
                PyContext_Exit(context)
        return self.end(value, error)

    cdef object end(self, object value, object error):
        cdef object call = self.call
        cdef object finish = self.finish
        self.coro = self.context = self.call = self.finish = None
        if self.eager:
            # Still inside the first step of an eager task: `start` tells the outcome, outside of the task.
            self.call = (value, error)
            return ENDED
        self.task = None
        finish(call, value, error)
        if error is not None and isinstance(error, (CancelledError, KeyboardInterrupt, SystemExit)):
            raise error
        return ENDED


cdef bint is_cancelled_with(object yielded, object exc) except -1:
    """Whether the cancellation of a task has become that of what it was about to wait for, as asyncio would do it."""
    return (
        isinstance(exc, CancelledError)
        and getattr(yielded, "_asyncio_future_blocking", None) is not None
        and bool(yielded.cancel(msg=exc.args[0] if exc.args else None))
    )


cdef object unblock(object future):
    # The flag says that an awaiter is handing the future to its task. That happens later here, and until then others
    # may await the same future.
    if getattr(future, "_asyncio_future_blocking", None):
        future._asyncio_future_blocking = False
    return future


cdef object reblock(object future):
    if getattr(future, "_asyncio_future_blocking", None) is not None:
        future._asyncio_future_blocking = True
    return future


cdef int set_current(object call, bint is_current) except -1:
    """In the context that is entered. Where nobody is current and nobody was, the context stays empty, and small."""
    cdef object before
    if not is_current:
        call = None
        before = current_call_var.get(None)
        if before is None:
            return 0
    cdef PyObject* token = PyContextVar_Set(current_call_var, call)
    Py_DECREF(<object>token)
    return 0


cdef class EagerRunner:
    """Starts the calls of one event loop."""

    cdef readonly object loop
    # Of the tasks themselves, in which nothing runs but the steps of their coroutines, each in its own.
    cdef object context
    cdef list spares

    def __cinit__(self, loop):
        self.loop = loop
        self.context = copy_context()
        self.spares = []

    cpdef object start(self, object coro, object call, object finish, bint is_current=True):
        """Step `coro` once; True if it suspended, False if it is over.

        is_current: `call` is what CURRENT_CALL gives in there; else that gives None.
        finish(call, value, exc) is called exactly once when it is over, never raising: before `start` returns where
        it did not suspend, else within the task's last step. While suspended, `call.task` is the task to cancel.
        May be called from a loop callback or from within another task.
        """
        cdef Carrier carrier
        cdef object context, outer
        cdef object value = None
        cdef object error = None
        cdef PyObject* pointer
        cdef PyObject* found
        cdef PySendResult status
        if NATIVE:
            return self.start_native(coro, call, finish, is_current)
        if self.spares:
            carrier = <Carrier>self.spares.pop()
        else:
            carrier = self.new_carrier()
        carrier.coro = coro
        pointer = PyContext_CopyCurrent()
        context = <object>pointer
        Py_DECREF(context)
        found = PyDict_GetItem(CURRENT, self.loop)
        outer = None if found == NULL else <object>found
        CURRENT[self.loop] = carrier.task
        PyContext_Enter(context)
        try:
            set_current(call, is_current)
            status = PyIter_Send(coro, None, &pointer)
            if status == PYGEN_ERROR:
                pw_raise()
            value = <object>pointer
            Py_DECREF(value)
        except BaseException as e:
            status = PYGEN_ERROR
            error = e
        finally:
            PyContext_Exit(context)
            if outer is None:
                del CURRENT[self.loop]
            else:
                CURRENT[self.loop] = outer
        if status == PYGEN_NEXT:
            carrier.context = context
            carrier.call = call
            carrier.finish = finish
            if type(value) is Waiter:
                (<Waiter>value).carrier = carrier
            carrier.yielded = BARE if value is None else unblock(value)
            call.task = carrier.task
            carrier.task._log_destroy_pending = True
            register_task(carrier.task)
            if carrier.parked:
                self.wake(carrier)
            return True
        carrier.coro = None
        self.recycle(carrier)
        finish(call, value, error)
        if error is not None and isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error
        return False

    cdef object start_native(self, object coro, object call, object finish, bint is_current):
        cdef Carrier carrier = Carrier.__new__(Carrier)
        cdef object context, task
        cdef tuple outcome
        cdef PyObject* pointer = PyContext_CopyCurrent()
        context = <object>pointer
        Py_DECREF(context)
        PyContext_Enter(context)
        try:
            set_current(call, is_current)
        finally:
            PyContext_Exit(context)
        carrier.runner = self
        carrier.coro = coro
        carrier.call = call
        carrier.finish = finish
        carrier.eager = True
        task = Task(carrier, loop=self.loop, context=context, eager_start=True)
        carrier.eager = False
        if carrier.coro is None and type(carrier.call) is tuple:
            outcome = <tuple>carrier.call
            carrier.call = None
            finish(call, outcome[0], outcome[1])
            error = outcome[1]
            if error is not None and isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise error
            return False
        call.task = carrier.task = task
        return True

    cdef Carrier new_carrier(self):
        cdef Carrier carrier = Carrier.__new__(Carrier)
        carrier.runner = self
        carrier.task = Task(carrier, loop=self.loop, context=self.context)
        carrier.task._log_destroy_pending = False
        unregister_task(carrier.task)
        return carrier

    cdef int wake(self, Carrier carrier) except -1:
        """Run the parked task's next step: in place, or by the loop where another task is running."""
        cdef object wakeup = carrier.park.wakeup
        carrier.park.wakeup = None
        if current_task(self.loop) is None:
            wakeup(carrier.park)
        else:
            self.loop.call_soon(wakeup, carrier.park)
        return 0

    cdef int recycle(self, Carrier carrier) except -1:
        if carrier.parked:
            if carrier.park.cancelled:
                # The call cancelled its own task and then ended: the mark must not reach the next call.
                self.wake(carrier)
                return 0
        elif carrier.task._must_cancel or carrier.task.cancelling():
            return 0
        if len(self.spares) < MOST_SPARES:
            self.spares.append(carrier)
        elif carrier.parked:
            carrier.task.cancel()
            self.wake(carrier)
        return 0

    cdef int forget(self, Carrier carrier) except -1:
        if carrier in self.spares:
            self.spares.remove(carrier)
        return 0

    def close(self):
        """End the spare tasks; the loop is about to close."""
        cdef Carrier carrier
        spares = self.spares
        self.spares = []
        for carrier in spares:
            if not carrier.task.done():
                carrier.task.cancel()
                if carrier.parked:
                    self.wake(carrier)


include "waiter.pxi"


cdef class Bare:
    """Stands for a bare `yield` (`asyncio.sleep(0)`) in `Carrier.yielded`, where None means nothing."""


cdef Bare BARE = Bare()
# What a task is woken with where its waiter may be another's by then: only the result is asked for.
cdef Park NEWS = Park.__new__(Park, None)
