"""What a network shows of itself: the methods that explain, draw and check it."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from backprop._base import BaseNetwork

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from backprop import _core
    from backprop._types import Seed
    from backprop.check import GradientCheck
    from backprop.draw import Drawing
    from backprop.explain import Explanation, LayerExplanation, Moves, StepEffect


class Explainable(BaseNetwork):
    """A network that explains, draws and checks itself; a part of `Network`."""

    @overload
    def explain(
        self, x: ArrayLike, y: ArrayLike, layer: int = -1, *, bias: bool = False
    ) -> LayerExplanation: ...
    @overload
    def explain(
        self,
        x: ArrayLike,
        y: ArrayLike,
        layer: int = -1,
        *,
        j: int,
        k: int | None = None,
        bias: bool = False,
    ) -> Explanation: ...
    @overload
    def explain(
        self, x: ArrayLike, y: ArrayLike, layer: int, j: int, k: int | None = None, *, bias: bool = False
    ) -> Explanation: ...
    def explain(
        self,
        x: ArrayLike,
        y: ArrayLike,
        layer: int = -1,
        j: int | None = None,
        k: int | None = None,
        *,
        bias: bool = False,
    ) -> Explanation | LayerExplanation:
        """The chain rule of one weight w_jk, ∂C_0/∂w_jk = ∂C_0/∂a_j · ∂a_j/∂z_j · ∂z_j/∂w_jk, term by term.

        Parameters
        ----------
        x, y : array_like
            As for `fit`.
        layer : int
            Which of ``net.layers``, from 0; negative ones count from the output layer.
        j, k : int, optional
            The node of this layer and the node of the layer before, from 0. Without them, all weights of
            the layer at once.
        bias : bool
            Whether it is about the bias b_j (or about all biases), which has no k.

        Returns
        -------
        Explanation or LayerExplanation
            ``e.dC_da``, ``e.da_dz``, ``e.dz_dw``, ``e.product``, each (n,), or scalars for a 1-D x; for
            softmax da_dz is the row ∂a_i/∂z_j, (n, nodes). ``e.mean`` averages them; ``e.chain`` opens dC_da
            into one entry per node of the next layer, nested; ``e.check()`` compares with a difference. It
            prints, and shows itself in a notebook. For all weights the arrays are (n, outputs, inputs).

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit, or there is no such layer, node or bias.
        """
        from backprop.explain.explanation import explain

        return explain(self, x, y, layer, j, k, bias)

    def largest_moves(self, x: ArrayLike, y: ArrayLike, count: int = 10) -> Moves:
        """The weights and biases that gradient descent will move most for these samples.

        Parameters
        ----------
        x, y : array_like
            As for `fit`.
        count : int
            How many to list at most.

        Returns
        -------
        Moves
            A tuple of (layer, j, k, gradient, share), the largest |∂C/∂w| first; k is None for a bias, and
            share is its part of the sum of |∂C/∂w| over all parameters. It prints as a table.

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit, or count is not a whole number of at least 1.
        """
        from backprop.explain.moves import largest_moves

        return largest_moves(self, x, y, count)

    def watch_step(self, x: ArrayLike, y: ArrayLike, optimizer: _core.Optimizer) -> StepEffect:
        """Takes one step, as `step` does, and measures what it did to each output and to C.

        Parameters
        ----------
        x, y : array_like
            As for `fit`.
        optimizer : SGD, Adam, AdamW or RMSprop
            As for `step`.

        Returns
        -------
        StepEffect
            ``s.nudges``, the direction that lowers the loss, ``s.before``, ``s.after``, ``s.change``,
            each (n, outputs); ``s.loss_before``, ``s.loss_after``, and ``s.expected``, the change of C that
            the gradient alone predicts. It prints as a table.

        Raises
        ------
        TypeError, ValueError
            If x, y or the optimizer does not fit.
        """
        from backprop.explain.moves import watch_step

        return watch_step(self, x, y, optimizer)

    def draw(
        self,
        x: ArrayLike | None = None,
        y: ArrayLike | None = None,
        *,
        show: str | None = None,
        nodes: int = 10,
    ) -> Drawing:
        """The network as a picture: edges coloured by sign and thick by size, wide layers in part.

        Parameters
        ----------
        x, y : array_like, optional
            Samples, averaged where there are several; with y, arrows at the outputs show the
            direction that lowers the loss.
        show : str, optional
            "weights", "activations" (by default if x is given), "deltas" ∂C_0/∂z, or "gradients" of the
            weights.
        nodes : int
            How many nodes of a layer to draw at most.

        Returns
        -------
        Drawing
            Shows itself in a notebook; ``d.save("net.svg")`` or ``"net.png"``, which needs Matplotlib.

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit, or is missing where it is needed.
        """
        from backprop.draw.scene import draw

        return draw(self, x, y, show, nodes)

    def check_gradient(
        self, x: ArrayLike, y: ArrayLike, *, entries: int = 2000, rng: Seed = 0
    ) -> GradientCheck:
        """Compares the gradient that the engine computes with central differences in float64.

        Parameters
        ----------
        x, y : array_like
            As for `fit`; a few samples are enough.
        entries : int
            How many parameters of a layer, and how many inputs, to compare at most; drawn if there are more.
        rng : optional
            What to draw them with.

        Returns
        -------
        GradientCheck
            ``r.passed``, ``r.max_relative_error``, ``r.compared``, ``r.skipped``, ``r.layers[i]``; prints.

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit, or entries is not a whole number of at least 1.
        """
        from backprop.check.gradient import check_gradient

        return check_gradient(self, x, y, entries, rng)
