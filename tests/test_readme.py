"""The README and the pages beside it lead to what is there, and say how long a notebook takes to read."""

import re
from pathlib import Path

import nbformat
import pytest

from helpers import widgets

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WORDS_PER_MINUTE = 200
TABLE = re.findall(r"^\| \[\d\d [^]]+\]\((notebooks/\w+\.ipynb)\) \|.*\| (\d+) \| \d+ \|$",
                   (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)  # fmt: skip


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_leads_only_to_files_that_exist(path):
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_table_has_the_minutes_of_every_notebook():
    assert [name for name, _ in TABLE] == [f"notebooks/{path.name}" for path in sorted(
        (ROOT / "notebooks").glob("[0-9]*.ipynb"))]


@pytest.mark.parametrize("explorer", [name for name in widgets.__all__ if re.search("_(lab|explorer|browser)$", name)])
def test_every_explorer_has_a_small_picture_in_the_readme(explorer):
    picture = f"notebooks/figures/{explorer}.png"
    assert f'src="{picture}"' in (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / picture).stat().st_size <= 150_000


@pytest.mark.parametrize(("name", "minutes"), TABLE)
def test_the_minutes_to_read_are_those_of_the_words(name, minutes):
    cells = nbformat.read(ROOT / name, as_version=4).cells
    words = sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
    needed = words / WORDS_PER_MINUTE
    assert abs(int(minutes) - needed) <= max(3, 0.25 * needed), f"{words} words take {needed:.0f} minutes"
