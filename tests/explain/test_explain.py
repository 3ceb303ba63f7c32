"""`Network.explain`: every number against the engine's gradient, and what it shows of them."""

import re

import numpy as np
import pytest
import reference
from cases import CASES
from conftest import assert_close, assert_same_bits, make_data, make_network

import backprop as bp

FIFTY = CASES[:250:5]  # an odd stride: both dtypes


def ulps(actual, expected):
    """The largest distance in units in the last place of the expected."""
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        distance = np.abs(actual - expected) / np.spacing(np.maximum(np.abs(expected), np.abs(actual)))
    return np.where(same, 0, distance).max(initial=0)


@pytest.fixture
def hidden():
    """A float64 network of three layers, with data: net, x (5, 3), y (5, 4)."""
    net = make_network((3, 5, 6, 4), ("tanh", "softplus", "sigmoid"))
    return net, *make_data(net, 5)


def test_there_are_fifty_networks_of_every_kind():
    assert len(FIFTY) == 50
    assert {case.dtype for case in FIFTY} == {"float32", "float64"}
    assert {name for case in FIFTY for name in case.activations} == set(reference.ACTIVATIONS)


@pytest.mark.parametrize("case", FIFTY, ids=str)
def test_products_are_the_per_sample_gradient(case):
    """Within 4 ulp for every weight and bias; and the three terms multiply to it, elementwise.

    Both sides round one product; the three terms in another order, so two roundings more of the
    product, of the sigmoid's and tanh's derivative or, fused, of the whole delta.
    """
    net = case.network()
    x, y, _ = case.data()
    gradient = net.gradient(x, y, per_sample=True)
    eps = np.finfo(net.dtype).eps
    for index, (layer, expected) in enumerate(zip(net.layers, gradient.layers, strict=True)):
        e = net.explain(x, y, index)
        assert e.product.shape == e.dC_da.shape == e.dz_dw.shape == expected.weights.shape
        assert e.product.dtype == net.dtype
        assert ulps(e.product, expected.weights) <= 4
        assert_close(e.mean, expected.weights.astype(np.float64).mean(axis=0), 64 * eps)
        if layer.bias is not None:
            bias = net.explain(x, y, index, bias=True)
            assert ulps(bias.product, expected.bias) <= 4
        if str(layer.activation) == "softmax":
            continue
        fused = index + 1 == len(net.layers) and net.loss_name == "binary_cross_entropy"
        terms = e.dC_da * e.da_dz * e.dz_dw
        with np.errstate(invalid="ignore"):
            error = np.abs(terms - e.product) / np.abs(e.product)
        # Fused, a - y is one rounding of y and a each, which cancel where they are near.
        assert np.nanmax(error, initial=0) <= (256 if fused else 4) * eps


@pytest.mark.parametrize("case", FIFTY[::5], ids=str)
def test_one_weight_is_its_entry_of_all(case):
    net = case.network()
    x, y, _ = case.data()
    rng = np.random.default_rng(case.seed)
    for index, layer in enumerate(net.layers):
        j, k = int(rng.integers(layer.outputs)), int(rng.integers(layer.inputs))
        one, everything = net.explain(x, y, index, j, k), net.explain(x, y, index)
        for name in ("dC_da", "da_dz", "dz_dw", "product"):
            assert_same_bits(getattr(one, name), getattr(everything, name)[:, j, k], name)
        assert_same_bits(one.product, everything[j, k].product)
        assert one.mean.product == pytest.approx(everything.mean[j, k], rel=1e-4, abs=1e-9)
        assert one.value == layer.weights[j, k]


def all_chains(entry, depth):
    """Every node of a chain, opened to the output layer."""
    yield entry, depth
    for inner in entry.chain:
        yield from all_chains(inner, depth + 1)


@pytest.mark.parametrize(
    "activations",
    [("tanh", "softplus", "sigmoid"), ("sigmoid", "softmax", "tanh"), ("gelu", "silu", "softmax")],
)
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_a_chain_sums_to_its_first_term_at_every_level(activations, loss):
    if loss == "cross_entropy" and activations[-1] == "tanh":
        activations = (*activations[:-1], "sigmoid")
    net = make_network((3, 5, 6, 4), activations, loss=loss)
    x, y = make_data(net, 5)
    depths = []
    for entry, depth in all_chains(net.explain(x, y, 0, 2, 1), 0):
        depths.append(depth)
        if depth < 2:
            total = np.sum([part.product for part in entry.chain], axis=0)
            assert np.abs(total - entry.dC_da).max() <= 1e-12
            assert_same_bits(entry.chain.products[:, -1], entry.chain[-1].product)
            for part in entry.chain:
                assert part.w_jk == net.layers[part.layer].weights[part.j, part.k]
                assert part.k == entry.j
        if entry.row is not None:
            assert np.abs(entry.row.sum(axis=1) - entry.dC_dz).max() <= 1e-12
        else:
            assert_close(entry.dC_da * entry.da_dz, entry.dC_dz, 1e-14)
    assert [depths.count(depth) for depth in range(3)] == [1, 6, 24]


def test_softmax_gives_a_row_and_not_one_number():
    net = make_network((3, 5, 4), ("tanh", "softmax"), loss="squared_error")
    x, y = make_data(net, 6)
    e, trace = net.explain(x, y, -1, 3, 1), net.trace(x, y).layers[-1]
    assert_same_bits(e.da_dz, trace.da_dz[:, :, 3])
    assert e.da_dz.shape == e.row.shape == (6, 4)
    assert_close(e.row.sum(axis=1) * e.dz_dw, e.product, 1e-13)
    assert net.explain(x, y).da_dz.shape == (6, 4, 5, 4)
    assert_same_bits(net.explain(x, y).da_dz[:, 3, 1], e.da_dz)
    assert "Σᵢ ∂C₀/∂aᵢ^(L) · ∂aᵢ^(L)/∂z₄^(L)" in str(e)
    assert r"\sum_{i=1}^{4}" in e.latex()
    assert net.explain(x, y, 0, 0, 0).row is None


def test_one_sample_gives_scalars(hidden):
    net, x, y = hidden
    e, batch = net.explain(x[2], y[2], 0, 4, 2), net.explain(x, y, 0, 4, 2)
    for name in ("dC_da", "da_dz", "dz_dw", "product"):
        assert np.ndim(getattr(e, name)) == 0
        assert getattr(e, name) == getattr(batch, name)[2]
        assert getattr(e.mean, name) == getattr(e, name)
    assert net.explain(x[2], y[2], 0).product.shape == (5, 3)
    assert str(batch.sample(2)) == str(batch.sample(-3)) == str(e)
    assert e.sample(0) is e
    assert batch.mean.product == pytest.approx(net.gradient(x, y).layers[0].weights[4, 2], rel=1e-14)


@pytest.mark.parametrize("labels", [False, True])
def test_an_explanation_stays_as_it_was(hidden, labels):
    """Training, or writing to x and y, afterwards changes none of its numbers, nor its check."""
    net, x, y = hidden
    y = np.array([0, 1, 2, 3, 0]) if labels else y
    e = net.explain(x, y, 0, 1, 2)
    before, check = str(e), e.check()
    net.fit(x, y, bp.SGD(1.0), epochs=3)
    x[...], y[...] = 0, 0
    assert str(e) == before
    assert_same_bits(e.check().difference, check.difference)
    assert str(net.explain(x, y, 0, 1, 2)) != before


@pytest.mark.parametrize("case", FIFTY[::4], ids=str)
def test_check_agrees_with_a_difference(case):
    net = case.network()
    x, y, _ = case.data()
    for index, layer in enumerate(net.layers):
        checks = [net.explain(x, y, index, 0, 0).check()]
        if layer.bias is not None:
            checks.append(net.explain(x, y, index, 0, bias=True).check())
        for check in checks:
            compared = ~np.isnan(check.error)
            assert (check.error[compared] <= check.tolerance[compared]).all(), check
            assert check.passed == compared.any()


def test_check_fails_where_the_product_is_wrong(hidden, monkeypatch):
    net, x, y = hidden
    e = net.explain(x, y, 1, 2, 3)
    assert e.check().passed
    assert "passed" in str(e.check())
    monkeypatch.setattr(type(e), "product", property(lambda self: 1.0001 * self.dC_dz * self.dz_dw))
    assert not e.check().passed
    assert "FAILED" in str(e.check())


def test_check_of_zeros_has_checked_nothing():
    net = make_network((2, 1), "identity", bias=False)
    check = net.explain(np.zeros((3, 2)), np.ones((3, 1)), 0, 0, 0).check()
    assert not check.passed
    assert np.isnan(check.error).all()
    assert str(check).endswith("nothing to compare")


def test_text_and_latex_have_the_numbers_and_the_notation_of_the_lesson(hidden):
    net, x, y = hidden
    e = net.explain(x[0], y[0], -1, 0, 1)
    numbers = [f"{value:.4g}" for value in (e.dC_da, e.da_dz, e.dz_dw, e.product)]
    assert "∂C₀/∂w₁₂^(L) = ∂C₀/∂a₁^(L) · ∂a₁^(L)/∂z₁^(L) · ∂z₁^(L)/∂w₁₂^(L)" in str(e)
    assert "2(a₁^(L) - y₁) · g'(z₁^(L)) · a₂^(L-1)" in str(e)
    assert all(number in str(e) and number in e.latex() for number in numbers)
    assert r"\frac{\partial C_0}{\partial w_{12}^{(L)}} &=" in e.latex()
    assert e._repr_latex_() == f"$\\displaystyle {e.latex()}$"
    batch = net.explain(x, y, 0, 0, 1)
    assert f"∂C/∂w₁₂^(L-2) = {batch.mean.product:.4g}" in str(batch)
    assert r"\frac{1}{5} \sum_{n=0}^{4}" in batch.latex()
    assert "i = 6 of layer L-1" in str(batch)
    assert "∂C₀/∂b₅^(L-2)" in str(net.explain(x, y, 0, 4, bias=True))


def test_nodes_beyond_nine_are_set_apart():
    net = make_network((12, 11), "tanh")
    x, y = make_data(net, 1)
    assert "w₁₁‚₂^(L)" in str(net.explain(x, y, 0, 10, 1))
    assert "w_{1,12}^{(L)}" in net.explain(x, y, 0, 0, 11).latex()


def test_latex_is_accepted_by_a_typesetter(hidden):
    """Matplotlib's mathtext reads the same commands, though not ``aligned``: line by line."""
    mathtext = pytest.importorskip("matplotlib.mathtext")
    net, x, y = hidden
    soft = make_network((12, 11, 12), ("softmax", "softmax"), loss="cross_entropy")
    parser = mathtext.MathTextParser("path")
    explanations = [net.explain(x, y, 0, 0, 1), soft.explain(*make_data(soft, 9), 0, 10, 11)]
    lines = [line for e in explanations for line in e.latex().splitlines()[1:-1]]
    assert len(lines) >= 10
    for line in lines:
        parser.parse("$" + line.removesuffix(r"\\").replace("&", "").replace(r"\!", "") + "$")


def test_html_is_well_formed_and_opens_level_by_level(hidden):
    from xml.etree import ElementTree

    net, x, y = hidden
    tree = ElementTree.fromstring(net.explain(x, y, 0, 0, 1)._repr_html_())
    outer = tree.findall("details")
    assert len(outer) == 1
    assert len(outer[0].findall("ul/li")) == 6
    assert len(outer[0].findall("ul/li/details")) == 6
    assert len(tree.findall("table/tbody/tr")) == 6
    text = "".join(tree.itertext())
    assert f"{net.explain(x, y, 0, 0, 1).mean.product:.4g}".replace("-", "−") in text


def test_wide_networks_are_shown_in_part():
    net = bp.Network.dense(5, 400, 300, 10, seed=0)
    e = net.explain(np.ones(5), 3, 0, 1, 1)
    assert len(str(e).splitlines()) < 100
    assert len(e._repr_html_()) < 200_000
    assert "more, smaller: together" in str(e)
    chain = e.chain
    assert len(chain) == 300
    assert [entry.j for entry in chain[:3]] == [0, 1, 2]
    shown = [float(number) for number in re.findall(r"^  i = .* = (\S+)$", str(e), re.M)]
    rest = float(re.search(r"^  \d+ more, smaller: together (\S+)$", str(e), re.M)[1])
    # four digits of each are shown
    assert sum(shown) + rest == pytest.approx(e.dC_da, abs=1e-3 * max(map(abs, shown)))


def test_terms_that_are_not_finite_are_told():
    """A saturated sigmoid with binary cross-entropy: inf · 0, but the fused delta is finite."""
    net = make_network((1, 1), "sigmoid", loss="binary_cross_entropy", bias=False)
    net.layers[0].weights[...] = 800
    e = net.explain(np.array([1.0]), np.array([0.25]), 0, 0, 0)
    assert np.isinf(e.dC_da)
    assert e.da_dz == 0
    assert e.product == 0.75
    assert "not all finite" in str(e)
    assert "not all finite" in e._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"layer": 3}, ValueError, "layer must be below 3, the number of layers; got 3"),
        ({"layer": -4}, ValueError, "layer must be at least -3, got -4"),
        ({"layer": 0.5}, TypeError, "layer must be a whole number"),
        ({"j": 4, "k": 0}, ValueError, "j must be below 4, the number of outputs of layers"),
        ({"j": 0, "k": 6}, ValueError, "k must be below 6, the number of inputs of layers"),
        ({"j": 0}, ValueError, "give j and k for one weight, or neither"),
        ({"k": 0}, ValueError, "give j and k for one weight, or neither"),
        ({"j": 0, "k": 0, "bias": True}, ValueError, "a bias has no k"),
        ({"j": 0, "k": True}, TypeError, "k must be a whole number"),
    ],
)
def test_what_is_not_there_is_refused(hidden, arguments, error, message):
    net, x, y = hidden
    with pytest.raises(error, match=re.escape(message)):
        net.explain(x, y, **arguments)


def test_more_that_is_refused(hidden):
    net, x, y = hidden
    e = net.explain(x, y)
    with pytest.raises(ValueError, match=r"expected e\[j, k\]"):
        e[0]
    with pytest.raises(ValueError, match="must be below 5"):
        e[0, 0].sample(5)
    with pytest.raises(IndexError):
        net.explain(x, y, 0, 0, 0).chain[6]
    with pytest.raises(ValueError, match="has no bias"):
        make_network((2, 2), "tanh", bias=False).explain([1, 2], [0, 1], 0, 0, bias=True)
    with pytest.raises(ValueError, match="x"):
        net.explain(x[:, :2], y)


def test_whatever_the_engine_takes_can_be_explained(hidden):
    net = hidden[0]
    whole = np.arange(6).reshape(2, 3)
    e = net.explain(whole.tolist(), [1, 2], 0, 0, 2)
    assert e.dz_dw.tolist() == [2.0, 5.0]
    assert e.dz_dw.dtype == np.float64
    assert str(net.explain(whole.astype(">i2")[::-1], np.array([2, 1], ">u4"), 0, 0, 2).sample(0)) == str(
        e.sample(1)
    )
    one_output = make_network((3, 1), "sigmoid")
    column = one_output.explain(whole, [0.5, 0.25], 0, 0, 0)
    assert_same_bits(column.product, one_output.explain(whole, [[0.5], [0.25]], 0, 0, 0).product)
    assert column.check().passed


@pytest.mark.parametrize(
    ("loss", "slope"),
    [
        ("binary_cross_entropy", "= ((1 - y₁)/(1 - a₁^(L)) - y₁/a₁^(L)) · g'(z₁^(L))"),
        ("cross_entropy", "= (-y₁/a₁^(L)) · g'(z₁^(L))"),
    ],
)
def test_the_slope_of_a_loss_is_one_factor(loss, slope):
    """A sum or a negative quotient has brackets of its own before g' multiplies it."""
    net = make_network((3, 2), "sigmoid", loss=loss)
    assert slope in str(net.explain([0.1, 0.2, 0.3], [0.5, 0.5], 0, 0, 0))


def test_html_has_the_slope_and_breaks_no_symbol(hidden):
    net, x, y = hidden
    shown = net.explain(x[0], y[0], -1, 0, 1)._repr_html_()
    assert "= 2(<i>a</i><sub>1</sub><sup>(L)</sup> − <i>y</i><sub>1</sub>) · <i>g</i>′(" in shown
    assert "where <i>g</i> is sigmoid" in shown
    assert "(L-1)" not in shown
    assert "</sup>\u2060/\u2060∂" in shown
    assert "style=" not in shown, "which the page of play does not allow"


def test_text_says_which_sample_is_opened_before_it_is(hidden):
    net, x, y = hidden
    lines = str(net.explain(x, y, 0, 0, 1)).splitlines()
    opened = next(i for i, line in enumerate(lines) if line.startswith("∂C₀/∂a₁^(L-2) = Σᵢ"))
    assert lines[opened - 2] == "For sample 0 of 5; e.sample(n) opens another:"


@pytest.mark.parametrize("bias", [False, True])
def test_a_whole_layer_names_its_largest_products(bias):
    net = make_network((2, 3, 1), "tanh")
    e = net.explain(*make_data(net, 4), 0, bias=True) if bias else net.explain(*make_data(net, 4), 0)
    mean = np.asarray(e.mean)
    largest = np.unravel_index(np.abs(mean).argmax(), mean.shape)
    lines = str(e).splitlines()
    assert lines[0].startswith("∂C/∂bⱼ" if bias else "∂C/∂wⱼₖ")
    assert float(lines[1].split(" = ")[1].replace("−", "-")) == pytest.approx(mean[largest], rel=1e-2)
    assert lines[-1].startswith("e[j] explains" if bias else "e[j, k] explains")
