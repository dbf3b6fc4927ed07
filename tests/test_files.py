"""A file is written whole or not at all, and only what a disk refuses is told as such."""

import errno

import pytest

from helpers.base import files


def test_what_goes_wrong_in_the_block_is_not_blamed_on_the_disk(tmp_path):
    path = tmp_path / "y.txt"
    for error in (ValueError("mine"), FileExistsError("another file"), FileNotFoundError(errno.ENOENT, "the source")):
        try:
            raise OSError(errno.ENOSPC, "an earlier matter, handled here")
        except OSError:
            with pytest.raises(type(error)) as found, files.written(path):
                raise error  # noqa: B904
        assert found.value is error
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_told_in_one_sentence_also_behind_the_words_of_a_library(tmp_path):
    with pytest.raises(OSError, match="y.txt was not written: No space left on device; make room"), \
            files.written(tmp_path / "y.txt") as part:
        try:
            part.write_text("half")
            raise OSError(errno.ENOSPC, "full")
        except OSError:
            raise RuntimeError("could not flush") from None


def test_a_new_file_never_takes_the_place_of_another(tmp_path):
    path = tmp_path / "y.txt"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="exists already"), files.written(path, new=True) as part:
        part.write_text("yours")
    assert path.read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
