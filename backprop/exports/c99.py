"""A network as one C99 file that predicts and depends on nothing but the C standard library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._classes import has_classes
from backprop._version import __version__
from backprop.exports.integers import integer_source
from backprop.files.writing import refuse_own_functions, write_whole
from backprop.layer import arrays_of

if TYPE_CHECKING:
    import os

    from numpy.typing import ArrayLike, NDArray

    from backprop._base import BaseNetwork
    from backprop.layer import Layer

NUMBERS_A_LINE = 8

# g(z) in C; {f} is the suffix of the float functions. Only exp of what is not positive is taken: no overflow.
ELEMENTWISE = {
    "sigmoid": "z >= 0 ? 1 / (1 + exp{f}(-z)) : exp{f}(z) / (1 + exp{f}(z))",
    "tanh": "tanh{f}(z)",
    "relu": "z > 0 ? z : 0",
    "leaky_relu": "z > 0 ? z : (real)0.01 * z",
    "elu": "z > 0 ? z : expm1{f}(z)",
    "gelu": "(real)0.5 * z * erfc{f}(-z * (real)0.70710678118654752440)",
    "silu": "z >= 0 ? z / (1 + exp{f}(-z)) : z * exp{f}(z) / (1 + exp{f}(z))",
    "softplus": "(z > 0 ? z : 0) + log1p{f}(exp{f}(-fabs{f}(z)))",
}

SOFTMAX = """\
static void g_softmax(real *a, int nodes)
{
    real largest = a[0], sum = 0;
    for (int j = 1; j < nodes; j++)
        largest = a[j] > largest ? a[j] : largest;
    for (int j = 0; j < nodes; j++)
        sum += a[j] = exp{f}(a[j] - largest);
    for (int j = 0; j < nodes; j++)
        a[j] /= sum;
}
"""

ACTIVATION = """\
static void {prefix}_g_{name}(real *a, int nodes)
{{
    for (int j = 0; j < nodes; j++) {{
        const real z = a[j];
        a[j] = {body};
    }}
}}
"""

HEAD = """\
/* {summary}
 *
 * Made by backprop {version}. C99; link with -lm.
 *
 * Nothing is allocated and nothing kept between calls; {stack} bytes of stack hold the hidden layers.
 */
#include <math.h>
"""

DECLARATIONS = """\
#ifdef __cplusplus
extern "C" {{
#endif

/* outputs a[{outputs}] of one sample x[{inputs}] */
void {name}_predict(const real *x, real *a);
{classify}
#ifdef __cplusplus
}}
#endif
"""

DECLARE_CLASSIFY = """\

/* the class of one sample: {meaning} */
int {name}_classify(const real *x);
"""

HEADER = """\
/* {name}_predict of a network, made by backprop {version}. */
#ifndef {guard}
#define {guard}

{declarations}
#endif
"""

WEIGHTED_SUM = """\
/* z_j = sum over k of w_jk a_k + b_j; w by rows (outputs, inputs), b may be 0 */
static void weighted_sum(const real *a, int inputs, const real *w, const real *b, real *z, int outputs)
{
    for (int j = 0; j < outputs; j++) {
        real sum = 0;
        for (int k = 0; k < inputs; k++)
            sum += w[(long)j * inputs + k] * a[k];
        z[j] = b ? sum + b[j] : sum;
    }
}
"""

CLASSIFY = """\
int {name}_classify(const real *x)
{{
    real a[{outputs}];
    {name}_predict(x, a);
{decide}}}
"""

DECIDE_BETWEEN_MANY = """\
    int best = 0;
    for (int j = 1; j < {outputs}; j++)
        if (a[j] > a[best])
            best = j;
    return best;
"""

DECIDE_ONE = "    return a[0] >= (real)0.5;\n"


def to_c(
    network: BaseNetwork,
    path: str | os.PathLike[str] | None,
    name: str,
    header: str | os.PathLike[str] | None,
    integers: bool,
    x: ArrayLike | None,
) -> str:
    """`Network.to_c`, which documents it."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(f"name must be a C identifier that begins with a letter, got {name!r}")
    if integers != (x is not None):
        raise ValueError(
            "integers=True needs x=, samples that say what its numbers span"
            if integers
            else "x is for integers=True, of which it says what the numbers span"
        )
    refuse_own_functions(network)
    parameters = network._locked(network.parameters.copy)
    if not np.isfinite(parameters).all():
        raise ValueError("the network has parameters that are not finite")
    if x is not None:
        text, declared = integer_source(network, parameters, name, x)
    else:
        text = _source(network, parameters, name)
        declared = HEADER.format(
            name=name,
            version=__version__,
            guard=f"{name.upper()}_H",
            declarations=_of_type(network, _declarations(network, name)),
        )
    if header is not None:
        write_whole(header, declared.encode())
    if path is not None:
        write_whole(path, text.encode())
    return text


def _of_type(network: BaseNetwork, text: str) -> str:
    """The text with the network's type in place of `real`."""
    return re.sub(r"\breal\b", "float" if network.dtype == np.float32 else "double", text)


def _declarations(network: BaseNetwork, name: str) -> str:
    """What other files call; for C++ too."""
    outputs = network.layers[-1].outputs
    meaning = "index of the largest output" if outputs > 1 else "1 if the output is at least 0.5, else 0"
    classify = DECLARE_CLASSIFY.format(meaning=meaning, name=name) if has_classes(network, False) else ""
    return DECLARATIONS.format(
        name=name, inputs=network.layers[0].inputs, outputs=outputs, classify=classify
    )


def _source(network: BaseNetwork, parameters: NDArray[Any], name: str) -> str:
    layers = network.layers
    suffix = "f" if network.dtype == np.float32 else ""
    parts = [_head(network), _declarations(network, name)]
    for number, (weights, bias) in enumerate(arrays_of(layers, parameters), start=2):
        parts.append(_constants(f"{name}_w{number}", weights, suffix))
        if bias is not None:
            parts.append(_constants(f"{name}_b{number}", bias, suffix))
    parts.append(WEIGHTED_SUM.replace("weighted_sum", f"{name}_weighted_sum"))
    for activation in dict.fromkeys(str(layer.activation) for layer in layers):
        if activation == "softmax":
            parts.append(SOFTMAX.replace("{f}", suffix).replace("g_softmax", f"{name}_g_softmax"))
        elif activation != "identity":
            body = ELEMENTWISE[activation].format(f=suffix)
            parts.append(ACTIVATION.format(prefix=name, name=activation, body=body))
    parts.append(_predict(layers, name))
    if has_classes(network, False):
        outputs = layers[-1].outputs
        decide = DECIDE_BETWEEN_MANY.format(outputs=outputs) if outputs > 1 else DECIDE_ONE
        parts.append(CLASSIFY.format(name=name, outputs=outputs, decide=decide))
    return _of_type(network, "\n".join(parts))


def _hidden(layers: Sequence[Layer]) -> tuple[int, int]:
    """How many arrays the hidden layers need in turn, and how long."""
    return min(2, len(layers) - 1), max((layer.outputs for layer in layers[:-1]), default=0)


def _head(network: BaseNetwork) -> str:
    layers = network.layers
    buffers, widest = _hidden(layers)
    return HEAD.format(
        version=__version__,
        summary="-".join(str(size) for size in (layers[0].inputs, *(layer.outputs for layer in layers))),
        stack=buffers * widest * network.dtype.itemsize,
    )


def _predict(layers: Sequence[Layer], name: str) -> str:
    lines = [f"void {name}_predict(const real *x, real *a)", "{"]
    buffers, widest = _hidden(layers)
    if buffers:
        lines.append("    real " + ", ".join(f"h{i}[{widest}]" for i in range(buffers)) + ";")
    source = "x"
    for i, layer in enumerate(layers):
        target = "a" if i == len(layers) - 1 else f"h{i % 2}"
        bias = "0" if layer.bias is None else f"{name}_b{i + 2}"
        lines.append(
            f"    {name}_weighted_sum({source}, {layer.inputs}, {name}_w{i + 2}, {bias}, {target}, "
            f"{layer.outputs});"
        )
        if str(layer.activation) != "identity":
            lines.append(f"    {name}_g_{layer.activation}({target}, {layer.outputs});")
        source = target
    return "\n".join([*lines, "}\n"])


def _constants(name: str, values: NDArray[Any], suffix: str) -> str:
    """An array in the shortest decimal constants that are read back as the same numbers."""
    texts = [np.format_float_scientific(value, unique=True, trim="0") + suffix for value in values.ravel()]
    lines = [
        "    " + ", ".join(texts[i : i + NUMBERS_A_LINE]) for i in range(0, len(texts), NUMBERS_A_LINE)
    ]
    return f"static const real {name}[{len(texts)}] = {{\n" + ",\n".join(lines) + ",\n};\n"
