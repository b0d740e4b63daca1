"""A local page to use a trained model by hand: `minigan play`.

explore.py    a model from noise: seeds, labels, the first principal directions, ways between two samples
draw.py       a model of pictures: what is drawn, or dropped, becomes what it makes of that
page.py       both as a page in the browser, by NiceGUI
"""

from .draw import Canvas, paints_of
from .explore import Explorer
from .page import serve

__all__ = ["Canvas", "Explorer", "paints_of", "serve"]
