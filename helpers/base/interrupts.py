"""How work is stopped: from the keyboard or from another thread. Knows nothing of what is stopped.

A Stop is a KeyboardInterrupt. From the keyboard (Ctrl-C, the Stop button of a notebook) Python raises it in the main
thread, between any two of its own steps. From elsewhere it is asked for by `stoppable`, and long work looks for it by
`leave_if_asked`. Work that builds on a climb lets it through: what was stopped is never taken for finished.
"""

import signal
import threading
from contextlib import contextmanager
from contextvars import ContextVar

_asked_to_stop = ContextVar("asked_to_stop", default=lambda: False)


@contextmanager
def held():
    """Hold an interrupt from the keyboard back until the block ends, then let it through.

    TensorFlow must not be interrupted in the middle of a call: while it compiles, half of a graph is left behind and
    later calls fail; while an array is handed over, the process may die. A single call is short, so Stop stays quick.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield  # no interrupt reaches this thread, or none becomes an exception
        return
    came = []
    signal.signal(signal.SIGINT, lambda *interrupt: came.append(interrupt))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            handler(*came[-1])


@contextmanager
def stoppable(asked):
    """Let climbs within this block be interrupted from elsewhere: as soon as `asked()` is true.

    A climb then does what it does at an interrupt (Stop, Ctrl-C), and so does all that is built on it: zoos and
    dreams keep what was made so far. Those interrupts reach the main thread only; this reaches the thread that
    runs the block, and no other. `asked` is a function without arguments such as `threading.Event().is_set`.
    """
    before = _asked_to_stop.set(asked)
    try:
        yield
    finally:
        _asked_to_stop.reset(before)


def leave_if_asked():
    """Raise KeyboardInterrupt if this thread runs within `stoppable` and was asked to stop: for long work of others."""
    if _asked_to_stop.get()():
        raise KeyboardInterrupt
