"""One thread that makes what was asked for last, for any number of explorers. Knows nothing of widgets or networks.

A widget's callback must return at once: while it runs, JupyterLab delivers no other event, not even Stop. Besides,
JupyterLab calls it in the main thread or in another one (a kernel subshell), as it likes. So callbacks only *ask*
here; one thread makes the results of all explorers, and one lock guards the asking and the painting.
"""

import atexit
import threading
import traceback

from helpers.ascent import stoppable

lock = threading.RLock()  # held while asking and while painting; a painted widget may call back, hence reentrant
_changed = threading.Condition(lock)
_row = {}  # desks whose job waits for its turn, the next one first
_at_work = []  # the job of this moment, or nothing
_threads = []
_closing = threading.Event()


class Job:
    """Something asked for: its settings, how far it is made, and whether it is to end."""

    def __init__(self, settings):
        self.settings = settings
        self.results = None
        self.stopped = False


class Desk:
    """Where one explorer asks: its newest request counts, all older ones are forgotten and never painted.

    make    a generator function from settings to results, run in the worker's thread. Between two results other
            explorers have their turn. At a Stop it sees a KeyboardInterrupt, at a result or within a climb, and may
            catch it to give what was made so far
    paint   shows one result
    fail    shows an exception
    busy    is told True when something is asked for and False when it is done

    `paint`, `fail` and `busy` hold the lock: a result is never painted once something newer has been asked for.
    """

    def __init__(self, make, paint, fail, busy):
        self.make, self.paint, self.fail, self.busy = make, paint, fail, busy
        self.newest = None

    def ask(self, settings):
        """Have the results of `settings` made and painted, instead of all that was asked for before."""
        with _changed:
            self._end_newest()
            self.newest = _row[self] = Job(settings)  # whoever waits already keeps his place in the row
            self.busy(True)
            if not any(thread.is_alive() for thread in _threads):
                _threads[:] = [threading.Thread(target=_work, name="explorers", daemon=True)]
                _threads[0].start()
            _changed.notify_all()

    def stop(self):
        """Interrupt what is made; its generator may still give what there is so far."""
        with _changed:
            if self.newest is not None:
                self.newest.stopped = True

    def forget(self):
        """End what is made, and paint nothing more of it."""
        with _changed:
            self._end_newest()
            self.newest = None
            _row.pop(self, None)
            self.busy(False)
            _changed.notify_all()

    def advance(self, job):
        """Make and paint one more result of a job; say whether there may be others. Called by the worker only."""
        try:
            with stoppable(lambda: job.stopped):
                if job.results is None:
                    job.results = self.make(job.settings)
                    result = next(job.results)  # a Stop that comes before the start is seen by the first climb
                else:
                    result = job.results.throw(KeyboardInterrupt()) if job.stopped else next(job.results)
            return self._if_newest(job, self.paint, result)
        except (StopIteration, KeyboardInterrupt):
            return False
        except Exception as error:  # shown in the explorer: in a thread nobody else would see it
            self._if_newest(job, self.fail, error)
            return False

    def _if_newest(self, job, show, what):
        with _changed:
            wanted = self.newest is job and not _closing.is_set()
            if wanted:
                show(what)
            return wanted and self.newest is job

    def _end_newest(self):
        if self.newest is not None:
            self.newest.stopped = True  # so that a climb of what nobody waits for any more ends at once


def wait_until_idle(timeout=60.0):
    """Wait until all that was asked for is made and painted; return whether it was within `timeout` seconds."""
    with _changed:
        return _changed.wait_for(lambda: not _row and not _at_work, timeout)


def _work():
    while True:
        with _changed:
            _changed.wait_for(lambda: _row or _closing.is_set())
            if _closing.is_set():
                return
            desk = next(iter(_row))
            job = _row.pop(desk)
            _at_work.append(job)
        try:
            more = desk.advance(job)
        except Exception:  # what should have shown an error failed: the terminal is the last place to say so
            traceback.print_exc()
            more = False
        with _changed:
            _at_work.clear()
            if desk.newest is job and more:
                _row[desk] = job  # behind the others
            elif desk.newest is job:
                desk.newest = None
                desk.busy(False)
            _changed.notify_all()


def _close():
    """Have the thread end before Python does: one that still computes then brings the whole process down."""
    with _changed:
        _closing.set()
        for job in _at_work:
            job.stopped = True
        _changed.notify_all()
    for thread in _threads:
        thread.join(10)


atexit.register(_close)
