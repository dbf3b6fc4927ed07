"""Write the site into `site/build`: python site/build.py

`site/build/live/` is the live page for a static server, `site/build/live.html` the same as one file that opens by a
double click.
"""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

BUILD = HERE / "build"
SOURCES = "*.html", "*.css", "*.js", "engine/*.js", "engine/*.wasm"  # what a reader's browser loads


def build_live(build=BUILD):
    """Write the live page with the shipped network, as a folder and as one file."""
    from pack import LIVE, one_file, photos
    from weights import network_bytes

    from helpers.models import load_cnn

    network = network_bytes(load_cnn())
    folder = build / "live"
    shutil.rmtree(folder, ignore_errors=True)
    for pattern in SOURCES:
        for path in LIVE.glob(pattern):
            _write(folder / path.relative_to(LIVE), path.read_bytes())
    for name, content in {"cnn.bin": network, **photos()}.items():
        _write(folder / name, content)
    _write(build / "live.html", one_file(network).encode())


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    build_live()
    print(f"open {BUILD / 'live.html'}, or serve {BUILD}")
