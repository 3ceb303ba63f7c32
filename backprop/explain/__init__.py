"""The chain rule of a network's weights, term by term, as text, LaTeX and HTML; and what a step does."""

from backprop.explain.check import ExplanationCheck as ExplanationCheck
from backprop.explain.explanation import Explanation as Explanation
from backprop.explain.explanation import LayerExplanation as LayerExplanation
from backprop.explain.moves import Move as Move
from backprop.explain.moves import Moves as Moves
from backprop.explain.moves import StepEffect as StepEffect
from backprop.explain.terms import Chain as Chain
from backprop.explain.terms import ChainEntry as ChainEntry
from backprop.explain.terms import LayerTerms as LayerTerms
from backprop.explain.terms import Node as Node
from backprop.explain.terms import Snapshot as Snapshot
from backprop.explain.terms import Terms as Terms
from backprop.explain.terms import WeightTerms as WeightTerms

Run = Snapshot  # its name in older pickles
