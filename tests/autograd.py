"""The same networks in PyTorch, whose autograd the engine is compared with. Works in float64."""

import numpy as np
import torch
import torch.nn.functional as F

# The softplus of PyTorch turns into the identity at its threshold of 20, which is 2e-9 too coarse.
ACTIVATIONS = {
    "identity": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky_relu": lambda z: F.leaky_relu(z, 0.01),
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": lambda z: F.softplus(z, threshold=1e6),
    "softmax": lambda z: F.softmax(z, dim=-1),
}


def losses(loss, activation, z, a, y):
    """C_0 of every sample, (n,); PyTorch's own fused forms where it has them."""
    if loss == "binary_cross_entropy":
        if activation == "sigmoid":
            return F.binary_cross_entropy_with_logits(z, y, reduction="none").sum(1)
        return F.binary_cross_entropy(a, y, reduction="none").sum(1)
    if loss == "cross_entropy":
        if activation == "softmax":
            return F.cross_entropy(z, y, reduction="none")
        return -(y * torch.log(a)).sum(1)
    if loss == "huber":
        return F.huber_loss(a, y, reduction="none").sum(1)
    squared = F.mse_loss(a, y, reduction="none")
    return squared.mean(1) if loss == "mean_squared_error" else squared.sum(1)


def tensor(values):
    return torch.tensor(np.asarray(values, np.float64), requires_grad=True)


def parameters(net):
    """One (weights, bias or None) of leaf tensors per layer."""
    return [
        (tensor(layer.weights), None if layer.bias is None else tensor(layer.bias))
        for layer in net.layers
    ]


def forward(net, x, y, leaves, each=False):
    """C_0 per sample and the z of every layer. each: the leaves have a leading n."""
    a, z_of = x, []
    for layer, (weights, bias) in zip(net.layers, leaves, strict=True):
        z = torch.einsum("njk,nk->nj", weights, a) if each else a @ weights.T
        z = z if bias is None else z + bias
        a = ACTIVATIONS[str(layer.activation)](z)
        z_of.append(z)
    return losses(net.loss_name, str(layer.activation), z, a, torch.tensor(y)), z_of


def copies(leaf, n):
    """n copies of a leaf tensor as one leaf with a leading n; None stays None."""
    return None if leaf is None else leaf.detach().expand(n, *leaf.shape).clone().requires_grad_()


class Result:
    """Gradients of one batch, averaged and per sample, as NumPy arrays in float64.

    weights[l], bias[l] (or None), inputs, loss; the same with the suffix _each and a leading n;
    z[l] (n, nodes).
    """

    def __init__(self, net, x, y):
        n = len(x)
        x_leaf, leaves = tensor(x), parameters(net)
        c_0, z = forward(net, x_leaf, y, leaves)
        c_0.mean().backward()
        self.z = [z_l.detach().numpy() for z_l in z]
        self.loss, self.loss_each = c_0.mean().item(), c_0.detach().numpy()
        self.weights = [w.grad.numpy() for w, _ in leaves]
        self.bias = [None if b is None else b.grad.numpy() for _, b in leaves]
        # A sample has a share of 1/n in C, so that the sum over samples is their mean.
        self.inputs = x_leaf.grad.sum(0).numpy()
        # A copy of the parameters for every sample: one backward pass gives all n gradients.
        leaves = [tuple(copies(p, n) for p in pair) for pair in leaves]
        forward(net, x_leaf.detach(), y, leaves, each=True)[0].sum().backward()
        self.weights_each = [w.grad.numpy() for w, _ in leaves]
        self.bias_each = [None if b is None else b.grad.numpy() for _, b in leaves]
        self.inputs_each = x_leaf.grad.numpy() * n

    def arrays(self):
        """Every (name, averaged gradient, per-sample gradients)."""
        for index, (weights, bias) in enumerate(zip(self.weights, self.bias, strict=True)):
            yield f"weights of layer {index}", weights, self.weights_each[index]
            if bias is not None:
                yield f"bias of layer {index}", bias, self.bias_each[index]
        yield "inputs", self.inputs, self.inputs_each
