# SPDX-License-Identifier: BSD-2-Clause
"""Contexts, errors, and what all handles have in common."""

import ctypes
import threading
import weakref

from ._library import LOG, PROGRESS, ContextDesc, View, library

ISA_BEST, ISA_REFERENCE, ISA_AVX2, ISA_AVX512, ISA_NEON = range(5)
CONVOLUTION_AUTO, CONVOLUTION_DIRECT, CONVOLUTION_WINOGRAD = range(3)
LOG_ERROR = 1
ERROR_STATE = -5


class Error(Exception):
    """A call that failed: `status` is its number, `name` that number's name, the text the reason."""

    def __init__(self, status, reason):
        self.status = status
        self.name = library.status_name(status).decode()
        super().__init__(f"{self.name}: {reason}" if reason else self.name)


class _Told(threading.local):
    """What the log of any context told this thread last. A context's last error is that of all its
    threads, and of an earlier call where one leads to no context."""

    reason = ""


_told = _Told()


def call(name, *arguments):
    """Calls a function that returns a status; raises Error with the reason."""
    outer, _told.reason = _told.reason, ""
    try:
        status = getattr(library, name)(*arguments)
        if status:
            raise Error(status, _told.reason or f"sfconv_{name}: no reason is known")
    finally:
        _told.reason = outer


class Held:
    """What the library made. It is destroyed when nothing refers to this any more, neither its
    object in Python nor memory on its numbers."""

    def __init__(self, destroy, handle, keep):
        self.handle = handle
        weakref.finalize(self, _let_go, getattr(library, destroy), handle, keep)


def _let_go(destroy, handle, keep):
    """`keep` holds what the library may call while it destroys."""
    destroy(handle)
    del keep


class Handle:
    """An object of the library. It lives until close() or until Python forgets it; what the library
    or memory on its numbers still needs of it then stays alive inside."""

    _destroy = None

    def __init__(self, context, handle, keep=None):
        self.context = context
        self.held = Held(self._destroy, handle, (context, keep))

    @property
    def _as_parameter_(self):
        if not self.held:
            raise Error(ERROR_STATE, f"this {type(self).__name__} is closed")
        return self.held.handle

    def close(self):
        self.held = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Context(Handle):
    """Memory, threads and log that objects share. `log(level, text)` may be called from several
    threads."""

    _destroy = "context_destroy"

    def __init__(self, workers=1, isa=ISA_BEST, log=None, convolution=CONVOLUTION_AUTO):
        def forward(_, level, text):
            line = text.decode(errors="replace")
            if level == LOG_ERROR:
                _told.reason = line
            if log:
                log(level, line)

        callback = LOG(forward)
        desc = ContextDesc(log=callback, workers=workers, isa=isa, convolution=convolution)
        super().__init__(None, self.create("context_create", ctypes.byref(desc)), callback)
        # Objects may outlive a closed context, and go on logging.
        self._callback = callback

    @property
    def workers(self):
        return library.context_workers(self)

    @property
    def isa(self):
        return library.context_isa(self)

    @property
    def warning(self):
        """What the environment asked for in vain, a line each; "" for nothing."""
        return library.context_warning(self).decode(errors="replace")

    def call(self, name, *arguments):
        """Calls a function that returns a status; raises Error with the reason."""
        call(name, *arguments)

    def create(self, name, *arguments):
        """Calls a function whose first argument gets a new handle, and returns that."""
        handle = ctypes.c_void_p()
        self.call(name, ctypes.byref(handle), *arguments)
        return handle

    def number(self, kind, name, *arguments):
        """Calls a function whose last argument gets a number, and returns that."""
        value = kind()
        self.call(name, *arguments, ctypes.byref(value))
        return value.value


class Progress:
    """A callback progress(part) that stops the work with a true result; what it raises comes out
    of the call that it stopped."""

    def __init__(self, progress):
        self.raised = None
        self.callback = PROGRESS(self._call) if progress else None
        self._progress = progress

    def _call(self, _, part):
        try:
            return 1 if self._progress(part) else 0
        except BaseException as error:  # it cannot pass through C
            self.raised = error
            return 1

    def __enter__(self):
        return self.callback

    def __exit__(self, kind, error, trace):
        if self.raised:
            raise self.raised from None


def memory(view, held):
    """A memoryview of floats on numbers of the library, which keeps `held` alive. It supports the
    buffer protocol: numpy.asarray(memory) is a view of the same numbers."""
    shape = list(view.shape[:view.rank])
    count = 1
    for size in shape:
        count *= size
    numbers = (ctypes.c_float * count).from_address(view.data)
    numbers.held = held
    return memoryview(numbers).cast("B").cast("f", shape)


def view_of(buffer, writable=False):
    """A view of a buffer of floats (a memoryview, a numpy array …) of one to four axes. Numbers that
    are only read may be scattered or read-only; they are copied then."""
    numbers = memoryview(buffer)
    if numbers.format not in ("f", "<f", "=f") or not 1 <= numbers.ndim <= 4:
        raise TypeError(f"expected float32 of 1 to 4 axes, got format {numbers.format!r} "
                        f"and {numbers.ndim} axes")
    if numbers.readonly or not numbers.c_contiguous:
        if writable:
            raise TypeError("expected contiguous numbers that can be written")
        data = bytearray(numbers.tobytes())
    else:
        data = numbers.cast("B") if numbers.nbytes else numbers
    view = View(rank=numbers.ndim)
    # The view keeps what it points to.
    view.owner = (ctypes.c_char * len(data)).from_buffer(data)
    view.data = ctypes.addressof(view.owner)
    stride = 1
    for axis in reversed(range(numbers.ndim)):
        view.shape[axis] = numbers.shape[axis]
        view.stride[axis] = stride
        stride *= numbers.shape[axis]
    return view


def copy(target, source):
    """Copies numbers from one buffer to another of the same shape."""
    status = library.view_copy(ctypes.byref(view_of(target, writable=True)),
                               ctypes.byref(view_of(source)))
    if status:
        raise Error(status, f"from shape {memoryview(source).shape} "
                            f"to {memoryview(target).shape}")
