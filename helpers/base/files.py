"""Files, written whole or not at all. Knows nothing of what is in them.

    path = files.place(path, (".png",), new=True)  # refused here, before there is anything to lose
    with files.written(path, new=True) as part:
        part.write_bytes(content)
"""

import contextlib
import errno
import os
import secrets
import sys
import time
from pathlib import Path

from helpers.base import checks

DATA = Path(__file__).resolve().parents[2] / "data"  # trained weights; a reader's own data sets and photographs
MARK = ".half-written-"  # begins the name of a file until it is whole
REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM}
STALE_SECONDS = 3600.0  # so long no file is written without a pause: its process must have died


def place(path, endings, new=False):
    """Return `path` as a Path to which a file can be written: with one of these endings, in a folder that is there.

    Where it must be `new`, a file of that name is a FileExistsError. A missing folder is a FileNotFoundError.
    """
    path = checks.path(path)
    if path.suffix.lower() not in endings:
        raise ValueError(f"{path.name!r} must end in {' or '.join(endings)}")
    if new and os.path.lexists(path):
        raise FileExistsError(_in_use(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist; make it first")
    return path


@contextlib.contextmanager
def written(path, new=False):
    """Give a path to write to, with the same ending; after the block that file becomes `path` in one move.

    Until then what stood there is untouched, and where it must be `new` it is never replaced. What fails leaves
    nothing behind and is an OSError that says why. A process that is killed leaves a file of another name (it begins
    with `MARK`), which is in nobody's way; whoever writes into the folder an hour later removes it.
    """
    path, before = Path(path), sys.exception()  # what is being handled already is no reason of ours
    _remove_stale(path.parent)
    part = path.with_name(f"{MARK}{secrets.token_hex(4)}{path.suffix}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())  # what a disk or a network tells late is told before the old file goes
        (_move_new if new else os.replace)(part, path)
    except Exception as error:
        number = _number_of(error, before)
        if number is None:
            raise
        raise OSError(number, f"{path} was not written: {os.strerror(number)}; make room, or choose another place"
                      ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _in_use(path):
    return f"{path} exists already; delete it first, or give another name"


def _number_of(error, before):
    """The number of a disk's refusal, also where a library that then tried to tidy up raised something else."""
    while error is not None and error is not before:
        if getattr(error, "errno", None) in REFUSALS:
            return error.errno
        error = error.__cause__ or error.__context__
    return None


def _remove_stale(folder):
    """Remove what processes left that were killed while they wrote into this folder."""
    for part in folder.glob(f"{MARK}*"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()


def _move_new(source, target):
    """Give a file its name in one move that never takes the place of another file."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise FileExistsError(_in_use(target)) from None
    except OSError:  # a file system without links: somebody would have to come between the next two lines
        if os.path.lexists(target):
            raise FileExistsError(_in_use(target)) from None
        os.replace(source, target)
