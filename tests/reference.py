"""The mathematics of backpropagation in plain Python loops: the oracle of the tests.

It imports nothing of the package, works in Python's floats (float64), and does one thing at a
time, in the notation of the lesson. ``w[j][k]`` is the weight from node k of the layer before to
node j, ``b[j]`` the bias of node j:

    z_j = Σ_k w_jk a_k^(l-1) + b_j,     a_j = g(z_j),     C_0 = loss(a^(L), y)

    ∂C_0/∂w_jk = ∂C_0/∂a_j · ∂a_j/∂z_j · ∂z_j/∂w_jk
    ∂C_0/∂a_k^(l-1) = Σ_j ∂C_0/∂a_j · g'(z_j) · w_jk

Arguments may be nested lists or arrays; results are nested lists.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple


class Layer(NamedTuple):
    """One layer: weights[j][k], bias[j] or None, and the name of the activation function."""

    weights: list
    bias: list | None
    activation: str


# Activation functions and their derivatives, of one number.


def sigmoid(z):
    # Two branches, so that exp never overflows.
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def normal_cdf(z):
    return math.erfc(-z / math.sqrt(2)) / 2


def normal_pdf(z):
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


ELEMENTWISE = {
    "identity": (lambda z: z, lambda z: 1.0),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": (math.tanh, lambda z: (1 - math.tanh(z)) * (1 + math.tanh(z))),
    "relu": (lambda z: max(z, 0.0), lambda z: 1.0 if z > 0 else 0.0),
    "leaky_relu": (lambda z: z if z > 0 else 0.01 * z, lambda z: 1.0 if z > 0 else 0.01),
    "elu": (lambda z: z if z > 0 else math.expm1(z), lambda z: 1.0 if z > 0 else math.exp(z)),
    "gelu": (lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * normal_pdf(z)),
    "silu": (
        lambda z: z * sigmoid(z),
        lambda z: sigmoid(z) * (1 + z * sigmoid(-z)),
    ),
    "softplus": (lambda z: max(z, 0.0) + math.log1p(math.exp(-abs(z))), sigmoid),
}
ACTIVATIONS = (*ELEMENTWISE, "softmax")


def activation(name, z):
    """a_j = g(z_j) for the nodes of one layer; softmax looks at all of z."""
    if name == "softmax":
        top = max(z)
        powers = [math.exp(z_j - top) for z_j in z]
        return [power / sum(powers) for power in powers]
    g, _ = ELEMENTWISE[name]
    return [g(z_j) for z_j in z]


def activation_jacobian(name, z):
    """∂a_j/∂z_i as a matrix [j][i]; diagonal for everything but softmax."""
    nodes = range(len(z))
    if name == "softmax":
        a = activation(name, z)
        return [[a[j] * ((i == j) - a[i]) for i in nodes] for j in nodes]
    _, g_prime = ELEMENTWISE[name]
    return [[g_prime(z[j]) if i == j else 0.0 for i in nodes] for j in nodes]


# Losses of one sample, and their derivatives with respect to one activation output.


def log(a):
    """ln a; -inf at 0 and NaN below, where Python would raise."""
    if a > 0:
        return math.log(a)
    return -math.inf if a == 0 else math.nan


def huber(d):
    return d * d / 2 if abs(d) <= 1 else abs(d) - 0.5


LOSSES = {
    "squared_error": (lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y)),
    # The division by the number of outputs is in loss and loss_derivative below.
    "mean_squared_error": (lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y)),
    "binary_cross_entropy": (
        lambda a, y: -(y * log(a) + (1 - y) * log(1 - a)),
        lambda a, y: (1 - y) / (1 - a) - y / a,
    ),
    "cross_entropy": (lambda a, y: -y * log(a), lambda a, y: -y / a),
    "huber": (lambda a, y: huber(a - y), lambda a, y: max(-1.0, min(1.0, a - y))),
}


def loss(name, a, y):
    """C_0 of one sample: a sum over the output nodes."""
    value, _ = LOSSES[name]
    total = sum(value(a_j, y_j) for a_j, y_j in zip(a, y, strict=True))
    return total / len(a) if name == "mean_squared_error" else total


def loss_derivative(name, a, y):
    """∂C_0/∂a_j for every output node."""
    _, derivative = LOSSES[name]
    share = 1 / len(a) if name == "mean_squared_error" else 1.0
    return [derivative(a_j, y_j) * share for a_j, y_j in zip(a, y, strict=True)]


def stable_loss(name, z, y):
    """C_0 as a function of z^(L) for the two fused pairs: finite for any finite z.

    "binary_cross_entropy" stands behind sigmoid: Σ softplus(z_j) - y_j z_j;
    "cross_entropy" stands behind softmax: Σ y_j (ln Σ_i exp z_i - z_j).
    """
    if name == "binary_cross_entropy":
        softplus, _ = ELEMENTWISE["softplus"]
        return sum(
            y_j * softplus(-z_j) + (1 - y_j) * softplus(z_j) for z_j, y_j in zip(z, y, strict=True)
        )
    top = max(z)
    log_sum = math.log(sum(math.exp(z_j - top) for z_j in z))
    return sum(y_j * (log_sum - (z_j - top)) for z_j, y_j in zip(z, y, strict=True))


def stable_delta(name, z, y):
    """∂C_0/∂z_j of the two fused pairs of :func:`stable_loss`: a - y, and a Σy - y."""
    a = activation("sigmoid" if name == "binary_cross_entropy" else "softmax", z)
    share = 1.0 if name == "binary_cross_entropy" else sum(y)
    return [a_j * share - y_j for a_j, y_j in zip(a, y, strict=True)]


# One sample through the network, and back.


def weighted_sum(weights, bias, a_prev):
    """z_j = Σ_k w_jk a_k^(l-1) + b_j."""
    z = []
    for j, w_j in enumerate(weights):
        z_j = 0.0
        for w_jk, a_k in zip(w_j, a_prev, strict=True):
            z_j += w_jk * a_k
        z.append(z_j if bias is None else z_j + bias[j])
    return z


@dataclass
class Pass:
    """What one sample leaves behind in every layer; index 0 is the layer after the input."""

    z: list = field(default_factory=list)
    a: list = field(default_factory=list)
    dC_da: list = field(default_factory=list)
    dC_dz: list = field(default_factory=list)
    weights: list = field(default_factory=list)  # ∂C_0/∂w_jk per layer
    bias: list = field(default_factory=list)  # ∂C_0/∂b_j per layer, or None
    inputs: list = field(default_factory=list)  # ∂C_0/∂x_k
    loss: float = math.nan


def forward(layers, x):
    """z and a of every layer for one sample x."""
    trace, a_prev = Pass(), list(x)
    for layer in layers:
        trace.z.append(weighted_sum(layer.weights, layer.bias, a_prev))
        a_prev = activation(layer.activation, trace.z[-1])
        trace.a.append(a_prev)
    return trace


def output(layers, x):
    """The activation outputs of the last layer for one sample x."""
    return forward(layers, x).a[-1]


def backward(layers, x, y, loss_name):
    """The whole of backpropagation for one sample: every term and every gradient."""
    x = list(x)
    trace = forward(layers, x)
    trace.loss = loss(loss_name, trace.a[-1], y)
    dC_da = loss_derivative(loss_name, trace.a[-1], y)
    for index in reversed(range(len(layers))):
        layer, a_prev = layers[index], trace.a[index - 1] if index else x
        da_dz = activation_jacobian(layer.activation, trace.z[index])
        nodes = range(len(dC_da))
        dC_dz = [sum(dC_da[j] * da_dz[j][i] for j in nodes) for i in nodes]
        trace.dC_da.insert(0, dC_da)
        trace.dC_dz.insert(0, dC_dz)
        # The third term, ∂z_j/∂w_jk = a_k^(l-1); and ∂z_j/∂b_j = 1.
        trace.weights.insert(0, [[dC_dz_j * a_k for a_k in a_prev] for dC_dz_j in dC_dz])
        trace.bias.insert(0, None if layer.bias is None else list(dC_dz))
        dC_da = [sum(dC_dz[j] * layer.weights[j][k] for j in nodes) for k in range(len(a_prev))]
    trace.inputs = dC_da
    return trace


# Batches.


def average(parts, shares=None):
    """The mean of equally shaped nested lists; with shares, Σ s_i part_i / Σ s_i."""
    shares = [1.0] * len(parts) if shares is None else list(shares)
    if parts[0] is None:
        return None
    if isinstance(parts[0], list):
        return [average(list(column), shares) for column in zip(*parts, strict=True)]
    total = sum(share * part for share, part in zip(shares, parts, strict=True))
    return total / sum(shares)


def batch_gradient(layers, x, y, loss_name, sample_weight=None):
    """The average over a batch of every per-sample gradient, and of the loss."""
    passes = [
        backward(layers, x_i, y_i, loss_name) for x_i, y_i in zip(x, y, strict=True)
    ]
    result = Pass()
    for name in ("weights", "bias", "inputs", "loss"):
        setattr(result, name, average([getattr(p, name) for p in passes], sample_weight))
    return result


def one_hot(labels, outputs):
    """Integer class labels as rows with a single 1."""
    return [[1.0 if j == label else 0.0 for j in range(outputs)] for label in labels]


def classify(a):
    """The class of one sample: its highest output; for one output, whether it is at least 0.5."""
    return int(a[0] >= 0.5) if len(a) == 1 else max(range(len(a)), key=lambda j: a[j])


# Training.


def copy_layers(layers):
    """A copy of the network that may be changed in place."""
    return [
        Layer([list(w_j) for w_j in w], None if b is None else list(b), name)
        for w, b, name in layers
    ]


def flatten(nested):
    """Every number of nested lists in order; None counts as nothing."""
    if nested is None:
        return []
    if isinstance(nested, (list, tuple)):
        return [number for part in nested for number in flatten(part)]
    return [nested]


@dataclass
class SGD:
    """Stochastic gradient descent, the update rule of torch.optim.SGD with dampening 0."""

    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    velocity: dict = field(default_factory=dict)

    def update(self, key, parameter, gradient):
        """The new value of one parameter; the velocity is remembered under its key."""
        gradient = gradient + self.weight_decay * parameter
        if self.momentum:
            velocity = self.momentum * self.velocity.get(key, 0.0) + gradient
            self.velocity[key] = velocity
            gradient = gradient + self.momentum * velocity if self.nesterov else velocity
        return parameter - self.lr * gradient

    def step(self, layers, gradient):
        """Update every weight and bias of the layers in place."""
        for index, layer in enumerate(layers):
            for j, w_j in enumerate(layer.weights):
                for k, w_jk in enumerate(w_j):
                    w_j[k] = self.update((index, j, k), w_jk, gradient.weights[index][j][k])
            for j, b_j in enumerate(layer.bias or ()):
                layer.bias[j] = self.update((index, j), b_j, gradient.bias[index][j])


def train_epoch(layers, x, y, loss_name, optimizer, batch_size, order=None, sample_weight=None):
    """One epoch of minibatches in the given order, in place; returns (loss, accuracy).

    The short last batch is averaged over its own length. Loss and accuracy are those of each
    sample as it was trained on, before the step of its batch.
    """
    order = list(range(len(x))) if order is None else list(order)
    losses, correct = [], 0
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        for i in batch:
            a = output(layers, x[i])
            losses.append(loss(loss_name, a, y[i]))
            correct += classify(a) == classify(y[i])
        shares = None if sample_weight is None else [sample_weight[i] for i in batch]
        gradient = batch_gradient(
            layers, [x[i] for i in batch], [y[i] for i in batch], loss_name, shares
        )
        optimizer.step(layers, gradient)
    shares = None if sample_weight is None else [sample_weight[i] for i in order]
    return average(losses, shares), correct / len(order)
