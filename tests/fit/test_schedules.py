"""Learning rates that change: their formulas, and that fit and step follow them."""

import math

import numpy as np
import pytest
from conftest import assert_same_bits, make_data, make_network, require_torch

import backprop as bp
from backprop import schedules

STEPS = np.arange(130)


def made():
    return [
        schedules.Step(0.5, 7, 0.3),
        schedules.Exponential(0.5, 0.99),
        schedules.Cosine(0.5, 60, 0.01),
        schedules.WarmUp(0.5, 10),
        schedules.WarmUp(schedules.Exponential(0.5, 0.9), 10),
        schedules.WarmUp(lambda step: 1 / (1 + step), 10),
        schedules.OneCycle(0.5, 100),
        schedules.ReduceOnPlateau(0.5),
    ]


@pytest.mark.parametrize("schedule", made(), ids=lambda schedule: type(schedule).__name__)
def test_an_array_gives_what_single_steps_give(schedule):
    rates = schedules.rates(schedule, 0, 130)
    assert rates.tolist() == [schedule(step) for step in range(130)]
    assert schedules.rates(schedule, 50, 80).tolist() == rates[50:].tolist()
    assert all(type(schedule(step)) is float for step in (0, 5, 200))


def test_formulas():
    assert [schedules.Step(0.5, 7, 0.3)(step) for step in (0, 6, 7, 14)] == pytest.approx(
        [0.5, 0.5, 0.15, 0.045], rel=1e-15
    )
    assert schedules.Exponential(0.5, 0.99)(100) == pytest.approx(0.5 * 0.99**100, rel=1e-14)
    cosine = schedules.Cosine(0.5, 60, 0.1)
    assert [cosine(step) for step in (0, 30, 60, 500)] == pytest.approx([0.5, 0.3, 0.1, 0.1], rel=1e-14)
    assert cosine(20) == pytest.approx(0.1 + 0.4 * (1 + math.cos(math.pi / 3)) / 2, rel=1e-14)
    warm = schedules.WarmUp(0.5, 4)
    assert [warm(step) for step in range(6)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5], rel=1e-14)
    later = schedules.WarmUp(schedules.Step(0.5, 2, 0.5), 4)
    assert [later(step) for step in (3, 4, 5, 6)] == pytest.approx([0.4, 0.5, 0.5, 0.25], rel=1e-14)
    cycle = schedules.OneCycle(1.0, 100, rise=0.2, start_divisor=10, end_divisor=100)
    assert [cycle(step) for step in (0, 9.5, 19, 59, 99, 300)] == pytest.approx(
        [0.1, 0.55, 1.0, 0.5005, 0.001, 0.001], rel=1e-13
    )


def test_schedules_are_pytorchs():
    torch = require_torch()
    peers = [
        (schedules.Step(0.5, 7, 0.3), lambda o: torch.optim.lr_scheduler.StepLR(o, 7, 0.3)),
        (schedules.Exponential(0.5, 0.9), lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9)),
        (schedules.Cosine(0.5, 60, 0.1), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 60, 0.1)),
        (schedules.OneCycle(0.5, 61), lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.5, 61)),
        (
            schedules.OneCycle(0.5, 61, 0.1, 10, 100),
            lambda o: torch.optim.lr_scheduler.OneCycleLR(
                o, 0.5, 61, pct_start=0.1, div_factor=10, final_div_factor=100
            ),
        ),
        (schedules.WarmUp(0.5, 4), lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.2, 1.0, 4)),
    ]
    for schedule, make_peer in peers:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5, momentum=0.9)
        peer = make_peer(optimizer)
        for step in range(60):
            assert schedule(step) == pytest.approx(peer.get_last_lr()[0], rel=1e-10)
            optimizer.step()
            peer.step()


@pytest.mark.parametrize("make", [bp.SGD, bp.Adam, lambda lr: bp.SGD(lr, momentum=0.9)])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_fit_and_step_follow_a_schedule(make, batch_size, dtype):
    """The rates of fit's array, of step's calls, and of lr set by hand before each step."""
    nets = [make_network((4, 9, 3), ("tanh", "sigmoid"), dtype=dtype) for _ in range(4)]
    x, y = make_data(nets[0], 21)
    schedule = schedules.OneCycle(0.1, 60)
    optimizers = [make(schedule), make(schedule), make(lambda step: schedule(step)), make(0.1)]
    steps = 21 // batch_size
    for _ in range(2):
        history = nets[0].fit(x, y, optimizers[0], epochs=2, batch_size=batch_size, shuffle=False)
    for _ in range(4):
        nets[2].fit(x, y, optimizers[2], batch_size=batch_size, shuffle=False)
        for first in range(0, 21, batch_size):
            rows = slice(first, first + batch_size)
            nets[1].step(x[rows], y[rows], optimizers[1])
            optimizers[3].lr = schedule(optimizers[3].steps)
            nets[3].step(x[rows], y[rows], optimizers[3])
    for net in nets[1:]:
        assert_same_bits(net.parameters, nets[0].parameters)
    assert history["lr"] == [schedule((epoch + 1) * steps - 1) for epoch in (2, 3)]
    assert optimizers[0].lr is schedule


def test_rates_beyond_one_array_are_computed_in_parts(monkeypatch):
    def train():
        net = make_network((4, 9, 3), "tanh")
        x, y = make_data(net, 21)
        history = net.fit(x, y, bp.SGD(schedules.Cosine(0.5, 40)), epochs=7, batch_size=5)
        return net.parameters.tobytes(), history["lr"]

    whole = train()
    monkeypatch.setattr("backprop.fit.rates.RATES_AT_A_TIME", 11)
    assert train() == whole
    assert len(set(whole[1])) == 7


def test_reduce_on_plateau():
    schedule = schedules.ReduceOnPlateau(1.0, "loss", factor=0.5, patience=1, min_delta=0.1, lowest=0.2)
    rates = []
    for loss in (5, 4, 3.95, 3.91, 3.9, 3.7, 3.7, 3.7, 3.7, 3.7, 3.7, 3.7):
        schedule.observe({"loss": loss})
        rates.append(schedule(0))
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]


def test_fit_shows_its_figures_to_reduce_on_plateau():
    net = make_network((4, 9, 3), ("tanh", "sigmoid"))
    x, y = make_data(net, 21)
    schedule = schedules.ReduceOnPlateau(1e-9, "accuracy", factor=0.1, patience=0)
    optimizer = bp.SGD(schedule)
    history = net.fit(x, y, optimizer, epochs=3)
    assert len(set(history["accuracy"])) == 1, "steps of 1e-9 change nothing"
    # The first epoch is the best; the second brings nothing, so the third has a lower rate.
    assert history["lr"] == pytest.approx([1e-9, 1e-9, 1e-10])
    net.fit(x, y, optimizer)
    assert schedule.lr == pytest.approx(1e-12)
    with pytest.raises(ValueError, match="measures only loss, accuracy"):
        net.fit(x, y, bp.SGD(schedules.ReduceOnPlateau(0.1)))


def test_reduce_on_plateau_after_a_warm_up(tmp_path):
    """It is shown the figures there too, and keeps in a file what it has learned."""
    net = make_network((4, 9, 3), ("tanh", "sigmoid"))
    x, y = make_data(net, 21)
    plateau = schedules.ReduceOnPlateau(1e-9, "accuracy", factor=0.1, patience=0)
    optimizer = bp.SGD(schedules.WarmUp(plateau, 1))
    history = net.fit(x, y, optimizer, epochs=3, batch_size=21)
    assert history["lr"] == pytest.approx([5e-10, 1e-9, 1e-10])
    net.save(tmp_path / "net", optimizer=optimizer)
    assert bp.load(tmp_path / "net", optimizer=True)[1].lr(1) == pytest.approx(1e-11)
    with pytest.raises(ValueError, match="measures only loss, accuracy"):
        net.fit(x, y, bp.SGD(schedules.WarmUp(schedules.ReduceOnPlateau(0.1), 1)))


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, "fast", None])
def test_a_schedule_must_return_rates(bad):
    net = make_network((4, 9, 3), "tanh")
    x, y = make_data(net, 8)
    before = net.parameters.copy()
    optimizer = bp.SGD(lambda step: bad)
    for train in (lambda: net.fit(x, y, optimizer), lambda: net.step(x, y, optimizer)):
        with pytest.raises((ValueError, TypeError)):
            train()
    assert_same_bits(net.parameters, before)
    assert optimizer.steps == 0


def test_a_schedule_may_raise():
    net = make_network((4, 9, 3), "tanh")
    x, y = make_data(net, 8)

    def fail(step):
        raise KeyError("no rate")

    for train in (net.fit, net.step):
        with pytest.raises(KeyError, match="no rate"):
            train(x, y, bp.Adam(fail))


def test_a_rate_of_zero_does_not_move():
    net = make_network((4, 9, 3), "tanh")
    x, y = make_data(net, 8)
    before = net.parameters.copy()
    net.fit(x, y, bp.SGD(lambda step: 0.0))
    assert_same_bits(net.parameters, before)


def test_lr_changes_in_a_callback():
    net = make_network((4, 9, 3), "tanh")
    x, y = make_data(net, 8)
    optimizer = bp.SGD(0.5)

    def halve(network, record):
        optimizer.lr = optimizer.lr / 2

    assert net.fit(x, y, optimizer, epochs=3, callbacks=[halve])["lr"] == [0.5, 0.25, 0.125]
    optimizer.lr = schedules.Exponential(0.3, 0.5)
    assert optimizer.lr(1) == 0.15
    optimizer.lr = 0.2
    assert optimizer.lr == 0.2


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.Step(0.5, 0),
        lambda: schedules.Step(-1, 2),
        lambda: schedules.Exponential(0.5, 0),
        lambda: schedules.Cosine(0.5, 10, -1),
        lambda: schedules.WarmUp(0, 3),
        lambda: schedules.OneCycle(1, 10, rise=1),
        lambda: schedules.OneCycle(1, 10, rise=0.1),
        lambda: schedules.OneCycle(1, 10, end_divisor=0.5),
        lambda: schedules.ReduceOnPlateau(0.1, factor=1),
    ],
)
def test_settings_must_make_sense(make):
    with pytest.raises(ValueError, match="must be"):
        make()


def test_settings_make_an_equal_schedule():
    for schedule in made():
        assert type(schedule)(**schedule.settings) == schedule
    assert schedules.Step(0.5, 7) != schedules.Step(0.5, 8)


def test_a_schedule_is_asked_for_the_steps_that_are_done():
    """Once for each, and once by the engine for the next; not for steps that never come."""
    net = make_network((4, 9, 3), "tanh")
    x, y = make_data(net, 20)
    asked = []

    def schedule(step):
        asked.append(step)
        return [0.3, 0.2, 0.1, 0.05][step]  # it has no more

    def asked_by(*data, **settings):
        asked.clear()
        history = net.fit(*data, bp.SGD(schedule), batch_size=10, epochs=2, **settings)
        assert history["lr"] == [0.2, 0.05]
        return sorted(set(asked)), len(asked)

    batches = [(x[:10], y[:10]), (x[10:], y[10:])]
    for data, settings, calls in (
        ((x, y), {}, 1),
        ((x, y), {"callbacks": [lambda network, record: None]}, 2),
        ((x, y), {"shuffle": "blocks"}, 2),
        ((batches, None), {}, 2),
    ):
        assert asked_by(*data, **settings) == ([0, 1, 2, 3], 4 + calls)
