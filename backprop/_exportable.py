"""Networks for other programs: the methods that write a network in their formats, and read one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backprop._base import BaseNetwork

if TYPE_CHECKING:
    import os
    from typing import Self

    import onnx
    import torch
    from numpy.typing import ArrayLike

    from backprop._types import Seed


class Exportable(BaseNetwork):
    """A network that can be exported; a part of `Network`."""

    def to_onnx(self, path: str | os.PathLike[str] | None = None) -> onnx.ModelProto:
        """The network as an ONNX model, "x" (n, inputs) to "a" (n, outputs), n being free.

        onnxruntime runs it in float32 and float64.

        Parameters
        ----------
        path : str or path, optional
            Where to write it, all of it or nothing. Of a model with more than 2 GiB, which no single
            file of ONNX can hold, the numbers go into a second one, ``path + ".data"``.

        Returns
        -------
        onnx.ModelProto
            The model; without its numbers where these are in a second file.

        Raises
        ------
        ImportError
            If onnx, the extra ``onnx``, is missing.
        ValueError
            If the network has an activation of your own, or more than 2 GiB of numbers and no path.
        """
        from backprop.exports.onnx import to_onnx

        return to_onnx(self, path)

    def to_torch(self) -> torch.nn.Sequential:
        """A ``torch.nn.Sequential`` of Linear, activations and Dropout, with copies of the parameters.

        It is in evaluation mode. Penalties and loss are not part of it.

        Returns
        -------
        torch.nn.Sequential
            Of float32 or float64, as the network.

        Raises
        ------
        ImportError
            If PyTorch is missing.
        ValueError
            If the network has an activation of your own.
        """
        from backprop.exports.torch import to_torch

        return to_torch(self)

    @classmethod
    def from_torch(
        cls, module: torch.nn.Sequential, *, loss: str = "squared_error", seed: Seed = None
    ) -> Self:
        """A network with the layers and copies of the parameters of a ``torch.nn.Sequential``.

        Parameters
        ----------
        module : torch.nn.Sequential
            Of Linear, each with at most one activation behind it: Identity, Sigmoid, Tanh, ReLU, LeakyReLU
            (slope 0.01), ELU, GELU, SiLU, Softplus or Softmax, all with their default settings. A Linear
            with none is a layer with the activation identity. A Dropout may follow, and becomes the layer's
            dropout. Sequentials within it are fine, and so is an activation that comes more than once; a
            Linear that does is refused, because layers share no weights. A Flatten may come first: here
            inputs are rows. Hooks and a LazyLinear that has not been called are refused.
        loss, seed
            As for `Network`.

        Returns
        -------
        Network

        Raises
        ------
        ImportError
            If PyTorch is missing.
        TypeError, ValueError
            If the module has anything else; the message names it.
        """
        from backprop.exports.torch import from_torch

        return from_torch(cls, module, loss, seed)

    def to_c(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        name: str = "network",
        header: str | os.PathLike[str] | None = None,
        integers: bool = False,
        x: ArrayLike | None = None,
    ) -> str:
        """The network as one C99 file that predicts and needs the C standard library only.

        It defines ``void <name>_predict(const real *x, real *a)`` for one sample and, where outputs stand for
        classes, ``int <name>_classify(const real *x)``; real is float or double, the network's dtype. They
        allocate nothing, keep nothing between calls, and their constants are read back as the exact
        parameters. C++ can call and compile it; all names begin with `name`, so that several go together.

        Parameters
        ----------
        path : str or path, optional
            Where to write it, all of it or nothing.
        name : str
            What its names begin with: a C identifier.
        header : str or path, optional
            Where to write a header that declares the functions, for C and C++.
        integers : bool
            Whether to write it in whole numbers, for processors without floating point: int8 weights, int32
            sums, tables for sigmoid, tanh and the like, and no library at all. Then it is ``void
            <name>_predict(const int8_t *x, int32_t *a)`` and ``int32_t <name>_classify(const int8_t *x)``;
            the macros ``<NAME>_X_SCALE``, ``<NAME>_X_ZERO`` and ``<NAME>_A_BITS`` say what x and a stand
            for, and the head how far outputs and classes are from the network's.
        x : array_like, (n, inputs), optional
            For integers=True: samples as those to come, some hundred of them, from which follows what inputs
            and layers span. Inputs should be of one size, as for training: all have one scale.

        Returns
        -------
        str
            The text.

        Raises
        ------
        ValueError
            If the name is none, a parameter is not finite, or an activation is of your own; if integers and x
            do not go together, x does not fit, or a layer has more than 32768 inputs.
        TypeError
            If x does not hold real numbers.
        """
        from backprop.exports.c99 import to_c

        return to_c(self, path, name, header, bool(integers), x)
