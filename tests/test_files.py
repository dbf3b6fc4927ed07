"""A file is written whole or not at all, and only what a disk refuses is told as such."""

import errno
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from helpers.base import files
from helpers.widgets.parts import saved_figure


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


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_the_sheet_of_an_explorer_is_saved_whole_or_not_at_all(tmp_path, monkeypatch, fault):
    monkeypatch.chdir(tmp_path)
    figure, savefig = Figure(), Figure.savefig

    def half(self, path, **options):
        path.write_bytes(b"half")
        raise fault

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(type(fault)) as told:
        saved_figure("maps", figure, 50)
    assert list(tmp_path.iterdir()) == []
    assert isinstance(fault, KeyboardInterrupt) or "maps.png was not written: No space left" in str(told.value)
    monkeypatch.setattr(Figure, "savefig", savefig)
    assert "maps.png" in saved_figure("maps", figure, 50) and "maps_2.png" in saved_figure("maps", figure, 50)
    assert all(Image.open(path).size == (320, 240) for path in tmp_path.iterdir())


def test_no_explorer_saves_a_figure_by_itself():
    explorers = Path(files.__file__).parent.parent / "widgets"
    assert [path.name for path in explorers.glob("*.py") if "savefig" in path.read_text("utf-8")] == []
