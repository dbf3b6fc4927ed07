"""Put the live page and a network into one HTML file that opens by a double click: `pack("mine.keras", "mine.html")`.

A page opened from disk may load no module and no worker from another file. So all scripts become one: each module is
a function that returns its exports, called after those that it imports. Knows nothing of what the page shows.
"""

import argparse
import base64
import json
import mimetypes
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # for `weights`, and for `helpers` where they are not installed

LIVE = HERE / "live"
PHOTOS = {"flower": "flower", "temple": "temple"}  # of `photos.sample_photo`
PHOTO_EDGE, QUALITY = 560, 88
IMPORT = re.compile(r'^import (?:\* as (?P<whole>\w+)|\{(?P<names>[^}]+)\}) from "(?P<path>\.[^"]+)";\n', re.MULTILINE)
EXPORT = re.compile(
    r"^export (?P<kind>async function|function\*|function|const|let|class) ?(?P<name>\w+)", re.MULTILINE)  # fmt: skip


def pack(model_path, target):
    """Write the page of the network in `model_path`, a `.keras` file, as the one file `target`.

    The page holds everything, and sends nothing anywhere. ValueError, naming the layer, for a network that the page
    cannot run; see `weights.network_bytes` for what it can.
    """
    from weights import network_bytes

    from helpers.models import SHIPPED, load_cnn

    shipped = Path(model_path).resolve() == SHIPPED.resolve()
    python = "load_cnn()" if shipped else f"load_cnn({Path(model_path).name!r})"
    target = Path(target)
    target.write_text(one_file(network_bytes(load_cnn(model_path), python)), encoding="utf-8")
    return target


def one_file(network):
    """Return the page as one HTML text; `network` is the content of the file that `weights.network_bytes` makes."""
    files = {"cnn.bin": network, "engine/engine.wasm": (LIVE / "engine" / "engine.wasm").read_bytes(), **photos()}
    packed = {name: _address(name, content) for name, content in files.items()}
    worker = _in_a_script(json.dumps(bundle(LIVE / "worker.js")))
    script = (f"window.packed = {json.dumps(packed, indent=0)};\n"
              f'packed["worker.js"] = URL.createObjectURL(new Blob([{worker}], {{ type: "text/javascript" }}));\n')
    page = (LIVE / "index.html").read_text(encoding="utf-8")
    style = f"<style>\n{(LIVE / 'live.css').read_text(encoding='utf-8')}</style>"
    page = _replaced(page, '<link rel="stylesheet" href="live.css">', style)
    scripts = f'<script>\n{script}</script>\n<script type="module">\n{_in_a_script(bundle(LIVE / "live.js"))}</script>'
    return _replaced(page, '<script type="module" src="live.js"></script>', scripts)


def photos():
    """Return {name in the page: JPEG file} of the photographs to dream in.

    They come with packages that are installed: flower and temple with scikit-learn (by vultilion and danielbuechele,
    CC BY 2.0), the portrait of Grace Hopper with matplotlib (United States Navy, public domain).
    """
    import io

    import matplotlib.cbook
    import numpy as np
    from PIL import Image

    from helpers.photos import load_photo, sample_photo

    pictures = {name: sample_photo(sample, PHOTO_EDGE) for name, sample in PHOTOS.items()}
    pictures["portrait"] = load_photo(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False), PHOTO_EDGE)
    made = {}
    for name, picture in pictures.items():
        file = io.BytesIO()
        Image.fromarray(np.uint8(np.round(255 * picture))).save(file, "JPEG", quality=QUALITY, optimize=True)
        made[f"photos/{name}.jpg"] = file.getvalue()
    return made


def bundle(entry):
    """Return a module and all that it imports as one script, which needs no module loader.

    Understood are the two forms of import and the exports of declarations that the page uses; ValueError for others.
    """
    order, made = [], {}

    def add(path):
        if path in made:
            return
        made[path] = None
        text = path.read_text(encoding="utf-8")
        for found in IMPORT.finditer(text):
            add((path.parent / found["path"]).resolve())
        made[path] = _as_function(path, text)
        order.append(path)

    add(entry.resolve())
    return "\n".join(made[path] for path in order)


def _as_function(path, text):
    """Return a module as the constant that holds its exports."""
    def imported(found):
        name = _name((path.parent / found["path"]).resolve())
        return f"const {found['whole']} = {name};\n" if found["whole"] else \
            f"const {{{re.sub(r' as ', ': ', found['names'])}}} = {name};\n"

    names = [found["name"] for found in EXPORT.finditer(text)]
    body = EXPORT.sub(lambda found: found[0].removeprefix("export "), IMPORT.sub(imported, text))
    left = re.search(r"^(?:import|export)\b.*$", body, re.MULTILINE)
    if left:
        raise ValueError(f"{path.name} has a line that cannot be packed: {left[0]}")
    return f"const {_name(path)} = (() => {{\n{body}\nreturn {{ {', '.join(names)} }};\n}})();"


def _name(path):
    return "module_" + re.sub(r"\W", "_", path.relative_to(LIVE).as_posix().removesuffix(".js"))


def _in_a_script(text):
    """Return JavaScript that may stand between script tags."""
    return text.replace("</", "<\\/")


def _address(name, content):
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _replaced(page, before, after):
    if page.count(before) != 1:
        raise ValueError(f"index.html must have one {before}")
    return page.replace(before, after)


def main():
    parser = argparse.ArgumentParser(description="Pack the live page and a network into one HTML file.")
    parser.add_argument("model", type=Path, help="a .keras file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the page to write")
    options = parser.parse_args()
    try:
        pack(options.model, options.output)
    except (ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
