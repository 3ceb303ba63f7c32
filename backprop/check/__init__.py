"""The engine's gradient against differences of the loss, within what rounding may do."""

from backprop.check.gradient import GradientCheck as GradientCheck
from backprop.check.gradient import PartCheck as PartCheck
