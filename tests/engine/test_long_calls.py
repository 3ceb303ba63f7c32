"""Ctrl-C in every call that may last: what it raises, and what it leaves.

Nothing measures a time: undisturbed, each would take minutes. tests/engine/test_interrupts.py has loops over
samples, tests/long/interrupts.py the ways of training, bit by bit.
"""

import subprocess
import sys

import pytest

HANGING = 100  # seconds

SCRIPT = """
    import os, signal, sys, threading, warnings
    import numpy as np
    import backprop as bp

    signal.signal(signal.SIGINT, signal.default_int_handler)
    LONG = 10**8
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 8)), rng.uniform(0.1, 0.9, (300, 3))
    labels = rng.integers(0, 3, 300)
    net = bp.Network.dense(8, 6, 3, hidden="tanh", seed=1)
    optimizer = bp.Adam(0.001)
    settings = {"epochs": LONG, "progress": False}

    def whole():
        return all(np.isfinite(numbers).all() for numbers in (net.parameters, *optimizer.state))

    PREPARE
    soon = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    soon.start()
    try:
        CALL
    except KeyboardInterrupt:
        assert LEAVES
        assert threading.active_count() <= 2, threading.enumerate()  # the timer may be ending
        assert net.fit(x, y, bp.SGD(0.1)).epochs == 1
        print("interrupted")
"""

SPARSE = "import scipy.sparse; s = scipy.sparse.random_array((300, 8), density=0.3, rng=0, format='csr')"
POPULATION = "population = bp.Population(net, members=5, seed=1); before = population.parameters.copy()"
STEPS = "whole() and optimizer.steps > 0"
UNCHANGED = "(net.parameters == before).all()"
ESTIMATOR = """
    from backprop.sklearn import BackpropClassifier, PopulationSearchCV
    def one(**more):
        return BackpropClassifier((6,), max_iter=LONG, tol=0, n_iter_no_change=LONG, random_state=0, **more)
    def batches():
        while True:
            yield x, y
"""
ENDLESS = """
    def batches():
        while True:
            yield x, y
"""

# what is prepared, what is called, and what holds afterwards
CALLS = {
    "fit": ("", "net.fit(x, y, optimizer, **settings)", STEPS),
    "lanes": (
        "x, y = np.tile(x, (3, 1)), np.tile(y, (3, 1))",
        "net.fit(x, y, optimizer, batch_size=900, **settings)",
        STEPS,
    ),
    "lanes on threads, which wait for the order of samples": (
        "x, y = np.tile(x, (3, 1)), np.tile(y, (3, 1))",
        "net.fit(x, y, optimizer, batch_size=900, threads=2, **settings)",
        STEPS,
    ),
    "bfloat16": (
        "net = bp.Network.dense(8, 6, 3, dtype='float32', seed=1)",
        "net.fit(x, y, optimizer, precision='bfloat16-emulated', **settings)",
        STEPS,
    ),
    "sparse": (SPARSE, "net.fit(s, y, optimizer, **settings)", STEPS),
    "lazy": (
        SPARSE + "; optimizer = bp.Adam(0.001, lazy=True)",
        "net.fit(s, y, optimizer, **settings)",
        STEPS,
    ),
    "blocks": ("", "net.fit(x, y, optimizer, shuffle='blocks', **settings)", STEPS),
    "an endless iterable": (ENDLESS, "net.fit(batches, None, optimizer)", STEPS),
    "metrics and validation": (
        "settings |= {'metrics': {'m': lambda a, y: 0.0}, 'norms': True}",
        "net.fit(x, y, optimizer, validation=(x, y), **settings)",
        STEPS,
    ),
    "every step recorded": ("", "net.fit(x, y, optimizer, record='steps', **settings)", STEPS),
    "find_rate": (
        "before = net.parameters.copy()",
        "bp.find_rate(net, x, y, optimizer, lowest=1e-12, highest=1e-11, steps=10**7)",
        UNCHANGED + " and optimizer.steps == 0",
    ),
    "check_gradient": (
        "net = bp.Network.dense(8, 300, 300, 3, seed=1); before = net.parameters.copy()",
        "net.check_gradient(x, y)",
        UNCHANGED,
    ),
    "a population": (
        POPULATION,
        "population.fit(x, y, optimizer, epochs=LONG)",
        "np.isfinite(population.parameters).all() and (population.parameters != before).any()",
    ),
    "members with callbacks": (
        POPULATION,
        "population.fit(x, y, optimizer, epochs=LONG, callbacks=[lambda members, record: None])",
        "np.isfinite(population.parameters).all() and (population.parameters != before).any()",
    ),
    "a search": (
        ESTIMATOR,
        "PopulationSearchCV(one(), {'learning_rate_init': [1e-4, 1e-3]}, cv=2).fit(x, labels)",
        "True",
    ),
    "a search one by one": (
        ESTIMATOR,
        "PopulationSearchCV(one(solver='lbfgs'), {'alpha': [1e-4, 1e-3]}, cv=2).fit(np.tile(x, (3000, 1)), "
        "np.tile(labels, 3000))",
        "True",
    ),
    "bags": (ESTIMATOR, "one(members=3, bootstrap=True).fit(x, labels)", "True"),
}


def outcome_of(prepare, call, leaves):
    if SPARSE in prepare:
        pytest.importorskip("scipy.sparse")
    if prepare == ESTIMATOR:
        pytest.importorskip("sklearn")
    script = SCRIPT.replace("PREPARE", prepare).replace("CALL", call).replace("LEAVES", leaves)
    command = [sys.executable, "-c", "if True:" + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGING, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c_in_a_call_that_lasts(name):
    assert outcome_of(*CALLS[name]) == "interrupted\n"


def test_ctrl_c_keeps_what_an_estimator_has_found():
    """As scikit-learn's own: fit warns, and goes on to its end."""
    call = """
        with warnings.catch_warnings(record=True) as caught:
            estimator = one().fit(x, labels)
        assert "interrupted" in str(caught[0].message), caught
        assert (estimator.predict(x) == labels).mean() > 0.3
        raise KeyboardInterrupt
    """
    assert outcome_of(ESTIMATOR, call.strip(), "True") == "interrupted\n"
