"""Populations in the engine: each member has the bits that fit alone gives it, and what is refused."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import populations
import pytest
from conftest import ROOT
from populations import compare, new_record, random_case, smallest_case

import backprop as bp
from backprop import _core

pytestmark = pytest.mark.filterwarnings("ignore:loss 'cross_entropy' with 'sigmoid'")


@pytest.mark.parametrize("way", ["fastest", "one by one", "in lanes"])
@pytest.mark.parametrize("first", range(0, 200, 40))
def test_members_have_the_bits_of_their_own_fit(first, way):
    for number in range(first, first + 40):
        compare(random_case(number), way)


def test_several_vectors_side_by_side():
    """The smallest networks, enough of them for a block of several vectors, and for one that is not full."""
    for number in range(8):
        case = random_case(number)
        case.sizes, case.activations = (2, 3, 1), ("tanh", "sigmoid")
        case.loss, case.members, case.own, case.layers = "squared_error", 150, (), {"bias": True}
        case.penalties, case.beside, case.settings = None, {}, [{"lr": 0.1 + 0.001 * i} for i in range(150)]
        rng = np.random.default_rng(number)
        case.x, case.y = rng.random((9, 2)).astype(case.dtype), rng.random((9, 1))
        compare(case)


@pytest.mark.parametrize("own", [(), ("x",), ("x", "y", "sample_weight")])
@pytest.mark.parametrize("activation", _core.activations)
def test_plain_steps_of_the_smallest_networks(activation, own):
    """A sample a step, several vectors side by side: forward and back go through each layer once."""
    compare(smallest_case(activation, own))


def test_a_loss_that_is_infinite_ends_a_member_whose_weights_are_finite():
    x, y = np.random.default_rng(0).random((4, 2), "f4"), np.ones((20, 4, 1), "f4")
    y[7] = 1e25  # its square is no float32
    population = bp.Population.dense(2, 3, 1, output="identity", members=20, seed=0)
    before = population.parameters.copy()
    history = population.fit(x, y, bp.SGD(1e-20), epochs=1, batch_size=1)
    assert np.flatnonzero(population.diverged).tolist() == [7]
    assert np.flatnonzero(np.isnan(history["loss"][0])).tolist() == [7]
    np.testing.assert_array_equal(population.parameters[7], before[7])


def test_cases_cover_what_there_is():
    cases = [random_case(number) for number in range(200)]
    diverging = 0
    for case in cases[:100]:
        active = populations.train_population(case)[1]["active"]
        diverging += 0 < active.sum() < case.members
    assert diverging >= 3
    assert {case.members for case in cases} == set(populations.MEMBERS)
    assert {case.threads for case in cases} == {1, 2, 7}
    assert {case.dtype for case in cases} == {"float32", "float64"}
    assert {name for case in cases for name in case.activations} == set(_core.activations)
    assert {case.loss for case in cases} == set(_core.losses)
    assert {name for case in cases for name in case.beside} == {
        "sample_weight", "target_mask", "samples", "validation"
    }  # fmt: skip


@pytest.mark.parametrize("isa", [isa for isa in _core.candidates if isa != _core.isa])
def test_other_instruction_sets(isa):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", populations.__file__, "0", "60", "in lanes"],
        env={**os.environ, "BACKPROP_ISA": isa, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"60 cases with {isa}\n"


def small(members=5, sizes=(3, 4, 2), **settings):
    """A network, and what _train_population needs for a population of it."""
    net = bp.Network.dense(*sizes, seed=0, **settings)
    parameters = np.stack([net.parameters + i for i in range(members)])
    rng = np.random.default_rng(1)
    arguments = {
        "parameters": parameters,
        "states": (),
        "steps": np.zeros(members, np.uint64),
        "active": np.ones(members, bool),
        "optimizer": bp.SGD(0.1),
        "x": rng.normal(size=(8, sizes[0])),
        "y": rng.random((8, sizes[-1])),
        "epochs": 2,
        "batch_size": 4,
        "record": new_record(members, 2),
    }
    return net, arguments


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"parameters": np.zeros((5, 3))}, "parameters must be"),
        ({"parameters": np.zeros(0, np.float32)}, "at least one member"),
        ({"steps": np.zeros(4, np.uint64)}, "steps must be a writable, contiguous array of 5"),
        ({"active": np.ones(5)}, "active must be"),
        ({"states": (np.zeros((5, 26), np.float32),)}, "states must be a tuple of 0 arrays, not 1"),
        ({"numbers": np.zeros((5, 7))}, "numbers must be"),
        ({"rates": np.zeros(3)}, "rates must be a writable, contiguous array of 4"),
        ({"record": np.zeros((5, 2))}, "record must be a tuple of 6 arrays or None"),
        ({"record": (np.zeros((2, 4)),) * 6}, "each of record must be a writable, contiguous array of 10"),
        ({"samples": np.zeros((5, 3), np.int64)}, "samples must be"),
        ({"samples": np.full((5, 3), 8, np.uint32)}, "samples must be rows of x, 0 to 7, but one is 8"),
        ({"x": np.zeros((4, 8, 3)), "own_x": True}, "x must have one part for each of the 5"),
        ({"x": np.zeros((5, 8, 2)), "own_x": True}, r"x\[0\] must have shape"),
        ({"x": [np.zeros((8, 3))] * 4 + [np.zeros((7, 3))], "own_x": True}, r"y must have"),
        ({"way": "sideways"}, "unknown way sideways"),
        ({"shuffle": True}, "need bit generators"),
        ({"shuffle": True, "bit_generators": [np.random.PCG64(0)] * 5}, "a list of 5 different ones"),
    ],
)
def test_what_is_refused(changed, message):
    net, arguments = small()
    before = arguments["parameters"].copy()
    with pytest.raises(ValueError, match=message):
        net._train_population(**{**arguments, **changed})
    np.testing.assert_array_equal(arguments["parameters"], before)


def test_members_that_are_not_active_are_left_alone():
    net, arguments = small()
    arguments["active"][[1, 3]] = False
    before = arguments["parameters"].copy()
    net._train_population(**arguments)
    moved = (arguments["parameters"] != before).any(axis=1)
    assert moved.tolist() == [True, False, True, False, True]
    assert arguments["steps"].tolist() == [4, 0, 4, 0, 4]
    assert np.isnan(arguments["record"][0]).tolist() == 2 * [[False, True, False, True, False]]


def test_outputs_and_scores():
    net, arguments = small(members=6, loss="cross_entropy")
    parameters, x = arguments["parameters"], np.random.default_rng(0).normal(size=(300, 3))
    labels = np.arange(300) % 2
    outputs = net._population_outputs(parameters=parameters, x=x, threads=2)
    losses, accuracies = net._population_scores(parameters=parameters, x=x, y=labels, threads=3)
    one = net._population_outputs(parameters=parameters, x=x[0])
    for i in range(6):
        net.parameters[...] = parameters[i]
        np.testing.assert_array_equal(outputs[i], net(x))
        np.testing.assert_array_equal(one[i], net(x[0]))
        assert losses[i] == net.loss(x, labels)
        assert accuracies[i] == net.accuracy(x, labels)


def test_outputs_of_own_samples():
    net, arguments = small()
    x = np.random.default_rng(0).normal(size=(5, 9, 3))
    outputs = net._population_outputs(parameters=arguments["parameters"], x=x, own_x=True)
    for i in range(5):
        net.parameters[...] = arguments["parameters"][i]
        np.testing.assert_array_equal(outputs[i], net(x[i]))


@pytest.mark.parametrize("way", ["one by one", "in lanes"])
@pytest.mark.parametrize("threads", [1, 3])
def test_ctrl_c_leaves_every_member_whole(threads, way):
    net, arguments = small(members=4, sizes=(16, 64, 2))
    rng, epochs = np.random.default_rng(0), 10**5  # minutes
    arguments |= {"x": rng.normal(size=(5000, 16)), "y": rng.random((5000, 2)), "epochs": epochs}
    arguments |= {"record": new_record(4, epochs), "threads": threads}
    before = arguments["parameters"].copy()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        net._train_population(**arguments, way=way)
    moved = (arguments["parameters"] != before).any(axis=1)
    assert np.isfinite(arguments["parameters"]).all()
    assert moved.tolist() == (arguments["steps"] > 0).tolist()
    assert moved.sum() >= 1


@pytest.mark.parametrize("way", ["one by one", "in lanes"])
def test_wherever_memory_or_threads_run_out(way):
    """Each request is refused once: an exception, no leak, every member before or after its training."""
    net, arguments = small(members=19)
    generator = np.random.default_rng(0).bit_generator
    arguments |= {"shuffle": True, "bit_generators": generator, "threads": 2, "way": way}
    expected, begin = {**arguments, "parameters": arguments["parameters"].copy()}, generator.state
    net._train_population(**expected)
    refused = 0
    for request in range(1, 400):
        generator.state, before = begin, _core._allocations()
        steps = np.zeros(19, np.uint64)
        given = {**arguments, "parameters": arguments["parameters"].copy(), "steps": steps}
        _core._refuse_request(request)
        try:
            net._train_population(**given)
        except (MemoryError, RuntimeError):
            refused += 1
        else:
            break
        finally:
            _core._refuse_request(0)
        assert _core._allocations() == before
        for i in range(19):
            whole = expected if steps[i] else arguments
            np.testing.assert_array_equal(given["parameters"][i], whole["parameters"][i])
    assert refused >= 5
    np.testing.assert_array_equal(given["parameters"], expected["parameters"])


def test_a_function_in_python_that_fails():
    def g(z):
        if threading.current_thread() is not threading.main_thread() or abs(z).max() > 1e3:
            raise OSError("as meant")
        return z

    net, arguments = small(hidden="relu", output=bp.Activation(g, np.ones_like))
    net._train_population(**arguments, threads=3)
    with pytest.raises(OSError, match="as meant"):
        net._train_population(**{**arguments, "x": 1e6 * arguments["x"]}, threads=3)
    assert np.isfinite(arguments["parameters"]).all()
