"""Questions to a learner about a network at hand: predict, then reveal; the engine says what is right.

`ask` works in any notebook or terminal. The page of `backprop.Widget` and ``play`` asks the same.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._notation import Notation, layer_name, subscript
from backprop._validate import index_below, name_among
from backprop.network import Network
from backprop.optimizers import SGD
from backprop.play import page

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

KINDS = ("way", "gradient", "largest", "bias", "wrong")
NEAR = 0.02  # how far a number may be from the right one, relative to it


class Question:
    """One question; shows itself, and checks answers.

    Attributes
    ----------
    kind : str
        Which of the five it is.
    text : str
        What is asked.
    right : str, int or float
        The answer.
    """

    def __init__(
        self, kind: str, right: str | int | float, values: Mapping[str, object], lines: str = ""
    ) -> None:
        words = json.loads(page.text("exercises.json"))[kind]
        self.kind, self.right = kind, right
        self.text = f"{words['title']}\n{words['ask'].format_map(values)}{lines}"
        self._choices, self._why = words["choices"], words["why"].format_map(values)

    def __repr__(self) -> str:
        how = " or ".join(map(repr, self._choices)) if self._choices else "a number"
        return f"{self.text}\nAnswer with .answer({how}); .reveal() tells it."

    def answer(self, given: str | int | float) -> bool:
        """Says whether an answer is right, and why.

        Parameters
        ----------
        given : str, int or float
            "rise" or "fall"; a number, which may be 2 % off; or a node or line, counted from 1.

        Returns
        -------
        bool

        Raises
        ------
        TypeError, ValueError
            If the answer is none to such a question.
        """
        if isinstance(self.right, str):
            name_among("answer", given, ("rise", "fall"))
            fits = given == self.right
        else:
            number = float(given)
            near = NEAR * abs(self.right) if isinstance(self.right, float) else 0
            fits = math.isclose(number, self.right, rel_tol=0, abs_tol=near)
        print(f"Right. {self._why}" if fits else "Not yet. Think again, or ask for .reveal().")
        return fits

    def reveal(self) -> None:
        """Prints the answer, and why."""
        shown = f"{self.right:.4g}" if isinstance(self.right, float) else self.right
        print(f"{shown}. {self._why}")


def ask(
    kind: str, network: Network, x: ArrayLike, y: ArrayLike, *, layer: int = -1, j: int = 0, k: int = 0,
    lr: float = 0.1,
) -> Question:  # fmt: skip
    """A question about one sample of a network, which stays as it is.

    Parameters
    ----------
    kind : str
        "way": which way output j goes in a step; "gradient": ∂C_0/∂w_jk from its three terms; "largest":
        which of the weights into node j moves most; "bias": what the loss does without the bias of node j;
        "wrong": which line of a backward pass for w_jk is wrong.
    network : Network
        With activations other than softmax where terms are asked for.
    x, y : array_like
        One sample (inputs,) and its target.
    layer, j, k : int
        Which weight, counted from 0 as in `backprop.Network.explain`.
    lr : float
        The learning rate of the step in "way".

    Returns
    -------
    Question

    Raises
    ------
    TypeError, ValueError
        If there is no such question, or the sample or the weight does not fit the network.

    Examples
    --------
    >>> net = bp.Network.dense(2, 3, 1, dtype="float64", seed=0)
    >>> question = bp.lesson.ask("gradient", net, [1.0, -0.5], [1.0], k=2)
    >>> question.answer(10)
    Not yet. Think again, or ask for .reveal().
    False
    """
    name_among("question", kind, KINDS)
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, got {type(network).__name__}")
    place = index_below("layer", layer, len(network.layers), "layers")
    e = network.explain(x, y, place, j, k)
    if e.row is not None and kind in ("gradient", "wrong"):
        raise ValueError("before softmax there is no ∂a/∂z of one node; ask about another layer")
    makers = {"way": _way, "gradient": _gradient, "largest": _largest, "bias": _bias, "wrong": _wrong}
    return makers[kind](network, np.asarray(x), np.asarray(y), place, e, lr)


def _symbols(network: Network, e: Any) -> dict[str, str]:
    """What the parts of a weight are called, and their numbers."""
    n, layers = Notation(), len(network.layers)
    here, below = layer_name(e.layer, layers), layer_name(e.layer - 1, layers)
    a, z = n.symbol("a", subscript(e.j), here), n.symbol("z", subscript(e.j), here)
    w = n.symbol("w", subscript(e.j, e.k), here)
    return {
        "a": a, "weight": w, "layer": here, "j": str(e.j + 1), "before": n.symbol("a", subscript(e.k), below),
        "dC_da": n.partial("C₀", a), "da_dz": n.partial(a, z), "dz_dw": n.partial(z, w),
        "dC_dz": n.partial("C₀", z), "gradient": n.partial("C₀", w),
    }  # fmt: skip


def _shown(**numbers: Any) -> dict[str, str]:
    return {name: Notation().number(value).replace("-", "−") for name, value in numbers.items()}


def _target(network: Network, y: Any, j: int) -> float:
    """What output j should be, of a target or a label."""
    if y.ndim == 0 and network.layers[-1].outputs > 1:
        return float(int(y) == j)
    return float(y.reshape(-1)[j])


def _way(network: Network, x: Any, y: Any, layer: int, e: Any, lr: float) -> Question:
    last, j = len(network.layers) - 1, e.j
    if layer != last:
        raise ValueError("which way an output goes is asked of the last layer")
    before, stepped = network(x)[j], copy.deepcopy(network)
    stepped.step(x, y, SGD(lr))
    after, nudge = stepped(x)[j], -float(e.dC_da)
    target = _target(network, y, j)
    right = "rise" if after > before else "fall"
    values = _symbols(network, e) | _shown(value=before, target=target, nudge=nudge, after=after)
    return Question("way", right, values | {"way": "rise" if nudge > 0 else "fall"})


def _gradient(network: Network, x: Any, y: Any, layer: int, e: Any, lr: float) -> Question:
    values = _symbols(network, e) | _shown(first=e.dC_da, second=e.da_dz, third=e.dz_dw, product=e.product)
    return Question("gradient", float(e.product), values)


def _largest(network: Network, x: Any, y: Any, layer: int, e: Any, lr: float) -> Question:
    before = x if layer == 0 else network.trace(x).layers[layer - 1].a
    best = int(np.abs(before).argmax())
    a = Notation().symbol("a", subscript(best), layer_name(layer - 1, len(network.layers)))
    values = _symbols(network, e) | _shown(value=before[best]) | {"k": str(best + 1), "a": a}
    return Question("largest", best + 1, values)


def _bias(network: Network, x: Any, y: Any, layer: int, e: Any, lr: float) -> Question:
    if network.layers[layer].bias is None:
        raise ValueError(f"layers[{layer}] has no bias")
    without = copy.deepcopy(network)
    value = float(network.layers[layer].bias[e.j])  # type: ignore[index]
    without.layers[layer].bias[e.j] = 0  # type: ignore[index]
    if value == 0:
        raise ValueError("this bias is 0, so nothing would change; train first, or ask about another node")
    before, after = (float(each.loss(x, y)) for each in (network, without))
    slope = float(network.explain(x, y, layer, e.j, bias=True).product)
    n, here = Notation(), layer_name(layer, len(network.layers))
    b = n.symbol("b", subscript(e.j), here)
    values = _shown(value=value, before=before, after=after, guess=-value * slope)
    values |= {"b": b, "gradient": n.partial("C₀", b)}
    return Question("bias", "rise" if after > before else "fall", values)


def _wrong(network: Network, x: Any, y: Any, layer: int, e: Any, lr: float) -> Question:
    if layer != len(network.layers) - 1:
        raise ValueError("the wrong line is asked for in the last layer, where all can be checked by hand")
    s, right = _symbols(network, e), [float(term) for term in (e.dC_da, e.da_dz, e.dz_dw, e.product)]
    lines = [i for i, number in enumerate(right) if number]
    if not lines:
        raise ValueError("all terms are 0 here; ask about another weight")
    line = lines[(3 * e.j + e.k) % len(lines)]
    shown = [*right]
    shown[line] *= -2 if line == 2 else 2
    if line < 3:  # what follows from a wrong line goes on with it
        shown[3] = shown[0] * shown[1] * shown[2]
    names = [s["dC_da"], s["da_dz"], s["dz_dw"], s["gradient"]]
    terms = zip(names, shown, strict=True)
    texts = [f"\n  {i + 1}. {name} = {Notation().number(number)}" for i, (name, number) in enumerate(terms)]
    values = s | _shown(a_value=network(x)[e.j], before_value=right[2], target=_target(network, y, e.j))
    values |= _shown(right=right[line], shown=shown[line])
    values |= {"line": str(line + 1), "loss": network.loss_name, "g": e.activation}
    return Question("wrong", line + 1, values, "".join(texts))
