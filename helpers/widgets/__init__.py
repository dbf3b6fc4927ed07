"""Explorers: each function returns one ipywidget that answers while you drag. One line in a notebook is enough.

activation_explorer(model)    what each map makes of a digit, yours included (notebook 03)
oip_lab(model)                one map's OIP, live (notebook 04)
zoo_browser(model, layer)     all OIPs of a layer, to open, sort and filter (notebook 05)
dream_lab(model)              carve maps into a photograph (notebook 06)

`worker` makes what was asked for last, `parts` and `drawing` are what they are built of; the others hold one explorer
each. A model must stay as it is while an explorer of it is open; after training it on, run the cell again.
"""

from helpers.widgets.activations import activation_explorer
from helpers.widgets.dreams import dream_lab
from helpers.widgets.oips import oip_lab
from helpers.widgets.zoo import zoo_browser

__all__ = ["activation_explorer", "dream_lab", "oip_lab", "zoo_browser"]
