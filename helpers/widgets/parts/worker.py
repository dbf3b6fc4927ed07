"""One thread that makes what was asked for last, for any number of explorers. Knows nothing of widgets or networks.

A widget's callback must return at once: while it runs, JupyterLab delivers no other event, not even Stop. Besides,
JupyterLab calls it in the main thread or in another one (a kernel subshell), as it likes. So callbacks only *ask*
here; one thread makes all answers, update by update, and one lock guards the asking and the showing.
"""

import atexit
import threading
import traceback

from helpers.base.interrupts import stoppable

lock = threading.RLock()  # held while asking and while showing; a widget that is set may call back, hence reentrant
_changed = threading.Condition(lock)
_row = {}  # lines whose job waits for its turn, the next one first
_at_work = []  # the job of this moment, or nothing
_threads = []
_closing = threading.Event()


class Job:
    """An answer on its way: a generator of updates, made one at a time, and whether it is to end."""

    def __init__(self, updates):
        self.updates, self.stop, self.begun = updates, threading.Event(), False

    def advance(self):
        """Return the next update. A Stop interrupts the climb that runs, or the generator where it waits."""
        with stoppable(self.stop.is_set):
            if self.begun and self.stop.is_set():
                return self.updates.throw(KeyboardInterrupt())
            self.begun = True  # a Stop that comes before the start is seen by the first climb
            return next(self.updates)


class Line:
    """Where one kind of thing is asked for: the newest wish counts, older ones end and are never shown.

    show    a function of an update, a dictionary; an exception comes as {"error": exception}
    busy    is told True when something is asked for and False when it is done
    Both hold the lock: nothing is shown once something newer was asked for. Between two updates others have turns.
    """

    def __init__(self, show, busy=lambda busy: None):
        self.show, self.busy, self.job = show, busy, None

    def ask(self, updates):
        """Have the updates of a generator made and shown, instead of all that was asked for here before."""
        with _changed:
            self.stop()
            self.job = Job(updates)
            self.busy(True)
            _row[self] = None  # who waits already keeps the place in the row
            if not any(thread.is_alive() for thread in _threads):
                _threads[:] = [threading.Thread(target=_work, name="explorers", daemon=True)]
                _threads[0].start()
            _changed.notify_all()

    def stop(self):
        """Interrupt what is made; its generator may still give what there is so far. Return whether there is any."""
        with lock:
            if self.job is not None:
                self.job.stop.set()
            return self.job is not None

    def forget(self):
        """End what is made, and show nothing more of it."""
        with _changed:
            self.stop()
            self.job = None
            _row.pop(self, None)
            self.busy(False)
            _changed.notify_all()


def wait_until_idle(timeout=60.0):
    """Wait until all that was asked for is made and shown; return whether it was within `timeout` seconds."""
    with _changed:
        return _changed.wait_for(lambda: not _row and not _at_work, timeout)


def _work():
    while True:
        with _changed:
            _changed.wait_for(lambda: _row or _closing.is_set())
            if _closing.is_set():
                return
            line = next(iter(_row))
            del _row[line]
            job = line.job
            _at_work.append(job)
        update, more = _advanced(job)
        with _changed:
            _at_work.clear()
            if job is line.job and not _closing.is_set():
                more = _shown(line, update) and more
            if job is line.job and more:
                _row[line] = None  # behind the others
            elif job is line.job:
                line.job = None
                line.busy(False)
            _changed.notify_all()


def _advanced(job):
    """The next update, and whether there may be more."""
    try:
        return job.advance(), True
    except (StopIteration, KeyboardInterrupt):
        return {}, False
    except Exception as error:  # shown in the explorer: in a thread nobody else would see it
        return {"error": error}, False


def _shown(line, update):
    """Show an update, or why it cannot be shown; say whether it was."""
    try:
        line.show(update)
        return True
    except Exception as error:
        try:
            line.show({"error": error})
        except Exception:  # not even an error can be shown: the terminal is the last place to say so
            traceback.print_exc()
        return False


def _close():
    """Have the thread end before Python does: one that still computes then brings the whole process down."""
    with _changed:
        _closing.set()
        for job in _at_work:
            job.stop.set()
        _changed.notify_all()
    for thread in _threads:
        thread.join(10)


atexit.register(_close)
