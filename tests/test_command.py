"""A dream from the command line: the picture is written, or one sentence says what was wrong."""

import numpy as np
import pytest
from PIL import Image

from helpers import command as dream
from helpers.photos import load_photo, save_picture


@pytest.fixture
def photo(tmp_path):
    save_picture(tmp_path / "me.png", load_photo(size=84))
    return str(tmp_path / "me.png")


def _pixels(path):
    return np.asarray(Image.open(path), float)


@pytest.mark.parametrize("options", [
    [], ["--map", "3", "7", "88"], ["--map", "-1"], ["--octaves", "--passes", "2"], ["--tiles", "3"],
    ["--octaves", "--passes", "2", "--map", "3", "7", "88"],
])  # fmt: skip
def test_every_way_writes_a_picture_of_the_wanted_size_that_differs_from_the_photo(options, photo, tmp_path):
    wish = [photo, *options, "--size", "84", "-o", str(tmp_path / "dream.png")]
    assert dream.main(wish if "--passes" in wish else [*wish, "--passes", "1"]) == 0
    made = _pixels(tmp_path / "dream.png")
    assert made.shape == (84, 84, 3) and np.abs(made - _pixels(photo)).max() > 10


def test_no_passes_give_the_photo_back(photo, tmp_path):
    assert dream.main([photo, "--passes", "0", "--size", "84", "-o", str(tmp_path / "same.png")]) == 0
    assert np.abs(_pixels(tmp_path / "same.png") - _pixels(photo)).max() <= 1


def test_a_film_shows_the_photo_and_every_pass(photo, tmp_path):
    wish = [photo, "--passes", "2", "--size", "84", "-o", str(tmp_path / "d.png"), "--film", str(tmp_path / "d.gif")]
    assert dream.main(wish) == 0
    assert Image.open(tmp_path / "d.gif").n_frames == 3


@pytest.mark.parametrize(("options", "said"), [
    (["--map", "128"], "map index 128 does not exist"),
    (["--map", "1", "2"], "--map got 2 maps"),
    (["--layer", "Conv2D3"], "'Conv2D3' not found"),
    (["--tiles", "99"], "99 tiles"),
    (["--tiles", "2", "--map", "-1"], "leave --tiles out"),
    (["--passes", "-1"], "-1"),
    (["--size", "3"], "size"),
    (["--model", "none.keras"], "none.keras"),
    (["-o", "dream.jpg"], "must end in .png"),
    (["-o", "no/such/dream.png"], "does not exist"),
    (["--film", "dream.avi"], "must end in .gif or .mp4"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence_and_nothing_is_written(options, said, photo, tmp_path, capsys,
                                                                       monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dream.main([photo, *options]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("dream: ") and said in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["me.png"]


def test_what_is_there_is_never_overwritten(photo, capsys):
    assert dream.main([photo, "-o", photo]) == 2
    assert "exists already" in capsys.readouterr().err


def test_ctrl_c_keeps_what_was_made(photo, tmp_path, monkeypatch, capsys):
    carve = dream.carve

    def interrupted(*arguments, **options):
        yield next(carve(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(dream, "carve", interrupted)
    assert dream.main([photo, "--size", "84", "-o", str(tmp_path / "d.png")]) == 0
    assert "stopped after 1 of 4" in capsys.readouterr().err and (tmp_path / "d.png").exists()
