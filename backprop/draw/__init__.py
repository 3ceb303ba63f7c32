"""A network as a picture."""

from backprop.draw.drawing import Drawing as Drawing
from backprop.draw.shapes import Arrow as Arrow
from backprop.draw.shapes import Circle as Circle
from backprop.draw.shapes import Line as Line
from backprop.draw.shapes import Text as Text
