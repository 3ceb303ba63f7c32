"""Random trainings of populations, and of the same networks by fit, one after the other.

``python populations.py FIRST LAST WAY`` compares the cases of these numbers, with the instruction set of
BACKPROP_ISA.
"""

import sys
from dataclasses import dataclass, field

import numpy as np
from numpy.testing import assert_array_equal

import backprop as bp
from backprop import _core

ACTIVATIONS = _core.activations
LOSSES = _core.losses
MEMBERS = (1, 2, 7, 15, 16, 17, 33, 100)
MANY = 150  # more than a block of the widest vectors has
LOSSES_OF_NODES = ("huber", "mean_squared_error", "squared_error")
NUMBERS = ("lr", "momentum", "weight_decay", "beta_1", "beta_2", "eps", "clip_norm", "clip_value")


@dataclass
class Case:
    """One training. What is None or {} is not asked for."""

    seed: int
    sizes: tuple
    activations: tuple
    loss: str
    dtype: str
    members: int
    optimizer: str
    x: np.ndarray
    y: np.ndarray
    epochs: int
    batch_size: int
    shuffle: bool | str
    settings: list = field(default_factory=list)  # of each member's optimizer
    layers: dict = field(default_factory=dict)
    beside: dict = field(default_factory=dict)  # sample_weight, target_mask, samples, validation
    own: tuple = ()
    schedule: bool = False
    norms: bool = False
    threads: int = 1
    twins: bool = False  # all members have the same seed
    penalties: np.ndarray | None = None  # (members, layers, 2): l1 and l2

    def network(self, member):
        widths = zip(self.sizes[:-1], self.sizes[1:], self.activations, strict=True)
        each = [self.layers] * (len(self.sizes) - 2) + [{"bias": self.layers["bias"]}]
        if self.penalties is not None:
            each = [
                own | {"l1": l1, "l2": l2}
                for own, (l1, l2) in zip(each, self.penalties[member].tolist(), strict=True)
            ]
        layers = [bp.Layer(i, j, g, **own) for (i, j, g), own in zip(widths, each, strict=True)]
        seed = 1000 * self.seed + (0 if self.twins else member)
        return bp.Network(*layers, loss=self.loss, dtype=self.dtype, seed=seed)

    def rate(self, member):
        rate = self.settings[member]["lr"]
        return bp.schedules.Exponential(rate, 0.99) if self.schedule else rate

    def optimizer_of(self, member):
        return getattr(bp, self.optimizer)(**{**self.settings[member], "lr": self.rate(member)})

    def of_member(self, name, member):
        value = self.beside.get(name)
        return value[member] if value is not None and name in self.own else value


def row_of(optimizer):
    """A member's numbers as the engine takes them."""
    given = optimizer.settings
    betas = given.get("betas", (0.9, given.get("alpha", 0.99)))
    return [
        0.1 if callable(optimizer.lr) else optimizer.lr,
        given.get("momentum", 0),
        given.get("weight_decay", 0),
        *betas,
        given.get("eps", 1e-8),
        np.inf if given.get("clip_norm") is None else given["clip_norm"],
        np.inf if given.get("clip_value") is None else given["clip_value"],
    ]


def random_case(seed):
    """The case of this number; the same for every instruction set."""
    rng = np.random.default_rng([7, seed])

    def choose(*choices):
        return choices[rng.integers(len(choices))]

    def maybe(probability):
        return rng.random() < probability

    dtype = choose("float32", "float64")
    sizes = tuple(int(n) for n in rng.choice([1, 2, 3, 4, 5, 8, 15, 16, 17, 24, 33], rng.integers(2, 5)))
    loss = choose(*LOSSES)
    if loss == "cross_entropy":  # an output for each class
        sizes = (*sizes[:-1], max(2, sizes[-1]))
    last = {name: choose("sigmoid", "softmax") for name in ("binary_cross_entropy", "cross_entropy")}
    activations = [choose(*ACTIVATIONS) for _ in sizes[2:]] + [last.get(loss) or choose(*ACTIVATIONS)]
    members, n = choose(*MEMBERS), int(rng.integers(1, choose(40, 40, 40, 200)))
    if np.prod(sizes) > 2000:
        members, n = min(members, 33), min(n, 100)
    optimizer = choose("SGD", "SGD", "SGD", "Adam", "AdamW", "RMSprop")
    own = tuple(name for name in ("x", "y", "sample_weight", "target_mask") if maybe(0.25))
    validated, labels = maybe(0.3), sizes[-1] > 1 and maybe(0.4)
    chosen, twins = maybe(0.25), maybe(0.25)
    penalties = None
    if maybe(0.2):
        penalties = rng.choice([0, 0.01, 0.1], (1 if maybe(0.3) else members, len(sizes) - 1, 2))
        penalties = np.broadcast_to(penalties, (members, *penalties.shape[1:])).copy()

    def array_of(name, make, *shape):
        return make((members, *shape) if name in own else shape)

    def targets(shape):
        return rng.integers(0, sizes[-1], shape[:-1]) if labels else rng.random(shape).astype(dtype)

    def masks(shape):
        return rng.random(shape) < 0.7

    def weights(shape):
        w = rng.random(shape) * (rng.random(shape) < (1 if chosen else 0.8))
        w[..., 0] = 1
        return w

    x = array_of("x", lambda shape: rng.normal(size=shape).astype(choose(dtype, "float64")), n, sizes[0])
    y = array_of("y", targets, n, sizes[-1])
    beside = {}
    if maybe(0.3):
        beside["sample_weight"] = array_of("sample_weight", weights, n)
    if not labels and maybe(0.2):
        beside["target_mask"] = array_of("target_mask", masks, n, sizes[-1])
    if chosen:
        rows = rng.integers(0, n, (1 if twins else members, rng.integers(1, 50))).astype(np.uint32)
        beside["samples"] = np.repeat(rows, members // len(rows), axis=0)
    if validated:
        beside["validation"] = (rng.normal(size=(9, sizes[0])), targets((9, sizes[-1])))
    same = maybe(0.4)
    settings = [random_settings(rng, optimizer) for _ in range(1 if same else members)]
    for each in settings:  # nesterov is the same for all, and needs momentum
        each.pop("nesterov", None)
        if seed % 2 and all("momentum" in other for other in settings):
            each |= {"nesterov": True} if optimizer == "SGD" else {}
    return Case(
        seed=seed,
        sizes=sizes,
        activations=tuple(activations),
        loss=loss,
        dtype=dtype,
        members=members,
        optimizer=optimizer,
        x=x,
        y=y,
        epochs=int(rng.integers(1, 5)),
        batch_size=choose(1, 1, 2, 5, 8, 16, 32, 64, 150),
        shuffle=choose(True, True, False, "shared"),
        settings=settings * members if same else settings,
        layers={
            "bias": not maybe(0.2),
            **({"dropout": 0.3} if maybe(0.2) else {}),
            **({"l1": 0.01} if maybe(0.15) else {}),
            **({"l2": 0.02} if maybe(0.15) else {}),
        },
        beside=beside,
        own=(*own, "samples") if chosen else own,
        schedule=maybe(0.2),
        norms=maybe(0.15),
        threads=choose(1, 2, 7),
        twins=twins,
        penalties=penalties,
    )


def smallest_case(activation, own=()):
    """Plain steps, a sample each, of networks with a few nodes of this activation in every layer."""
    number = ACTIVATIONS.index(activation)
    case, rng = random_case(number), np.random.default_rng(number)
    case.sizes, case.activations, case.own = (2, 3, 2, 1 + number // 2 % 2), 3 * (activation,), own
    case.loss, case.members, case.layers = LOSSES_OF_NODES[number % 3], MANY, {"bias": number % 2 > 0}
    case.penalties, case.beside, case.optimizer, case.batch_size = None, {}, "SGD", 1
    case.settings = [{"lr": 0.1 + 0.001 * i} for i in range(MANY)]
    case.x, case.y = (
        rng.random((MANY, 9, width) if name in own else (9, width)).astype(case.dtype)
        for name, width in (("x", 2), ("y", case.sizes[-1]))
    )
    if not own:
        case.beside = {"validation": (rng.random((5, 2)), rng.random((5, case.sizes[-1])))}
    if "sample_weight" in own:
        case.beside = {"sample_weight": rng.integers(0, 3, (MANY, 9)) + np.eye(9)[0]}
    return case


def random_settings(rng, optimizer):
    """Numbers of one optimizer; rates are small enough, and now and then too large."""
    lr = 10.0 ** rng.uniform(-3, -1) if rng.random() < 0.97 else 1e4
    settings = {"lr": lr if optimizer == "SGD" or lr > 1 else lr / 10}
    if rng.random() < 0.2:
        settings["weight_decay"] = 0.01
    if optimizer in ("SGD", "RMSprop") and rng.random() < 0.4:
        settings["momentum"] = float(rng.uniform(0.1, 0.9))
    if rng.random() < 0.15:
        settings["clip_norm"] = 0.5
    elif rng.random() < 0.15:
        settings["clip_value"] = 0.05
    return settings


def new_record(members, epochs):
    """What _train_population writes to: of all figures but the seconds."""
    return tuple(None if name == "seconds" else np.full((epochs, members), np.nan) for name in _core.figures)


def train_population(case, way="fastest"):
    """(the networks, whose generators were drawn from, what the engine was given to write to)."""
    nets = [case.network(i) for i in range(case.members)]
    optimizers = [case.optimizer_of(i) for i in range(case.members)]
    parameters = np.stack([net.parameters for net in nets])
    momentum = any(each.get("momentum", 0) for each in case.settings)
    count = {"SGD": int(momentum), "RMSprop": 1 + int(momentum)}.get(case.optimizer, 2)
    states = tuple(np.zeros_like(parameters) for _ in range(count))
    samples = case.beside["samples"].shape[1] if "samples" in case.beside else case.x.shape[-2]
    all_steps = case.epochs * -(-samples // case.batch_size)
    rates = None
    if case.schedule:
        rates = np.stack([bp.schedules.rates(o.lr, 0, all_steps) for o in optimizers])
    result = {
        "parameters": parameters,
        "states": states,
        "steps": np.zeros(case.members, np.uint64),
        "active": np.ones(case.members, bool),
        "record": new_record(case.members, case.epochs),
    }
    shared = np.random.default_rng(case.seed).bit_generator
    case.network(0)._train_population(
        **result,
        optimizer=optimizers[0],
        numbers=np.array([row_of(o) for o in optimizers]),
        rates=rates,
        penalties=case.penalties,
        x=case.x,
        y=case.y,
        **case.beside,
        own_x="x" in case.own,
        own_y="y" in case.own,
        own_weight="sample_weight" in case.own and "sample_weight" in case.beside,
        own_mask="target_mask" in case.own and "target_mask" in case.beside,
        epochs=case.epochs,
        batch_size=case.batch_size,
        shuffle=bool(case.shuffle),
        bit_generators=shared if case.shuffle == "shared" else [net.rng.bit_generator for net in nets],
        norms=case.norms,
        threads=case.threads,
        way=way,
    )
    return nets, result


def train_alone(case, member):
    """(network, optimizer, history or None where it diverged) of one member by fit."""
    net, optimizer = case.network(member), case.optimizer_of(member)
    x = case.x[member] if "x" in case.own else case.x
    y = case.y[member] if "y" in case.own else case.y
    beside = {name: case.of_member(name, member) for name in ("sample_weight", "target_mask")}
    if "samples" in case.beside:
        rows = case.beside["samples"][member]
        x, y = x[rows], y[rows]
        beside = {name: None if value is None else value[rows] for name, value in beside.items()}
    seen = []
    try:
        net.fit(
            x,
            y,
            optimizer,
            epochs=case.epochs,
            batch_size=case.batch_size,
            shuffle=bool(case.shuffle),
            rng=np.random.default_rng(case.seed) if case.shuffle == "shared" else None,
            validation=case.beside.get("validation"),
            threads=1,
            norms=case.norms,
            callbacks=[lambda _, record: seen.append(record)],
            **beside,
        )
    except bp.DivergenceError:
        return net, optimizer, seen, False
    return net, optimizer, seen, True


def compare(case, way="fastest"):
    """Whether all members have the bits that fit alone gives them."""
    nets, result = train_population(case, way)
    for i in range(case.members):
        net, optimizer, seen, finite = train_alone(case, i)
        where = f"case {case.seed}, member {i}"
        assert result["active"][i] == finite, where
        assert_array_equal(result["parameters"][i], net.parameters, where)
        for mine, theirs in zip(result["states"], optimizer.state, strict=False):
            assert_array_equal(mine[i], theirs, where)
        assert result["steps"][i] == optimizer.steps, where
        for name, figures in zip(_core.figures, result["record"], strict=True):
            if figures is None or (name == "accuracy" and "target_mask" in case.beside):
                continue
            column = figures[:, i]
            if name in (seen[0] if seen else ()):
                assert_array_equal(column[: len(seen)], [record[name] for record in seen], f"{where}: {name}")
            assert np.isnan(column[len(seen) :]).all(), where
        if finite and case.shuffle != "shared":
            assert nets[i].rng.bit_generator.state == net.rng.bit_generator.state, where


if __name__ == "__main__":
    first, last, way_asked = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    for number in range(first, last):
        compare(random_case(number), way_asked)
    for activation in ACTIVATIONS:
        compare(smallest_case(activation), way_asked)
    print(f"{last - first} cases with {_core.isa}")
