"""A network in whole numbers as one C99 file: no floating point, no library, nothing allocated.

Written with MISRA C:2012 in mind: types of fixed width, each conversion written out, a brace for every body,
one exit from each function, no recursion, no shift of a negative number. The arithmetic is that of
`backprop.exports.fixed_point`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from backprop._classes import has_classes
from backprop._validate import as_array
from backprop._version import __version__
from backprop.exports.fixed_point import (
    A_BITS,
    MOST,
    TABLE_END,
    TABLE_OF,
    TABLE_STEPS,
    Z_BITS,
    FixedLayer,
    FixedNetwork,
    fixed_network,
    table_of,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from backprop._base import BaseNetwork

LINE = 100  # characters of a line of constants

HEAD = """\
/* {summary}, in whole numbers: int8 weights, int32 sums. C99; needs no library.
 *
 * Made by backprop {version}. On the {samples} samples that it was made with, outputs differ from those
 * of the network by {mean:.2g} on average and by {most:.2g} at most{classes}.
 *
 * Nothing is allocated and nothing kept between calls. {flash} bytes are constants; {stack} bytes of stack
 * hold the layers.
 */
#include <stdint.h>
"""

DECLARATIONS = """\
#ifdef __cplusplus
extern "C" {{
#endif

/* An input r is given as q, r = {NAME}_X_SCALE * (q - {NAME}_X_ZERO): round r / {NAME}_X_SCALE, add the
 * zero, and hold it within -128 and 127. An output a stands for a / 2^{NAME}_A_BITS. */
#define {NAME}_X_SCALE {scale!r}
#define {NAME}_X_ZERO ({zero})
#define {NAME}_A_BITS {bits}

/* outputs a[{outputs}] of one sample x[{inputs}] */
void {name}_predict(const int8_t x[{inputs}], int32_t a[{outputs}]);
{classify}
#ifdef __cplusplus
}}
#endif
"""

HEADER = """\
/* {name}_predict of a network in whole numbers, made by backprop {version}. */
#ifndef {guard}
#define {guard}

#include <stdint.h>

{declarations}
#endif
"""

DECLARE_CLASSIFY = """\

/* the class of one sample: {meaning} */
int32_t {name}_classify(const int8_t x[{inputs}]);
"""

SCALED = """\
/* value * multiplier / 2^shift, rounded, and held within what an int32 has room for twice; multiplier >= 0 */
static int32_t {name}_scaled(int32_t value, int32_t multiplier, uint32_t shift)
{{
    const int64_t product = (int64_t)value * (int64_t)multiplier;
    const uint64_t size = (product < 0) ? (uint64_t)(-product) : (uint64_t)product;
    const uint32_t before = shift - 1U;
    const uint64_t half = (uint64_t)1U << before;
    const uint64_t rounded = (size + half) >> shift;
    const int32_t result = (rounded > (uint64_t){most}U) ? (int32_t){most} : (int32_t)rounded;

    return (product < 0) ? -result : result;
}}
"""

SUMS = """\
/* z_j = (bias_j + sum over k of w_jk a_k) * multiplier_j / 2^shift; w by rows */
static void {name}_sums(const int8_t a[], uint32_t inputs, const int8_t w[], const int32_t bias[],
                 const int32_t multipliers[], uint32_t shift, int32_t z[], uint32_t outputs)
{{
    for (uint32_t j = 0U; j < outputs; j++) {{
        int32_t sum = bias[j];

        for (uint32_t k = 0U; k < inputs; k++) {{
            sum += (int32_t)w[(j * inputs) + k] * (int32_t)a[k];
        }}
        z[j] = {name}_scaled(sum, multipliers[j], shift);
    }}
}}
"""

TO_BYTES = """\
/* q = zero + a * multiplier / 2^shift, within -128 and 127 */
static void {name}_to_bytes(const int32_t a[], uint32_t nodes, int32_t multiplier, uint32_t shift,
                     int32_t zero, int8_t q[])
{{
    for (uint32_t j = 0U; j < nodes; j++) {{
        int32_t value = {name}_scaled(a[j], multiplier, shift);

        if (value > (127 - zero)) {{
            value = 127 - zero;
        }}
        if (value < (-128 - zero)) {{
            value = -128 - zero;
        }}
        q[j] = (int8_t)(value + zero);
    }}
}}
"""

LOOKED_UP = """\
/* a table's function of t >= 0, with straight lines between its places */
static int32_t {name}_looked_up(const uint16_t table[{entries}], int32_t t)
{{
    const uint32_t most = {last}U << {bits}U;
    const uint32_t at = ((uint32_t)t < most) ? (uint32_t)t : most;
    const uint32_t place = at >> {bits}U;
    const uint32_t rest = at & {rest}U;
    const int32_t here = (int32_t)table[place];
    const int32_t step = ((int32_t)table[place + 1U] - here) * (int32_t)rest;

    return here + (step / {between});
}}
"""

ELEMENTWISE = """\
static void {name}_g_{activation}(int32_t a[], uint32_t nodes)
{{
    for (uint32_t j = 0U; j < nodes; j++) {{
        const int32_t z = a[j];
{body}
    }}
}}
"""

VALUE = "        const int32_t value = {name}_looked_up({name}_{table}, (z < 0) ? -z : z);\n\n"
SHARE = VALUE + "        a[j] = {name}_scaled(z, (z < 0) ? ({one} - value) : value, {a_bits}U);"
BODIES = {
    "relu": "\n        a[j] = (z > 0) ? z : 0;",
    "leaky_relu": "\n        a[j] = (z < 0) ? (z / 100) : z;",
    "sigmoid": VALUE + "        a[j] = (z < 0) ? ({one} - value) : value;",
    "tanh": VALUE + "        a[j] = (z < 0) ? -value : value;",
    "silu": SHARE,
    "gelu": SHARE,
    "softplus": VALUE + "        a[j] = ((z > 0) ? z : 0) + ((value + 4) / 8);",
    "elu": VALUE + "        a[j] = (z < 0) ? -((value + 4) / 8) : z;",
}

SOFTMAX = """\
static void {name}_g_softmax(int32_t a[], uint32_t nodes)
{{
    int32_t largest = a[0];
    uint32_t sum = 0U;

    for (uint32_t j = 1U; j < nodes; j++) {{
        if (a[j] > largest) {{
            largest = a[j];
        }}
    }}
    for (uint32_t j = 0U; j < nodes; j++) {{
        a[j] = {name}_looked_up({name}_table_softmax, largest - a[j]);
        sum += (uint32_t)a[j];
    }}
    for (uint32_t j = 0U; j < nodes; j++) {{
        const uint32_t share = (((uint32_t)a[j] << {a_bits}U) + (sum / 2U)) / sum;

        a[j] = (int32_t)share;
    }}
}}
"""

CLASSIFY = """\
int32_t {name}_classify(const int8_t x[{inputs}])
{{
    int32_t a[{outputs}];
{decide}}}
"""

DECIDE_BETWEEN_MANY = """\
    uint32_t best = 0U;

    {name}_predict(x, a);
    for (uint32_t j = 1U; j < {outputs}U; j++) {{
        if (a[j] > a[best]) {{
            best = j;
        }}
    }}
    return (int32_t)best;
"""

DECIDE_ONE = """\

    {name}_predict(x, a);
    return (a[0] >= {half}) ? 1 : 0;
"""


def integer_source(
    network: BaseNetwork, parameters: NDArray[Any], name: str, x: ArrayLike
) -> tuple[str, str]:
    """The C file and the header of a network with these parameters, which are finite, made with samples x.

    Raises
    ------
    TypeError, ValueError
        If the samples do not fit, or the network is too wide for int32 sums.
    """
    samples = as_array("x", x)
    network(samples)  # raises if they do not fit
    if samples.ndim != 2 or len(samples) == 0:
        raise ValueError(f"x must have shape (n, inputs), got {samples.shape}")
    samples = samples.astype(np.float64)
    fixed = fixed_network(network, parameters, samples)
    declarations = _declarations(network, fixed, name)
    parts = [_head(network, fixed, samples), declarations]
    for number, layer in enumerate(fixed.layers, start=2):
        parts.append(_constants(f"{name}_w{number}", "int8_t", layer.weights))
        parts.append(_constants(f"{name}_b{number}", "int32_t", layer.bias))
        parts.append(_constants(f"{name}_m{number}", "int32_t", layer.to_z.multipliers))
    parts += [SCALED.format(name=name, most=MOST), SUMS.format(name=name)]
    if len(fixed.layers) > 1:
        parts.append(TO_BYTES.format(name=name))
    parts += _activations(fixed, name)
    parts.append(_predict(fixed, name))
    if has_classes(network, False):
        parts.append(_classify(fixed, name))
    header = HEADER.format(
        name=name, version=__version__, guard=f"{name.upper()}_H", declarations=declarations
    )
    return "\n".join(parts), header


def _sizes(fixed: FixedNetwork) -> tuple[int, int]:
    """Inputs and outputs."""
    return fixed.layers[0].weights.shape[1], len(fixed.layers[-1].weights)


def _widest(fixed: FixedNetwork) -> int:
    """The most nodes of a hidden layer."""
    return max((len(layer.weights) for layer in fixed.layers[:-1]), default=0)


def _head(network: BaseNetwork, fixed: FixedNetwork, samples: NDArray[Any]) -> str:
    a = fixed.outputs(fixed.inputs.of(samples)) / 2**fixed.bits
    expected = network(samples)
    apart = np.abs(a - expected)
    classes = ""
    if has_classes(network, False):
        one = a.shape[1] == 1
        same = ((a >= 0.5) == (expected >= 0.5)) if one else a.argmax(axis=1) == expected.argmax(axis=1)
        classes = f";\n * {same.mean():.2%} of the classes are the same"
    sizes = [layer.weights.size + 8 * len(layer.bias) for layer in fixed.layers]
    tables = {TABLE_OF[layer.activation] for layer in fixed.layers if layer.activation in TABLE_OF}
    return HEAD.format(
        version=__version__,
        summary="-".join(map(str, (_sizes(fixed)[0], *(len(layer.weights) for layer in fixed.layers)))),
        samples=f"{len(samples):,}",
        mean=apart.mean(),
        most=apart.max(),
        classes=classes,
        flash=sum(sizes) + 2 * len(tables) * (TABLE_STEPS * TABLE_END + 2),
        stack=5 * _widest(fixed),
    )


def _declarations(network: BaseNetwork, fixed: FixedNetwork, name: str) -> str:
    inputs, outputs = _sizes(fixed)
    meaning = "index of the largest output" if outputs > 1 else "1 if the output is at least 0.5, else 0"
    declared = DECLARE_CLASSIFY.format(meaning=meaning, name=name, inputs=inputs)
    return DECLARATIONS.format(
        name=name,
        NAME=name.upper(),
        inputs=inputs,
        outputs=outputs,
        scale=fixed.inputs.scale,
        zero=fixed.inputs.zero,
        bits=fixed.bits,
        classify=declared if has_classes(network, False) else "",
    )


def _activations(fixed: FixedNetwork, name: str) -> list[str]:
    """Tables and functions of the activations that occur."""
    used = list(dict.fromkeys(layer.activation for layer in fixed.layers))
    tables = list(dict.fromkeys(TABLE_OF[activation] for activation in used if activation in TABLE_OF))
    parts = [_constants(f"{name}_table_{table}", "uint16_t", table_of(table)) for table in tables]
    last, bits = TABLE_STEPS * TABLE_END, Z_BITS - (TABLE_STEPS.bit_length() - 1)
    if tables:
        parts.append(
            LOOKED_UP.format(
                name=name, entries=last + 2, last=last, bits=bits, rest=(1 << bits) - 1, between=1 << bits
            )
        )
    for activation in used:
        if activation == "softmax":
            parts.append(SOFTMAX.format(name=name, a_bits=A_BITS))
        elif activation != "identity":
            table = f"table_{TABLE_OF.get(activation)}"
            body = BODIES[activation].format(name=name, table=table, one=1 << A_BITS, a_bits=A_BITS)
            parts.append(ELEMENTWISE.format(name=name, activation=activation, body=body))
    return parts


def _predict(fixed: FixedNetwork, name: str) -> str:
    inputs, outputs = _sizes(fixed)
    widest = _widest(fixed)
    lines = [f"void {name}_predict(const int8_t x[{inputs}], int32_t a[{outputs}])", "{"]
    if widest:
        lines += [f"    int8_t h[{widest}];", f"    int32_t z[{widest}];", ""]
    source = "x"
    for number, layer in enumerate(fixed.layers, start=2):
        to = "z" if layer.to_bytes is not None else "a"
        lines += _layer(layer, name, number, source, to)
        source = "h"
    return "\n".join([*lines, "}\n"])


def _layer(layer: FixedLayer, name: str, number: int, source: str, to: str) -> list[str]:
    """The calls of one layer."""
    outputs, inputs = layer.weights.shape
    constants = f"{name}_w{number}, {name}_b{number}, {name}_m{number}, {layer.to_z.shift}U"
    lines = [f"    {name}_sums({source}, {inputs}U, {constants}, {to}, {outputs}U);"]
    if layer.activation != "identity":
        lines.append(f"    {name}_g_{layer.activation}({to}, {outputs}U);")
    if layer.to_bytes is not None and layer.outputs is not None:
        scaling = f"{int(layer.to_bytes.multipliers[0])}, {layer.to_bytes.shift}U, {layer.outputs.zero}"
        lines.append(f"    {name}_to_bytes({to}, {outputs}U, {scaling}, h);")
    return lines


def _classify(fixed: FixedNetwork, name: str) -> str:
    inputs, outputs = _sizes(fixed)
    decide = DECIDE_BETWEEN_MANY if outputs > 1 else DECIDE_ONE
    decided = decide.format(name=name, outputs=outputs, half=max(1, (1 << fixed.bits) // 2))
    return CLASSIFY.format(name=name, inputs=inputs, outputs=outputs, decide=decided)


def _constants(name: str, kind: str, values: NDArray[np.int64]) -> str:
    """An array of whole numbers."""
    suffix = "U" if kind.startswith("u") else ""
    text = ", ".join(f"{value}{suffix}" for value in values.ravel().tolist())
    lines = re.findall(rf".{{1,{LINE}}}(?:,|$) ?", text)
    body = "\n".join("    " + line.rstrip() for line in lines)
    return f"static const {kind} {name}[{values.size}] = {{\n{body}\n}};\n"
