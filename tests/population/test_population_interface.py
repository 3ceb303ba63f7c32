"""What a population is beside its training: members, copies, files, histories, refusals."""

import copy
import json
import pickle

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import backprop as bp
from backprop import _core
from backprop.population.rates import MemberRates

R = np.random.default_rng(0)
X, Y = R.normal(size=(24, 3)), R.uniform(size=(24, 2))


def make(members=5, seed=3, **settings):
    return bp.Population.dense(3, 4, 2, members=members, seed=seed, **settings)


def trained():
    population, optimizer = make(), bp.Adam(R.uniform(0.01, 0.1, 5))
    population.fit(X, Y, optimizer, epochs=3, batch_size=7)
    return population, optimizer


def test_one_seed_spawns_a_seed_for_each_member():
    spawned = np.random.SeedSequence(3).spawn(5)
    of_each = make(members=None, seed=spawned)
    np.testing.assert_array_equal(make().parameters, of_each.parameters)
    alone = bp.Network.dense(3, 4, 2, seed=spawned[2])
    np.testing.assert_array_equal(make().parameters[2], alone.parameters)
    assert len({row.tobytes() for row in make(seed=None).parameters}) == 5
    assert len(make(members=None, seed=[0, 0])) == 2


@pytest.mark.parametrize("seeds", [range(3, 6), (3, 4, 5), np.array([3, 4, 5])])
def test_any_sequence_has_a_seed_for_each_member(seeds):
    for members in (None, 3):
        of_each = make(members=members, seed=seeds)
        alone = bp.Network.dense(3, 4, 2, seed=4)
        np.testing.assert_array_equal(of_each.parameters[1], alone.parameters)


def test_numbers_of_members_may_be_a_column_of_a_table():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"lr": [0.1, 0.2, 0.3], "seed": [3, 4, 5], "l2": [0, 0.1, 0]}, index=[7, 5, 9])
    population = make(members=None, seed=table["seed"], l2=table["l2"])
    twin = make(members=None, seed=[3, 4, 5], l2=[0, 0.1, 0])
    population.fit(X, Y, bp.SGD(table["lr"]))
    twin.fit(X, Y, bp.SGD([0.1, 0.2, 0.3]))
    np.testing.assert_array_equal(population.parameters, twin.parameters)
    assert bp.SGD(range(1, 3)).lr.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("members", "seed", "error", "text"),
    [
        (None, 3, TypeError, "members must say how many"),
        (2, [1, 2, 3], ValueError, "one for each of 2 members; got 3"),
        (0, 3, ValueError, "members must be at least 1"),
        (None, [], ValueError, "at least one seed"),
        (2, np.random.RandomState(0), TypeError, "RandomState spawns no seeds"),
    ],
)
def test_seeds_must_be_as_many_as_members(members, seed, error, text):
    with pytest.raises(error, match=text):
        make(members=members, seed=seed)


def test_a_member_is_a_network_of_its_own():
    population, optimizer = trained()
    net, one = population[1], optimizer.of_member(1)
    assert type(net) is bp.Network
    np.testing.assert_array_equal(net.parameters, population.parameters[1])
    before = population.parameters.copy()
    net.fit(X, Y, one, epochs=2, batch_size=7)
    np.testing.assert_array_equal(population.parameters, before)
    population.fit(X, Y, optimizer, epochs=2, batch_size=7)
    np.testing.assert_array_equal(population.parameters[1], net.parameters)
    assert len(list(population)) == len(population) == 5
    np.testing.assert_array_equal(population[-1].parameters, population[4].parameters)
    for wrong in (5, -6):
        with pytest.raises(IndexError, match=f"no member {wrong}"):
            population[wrong]
    with pytest.raises(TypeError, match="whole number"):
        population[1.5]


@pytest.mark.parametrize("which", [slice(1, 4), [1, 2, 3], np.array([False, True, True, True, False])])
def test_some_members_are_a_population_of_copies(which):
    population, _ = trained()
    some = population[which]
    assert type(some) is bp.Population
    np.testing.assert_array_equal(some.parameters, population.parameters[1:4])
    some.parameters[...] = 0
    assert population.parameters.all(axis=1).any()
    assert len(population[[2, 2]]) == 2
    with pytest.raises(IndexError):
        population[[9]]
    for nobody in ([], slice(2, 2), np.zeros(5, bool)):
        with pytest.raises(ValueError, match="none is chosen"):
            population[nobody]
    with pytest.raises(TypeError, match=r"a list of whole numbers or a mask, got .* \(1, 1\)"):
        population[[[0]]]
    with pytest.raises(TypeError, match="a sequence of at least one Network"):
        bp.Population.of(population[0])


def test_parameters_are_live():
    population, _ = trained()
    population.parameters[2] = 0
    assert not population[2].parameters.any()
    np.testing.assert_array_equal(population(X)[2], population[2](X))
    with pytest.raises(AttributeError):
        population.parameters = 0


def test_what_members_are_asked_has_the_bits_of_their_networks():
    population, _ = trained()
    weights = R.uniform(0.1, 1, 24)
    mask = R.random((24, 2)) < 0.7
    own_x = R.normal(size=(5, 6, 3))
    a, losses = population(X), population.loss(X, Y)
    weighted = population.loss(X, Y, sample_weight=weights, target_mask=mask)
    assert (a.shape, losses.shape) == ((5, 24, 2), (5,))
    assert population(X[0]).shape == (5, 2)
    labels = R.integers(0, 2, 24)
    for i, net in enumerate(population):
        np.testing.assert_array_equal(a[i], net(X))
        np.testing.assert_array_equal(population(own_x)[i], net(own_x[i]))
        np.testing.assert_array_equal(population.classify(X)[i], net.classify(X))
        assert losses[i] == net.loss(X, Y)
        assert weighted[i] == net.loss(X, Y, sample_weight=weights, target_mask=mask)
        assert population.accuracy(X, labels)[i] == net.accuracy(X, labels)
        one = {"sample_weight": 2, "target_mask": mask[0]}
        assert population.loss(X[0], Y[0], **one)[i] == net.loss(X[0], Y[0], **one)
        assert population.accuracy(X[0], 1)[i] == net.accuracy(X[0], 1)


def test_losses_of_data_that_are_not_finite_are_nan():
    wrong = X.copy()
    wrong[3, 1] = np.nan
    assert np.isnan(make().loss(wrong, Y)).all()
    with pytest.raises(ValueError, match=r"x must be finite, but x\[3, 1\] is nan"):
        make().fit(wrong, Y, bp.SGD(0.1))


def test_rows_that_nobody_is_trained_on_may_be_anything():
    wrong = np.vstack([X, np.full((1, 3), np.nan)])
    population, rows = make(), R.integers(0, 24, (5, 9))
    population.fit(wrong, np.vstack([Y, [[0, 0]]]), bp.SGD(0.1), samples=rows)
    assert not population.diverged.any()
    rows[2, 3] = 24
    with pytest.raises(ValueError, match=r"x must be finite, but x\[24, 0\] is nan"):
        population.fit(wrong, np.vstack([Y, [[0, 0]]]), bp.SGD(0.1), samples=rows)
    targets, known = np.vstack([Y, [[0, np.inf]]]), np.ones((25, 2), bool)
    with pytest.raises(ValueError, match=r"y must be finite, but y\[24, 1\] is inf"):
        population.fit(np.nan_to_num(wrong), targets, bp.SGD(0.1), samples=rows, target_mask=known)
    known[24, 1] = False
    population.fit(np.nan_to_num(wrong), targets, bp.SGD(0.1), samples=rows, target_mask=known)


def test_one_order_for_all_is_the_first_members():
    population = make()
    nets, first = list(population), copy.deepcopy(population.rngs[0])
    population.fit(X, Y, bp.SGD(0.1), epochs=3, batch_size=5, shuffle="shared")
    for i, net in enumerate(nets):
        net.fit(X, Y, bp.SGD(0.1), epochs=3, batch_size=5, rng=copy.deepcopy(first))
        np.testing.assert_array_equal(population.parameters[i], net.parameters)
    states = [rng.bit_generator.state for rng in population.rngs]
    assert states[1:] == [net.rng.bit_generator.state for net in nets[1:]]
    assert states[0] != nets[0].rng.bit_generator.state


def test_norms_are_those_of_a_network():
    population = make(dtype="float64")
    nets = list(population)
    history = population.fit(X, Y, bp.Adam(0.1), epochs=3, norms=True)
    for i, net in enumerate(nets):
        alone = net.fit(X, Y, bp.Adam(0.1), epochs=3, norms=True)
        for key in ("weight_norm", "gradient_norm"):
            np.testing.assert_array_equal([values[i] for values in history[key]], alone[key])


def test_an_interval_is_of_the_members_that_did_not_diverge():
    population, _ = trained()
    interval = population.predict_interval(X, 0.5)
    np.testing.assert_array_equal(interval.mean, population(X).mean(axis=0))
    np.testing.assert_array_equal(interval.std, population(X).std(axis=0))
    inside = (population(X) >= interval.low) & (population(X) <= interval.high)
    assert (inside.sum(axis=0) == 3).all()  # of 5 the quartiles are members themselves
    population.diverged[:2] = True
    np.testing.assert_array_equal(population.predict_interval(X).mean, population(X)[2:].mean(axis=0))
    for share in (0, 1.5):
        with pytest.raises(ValueError, match="share must be"):
            population.predict_interval(X, share)
    population.diverged[:] = True
    with pytest.raises(ValueError, match="all members have diverged"):
        population.predict_interval(X)


def go_on(population, optimizer):
    population.fit(X, Y, optimizer, epochs=2, batch_size=7)
    return population.parameters


@pytest.mark.parametrize("way", [lambda a: pickle.loads(pickle.dumps(a)), copy.copy, copy.deepcopy])
def test_training_goes_on_in_a_copy_bit_for_bit(way):
    population, optimizer = trained()
    twin, its_optimizer = way(population), way(optimizer)
    assert repr(twin) == repr(population)
    assert repr(its_optimizer) == repr(optimizer)
    assert str(twin.history) == str(population.history)
    np.testing.assert_array_equal(go_on(twin, its_optimizer), go_on(population, optimizer))


OPTIMIZERS = [
    bp.Adam(0.1), bp.SGD([0.1, 0.2, 0.3, 0.4, 0.5], momentum=0.5),
    bp.RMSprop([bp.schedules.Cosine(0.1, steps=9), *4 * [0.01]]), bp.AdamW(0.1, betas=(np.full(5, 0.5), 0.9)),
]  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_training_goes_on_from_a_file_bit_for_bit(tmp_path, optimizer):
    population, optimizer = make(l2=R.uniform(0, 0.1, 5)), copy.deepcopy(optimizer)
    population.fit(X, Y, optimizer, epochs=3, batch_size=7)
    population.save(tmp_path / "p", optimizer=optimizer)
    twin, its_optimizer = bp.Population.load(tmp_path / "p")
    assert repr(its_optimizer) == repr(optimizer)
    np.testing.assert_array_equal(its_optimizer.member_steps, optimizer.member_steps)
    np.testing.assert_array_equal(go_on(twin, its_optimizer), go_on(population, optimizer))
    population.save(tmp_path / "without")
    assert bp.Population.load(tmp_path / "without")[1] is None


def test_masks_and_factors_of_rates_are_in_the_file(tmp_path):
    mask = np.array([[True, False, True], [True, True, False]])
    population = bp.Population(bp.Network(bp.Layer(3, 2, mask=mask, lr=0.5, bias_lr=0.0)), members=3, seed=0)
    optimizer = bp.SGD([0.1, 0.2, 0.3])
    population.fit(X, Y, optimizer, epochs=2)
    population.save(tmp_path / "p", optimizer=optimizer)
    twin, its_optimizer = bp.Population.load(tmp_path / "p")
    assert repr(twin) == repr(population)
    np.testing.assert_array_equal(twin.layers[0].mask, mask)
    np.testing.assert_array_equal(go_on(twin, its_optimizer), go_on(population, optimizer))
    assert not twin[1].layers[0].weights[~mask].any()


def test_a_damaged_file_is_a_value_error(tmp_path):
    population, optimizer = trained()
    path = tmp_path / "p"
    population.save(path, optimizer=optimizer)
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        text = file.metadata()["backprop.population"]
    description = json.loads(text)
    changes = {"version": 9, "rngs": description["rngs"][:2], "layers": [], "loss": "huge", "optimizer": {}}
    for key, wrong in changes.items():
        save_file(tensors, path, {"backprop.population": json.dumps(description | {key: wrong})})
        with pytest.raises(ValueError, match="is not a saved population, or is damaged"):
            bp.Population.load(path)
    for name in tensors:
        tensor = tensors[name]
        for wrong in (tensor[:2], tensor.astype("float16"), *([-1 - tensor] if name in ("l1", "l2") else [])):
            save_file(tensors | {name: np.ascontiguousarray(wrong)}, path, {"backprop.population": text})
            with pytest.raises(ValueError, match="is not a saved population, or is damaged"):
                bp.Population.load(path)
    path.write_bytes(b"x")
    with pytest.raises(ValueError, match="is not a saved population"):
        bp.Population.load(path)
    with pytest.raises(OSError, match="none"):
        bp.Population.load(tmp_path / "none")
    bp.Network.dense(3, 2).save(path)
    with pytest.raises(ValueError, match="is not a saved population"):
        bp.Population.load(path)


def test_an_optimizer_is_of_a_population_or_of_a_network():
    population, optimizer = trained()
    net = bp.Network.dense(3, 4, 2)
    for train in (net.fit, net.step):
        with pytest.raises(ValueError, match="is of a population of 5 members"):
            train(X, Y, optimizer)
    with pytest.raises(ValueError, match="is of a population of 2 members"):
        net.fit(X, Y, bp.SGD([0.1, 0.2]))
    single = bp.Adam(0.1)
    net.fit(X, Y, single)
    with pytest.raises(ValueError, match="of a network that it has trained"):
        population.fit(X, Y, single)
    with pytest.raises(ValueError, match="is of 5 members, the population has 2"):
        make(2).fit(X, Y, bp.SGD(np.full(5, 0.1)))
    with pytest.raises(ValueError, match="of another population"):
        bp.Population.dense(3, 5, 2, members=5, seed=0).fit(X, Y, optimizer)
    with pytest.raises(ValueError, match="of a population of 5 members"):
        net.save("never", optimizer=optimizer)
    with pytest.raises(ValueError, match=r"of one number of members, got \[2, 3\]"):
        bp.SGD([0.1, 0.2], momentum=[0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match=r"lr\[1\] must be greater than 0"):
        bp.SGD([0.1, 0])


def test_what_is_not_known_where_not_all_orders_are_drawn_at_once():
    """Epochs of 2^24 samples are drawn for together: one member diverges in the first of these."""
    x = np.ones((1 << 21, 1), np.float32)
    y, lr = x / 2, np.array([0.01, 1e30, 0.02])
    pop = bp.Population(bp.Network(bp.Layer(1, 1, "identity")), members=3, seed=1)
    history = pop.fit(x, y, bp.SGD(lr), epochs=10, batch_size=1 << 19, shuffle="shared", threads=1)
    assert pop.diverged.tolist() == [False, True, False]
    losses = np.array(history["loss"])
    assert np.isnan(losses[-3:, 1]).all()
    assert np.isfinite(losses[:, [0, 2]]).all()


@pytest.mark.parametrize("way", ["one by one", "in lanes"])
def test_the_engine_says_what_is_not_known(way):
    """The record of those that are trained is written as a whole, NaN from where one diverges."""
    x, y = np.ones((6, 2), "f4"), np.ones((6, 1), "f4")
    pop = bp.Population.dense(2, 3, 1, members=20, hidden="identity", output="identity", seed=1)
    numbers = np.tile([0.01, 0, 0, 0, 0, 0, np.inf, np.inf], (20, 1))
    numbers[[3, 7], 0] = 1e6
    active = np.ones(20, bool)
    active[5] = False
    record = [np.full((9, 20), 123.0) if key in ("loss", "accuracy") else None for key in _core.figures]
    pop.prototype._train_population(
        parameters=pop.parameters,
        states=(),
        steps=np.zeros(20, np.uint64),
        active=active,
        optimizer=bp.SGD(0.01),
        numbers=numbers,
        x=x,
        y=y,
        epochs=9,
        batch_size=1,
        record=tuple(record),
        way=way,
    )
    assert np.flatnonzero(~active).tolist() == [3, 5, 7]
    for figures in (figures for figures in record if figures is not None):
        assert (figures[:, 5] == 123).all()
        trained = np.delete(figures, 5, axis=1)
        assert not (trained == 123).any()
        assert np.isnan(figures[-1, [3, 7]]).all()
        assert np.isfinite(figures[:, [0, 1, 2, 4, 19]]).all()


def test_one_member_diverges_and_the_others_go_on():
    population = bp.Population.dense(3, 4, 2, members=3, seed=1, output="identity", dtype="float64")
    lone = copy.deepcopy(population)
    history = population.fit(X, Y, bp.SGD([0.01, 1e150, 0.1]), epochs=4, batch_size=6)
    assert population.diverged.tolist() == [False, True, False]
    assert history.stopped.tolist() == ["epochs", "diverged", "epochs"]
    assert np.isfinite(population.parameters).all()
    losses = np.stack(history["loss"])
    assert np.isfinite(losses[:, [0, 2]]).all()
    assert np.isnan(losses[-1, 1])
    assert history.of_member(1).epochs < 4 == history.of_member(0).epochs
    others = lone[[0, 2]]
    others.fit(X, Y, bp.SGD([0.01, 0.1]), epochs=4, batch_size=6)
    np.testing.assert_array_equal(others.parameters, population.parameters[[0, 2]])


def test_members_stop_when_a_callback_or_the_target_says_so():
    population = make()
    seen = []

    def stop_two(members, record):
        seen.append(record["epoch"])
        assert members is population
        return np.array([True, False, False, True, False]) if record["epoch"] == 2 else record["epoch"] == 4

    history = population.fit(X, Y, bp.SGD(0.1), epochs=9, callbacks=[stop_two])
    assert seen == [1, 2, 3, 4]
    assert np.isfinite(np.stack(history["loss"])).sum(axis=0).tolist() == [2, 4, 4, 2, 4]
    assert set(history.stopped) == {"callback"}
    target = float(np.median(make().fit(X, Y, bp.SGD(0.1), epochs=9)["loss"][-1]))
    history = make().fit(X, Y, bp.SGD(0.1), epochs=9, target=target)
    assert {"target", "epochs"} == set(history.stopped)
    with pytest.raises(ValueError, match=r"mask must have shape \(5,\)"):
        make().fit(X, Y, bp.SGD(0.1), callbacks=[lambda *_: np.ones(3, bool)])
    mask = [True, False, False, False, True]
    history = make().fit(X, Y, bp.SGD(0.1), epochs=2, callbacks=[lambda *_: mask])
    assert history.stopped.tolist() == ["callback", "epochs", "epochs", "epochs", "callback"]


def test_an_interrupt_leaves_members_that_go_on():
    def interrupt(members, record):
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    population, optimizer = make(), bp.Adam(np.linspace(0.01, 0.1, 5))
    whole, its_optimizer = copy.deepcopy(population), copy.deepcopy(optimizer)
    with pytest.raises(KeyboardInterrupt):
        population.fit(X, Y, optimizer, epochs=9, batch_size=7, callbacks=[interrupt])
    assert optimizer.member_steps.tolist() == 5 * [12]
    population.fit(X, Y, optimizer, epochs=2, batch_size=7)
    whole.fit(X, Y, its_optimizer, epochs=5, batch_size=7)
    np.testing.assert_array_equal(population.parameters, whole.parameters)


def test_the_bar_shows_the_median_member(capsys):
    make().fit(X, Y, bp.SGD(0.1), epochs=4, progress=True)
    shown = capsys.readouterr().err
    assert "4/4" in shown
    assert "loss=" in shown


def test_rates_may_be_changed_in_a_callback():
    population, optimizer = make(), bp.SGD(np.full(5, 0.1))

    def halve(members, record):
        optimizer.lr = optimizer.lr / 2

    history = population.fit(X, Y, optimizer, epochs=3, callbacks=[halve])
    np.testing.assert_array_equal(history["lr"], [[0.1] * 5, [0.05] * 5, [0.025] * 5])


def test_one_schedule_is_of_each_members_own_steps():
    """Also where some have done fewer of them, because they stopped."""
    population, optimizer = make(), bp.SGD(bp.schedules.Exponential(0.5, 0.9))
    nets, own = list(population), [bp.SGD(bp.schedules.Exponential(0.5, 0.9)) for _ in range(5)]
    every, some = np.ones(5, bool), np.array([True, False, True, True, False])
    rates = MemberRates(optimizer.lr, 5)
    assert rates.of_steps(every, np.full(5, 7, np.uint64), 9).shape == (9,)
    assert rates.of_steps(some, np.array([7, 0, 7, 7, 0], np.uint64), 9).shape == (9,)
    assert rates.of_steps(every, np.array([7, 0, 7, 7, 0], np.uint64), 9).shape == (5, 9)
    for stops in (some, ~every):
        history = population.fit(X, Y, optimizer, epochs=3, batch_size=7, callbacks=[lambda *_, m=stops: m])
        for i, net in enumerate(nets):
            alone = net.fit(X, Y, own[i], epochs=1 if stops[i] else 3, batch_size=7)
            np.testing.assert_array_equal(population.parameters[i], net.parameters)
            assert history.of_member(i)["lr"] == alone["lr"]


WRONG = [
    ({"x": X[0]}, ValueError, "y must have one of the shapes"),
    ({"x": X[:, :, None, None]}, ValueError, "x must have shape"),
    ({"x": np.zeros((4, 24, 3))}, ValueError, r"must have shape \(5, n, inputs\)"),
    ({"y": Y[:3]}, ValueError, "y must have one of the shapes"),
    ({"y": np.full((24, 2), np.nan)}, ValueError, "y must be finite"),
    ({"samples": [[0, 24]] * 5}, ValueError, "row numbers from 0 to 23"),
    ({"samples": [[0.5, 1.0]] * 5}, TypeError, "row numbers"),
    ({"samples": [0, 1]}, ValueError, r"samples must have shape \(5, n'\)"),
    ({"samples": [[0, 1]] * 5, "x": np.zeros((5, 24, 3))}, ValueError, "x or y of its own"),
    ({"sample_weight": np.ones(3)}, ValueError, "sample_weight must have shape"),
    ({"sample_weight": -np.ones(24)}, ValueError, "at least 0|negative|≥ 0"),
    ({"target_mask": np.ones(3, bool)}, ValueError, "target_mask must have the shape of y"),
    ({"patience": 2}, ValueError, "patience watches 'validation_loss'"),
    ({"patience": 0, "monitor": "loss"}, ValueError, "patience must be at least 1"),
    ({"monitor": "losses"}, ValueError, "no monitor 'losses'"),
    ({"epochs": 0}, ValueError, "epochs must be at least 1"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ({"shuffle": "block"}, ValueError, "no shuffle 'block'"),
    ({"shuffle": "blocks"}, ValueError, "'blocks' is for samples that are not in memory"),
    ({"rng": 0}, TypeError, "no rng: each member draws from its own"),
    ({"metrics": {"f1": max}}, TypeError, "no metrics: measure what you like in a callback"),
    ({"record": "steps"}, TypeError, "no record: a history has epochs"),
    ({"precision": "bfloat16"}, TypeError, "no precision: the products"),
    ({"comm": 1}, TypeError, "no comm: its members are trained on one machine"),
    ({"sharded": True}, TypeError, "no sharded: it is for comm"),
    ({"sync_every": 2}, TypeError, "no sync_every: it is for comm"),
    ({"epoch": 2}, TypeError, "unexpected keyword argument 'epoch'"),
    ({"x": iter([(X, Y)]), "y": None}, TypeError, "iterables of batches are for a network"),
    ({"validation": 1.5}, ValueError, "a share between 0 and 1"),
    ({"validation": (X,)}, TypeError, "validation must be a pair"),
    ({"optimizer": bp.LBFGS()}, TypeError, "LBFGS is for a network"),
    ({"optimizer": "sgd"}, TypeError, "optimizer must be one such as"),
    ({"optimizer": bp.SGD(bp.schedules.ReduceOnPlateau(0.1))}, TypeError, "ReduceOnPlateau watches one"),
    ({"callbacks": [bp.EarlyStopping()]}, TypeError, "give fit patience="),
    ({"callbacks": [bp.Checkpoint("p")]}, TypeError, "population.save"),
    ({"callbacks": [3]}, TypeError, "list of callables"),
    ({"threads": 0}, ValueError, "threads must be at least 1"),
    ({"target": "a"}, TypeError, "target must be a number"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_bad_arguments_change_nothing(number):
    changed, error, text = WRONG[number]
    population = make()
    before = population.parameters.copy(), [rng.bit_generator.state for rng in population.rngs]
    arguments = {"x": X, "y": Y, "optimizer": bp.SGD(0.1)} | changed
    with pytest.raises(error, match=text):
        population.fit(**arguments)
    np.testing.assert_array_equal(population.parameters, before[0])
    assert [rng.bit_generator.state for rng in population.rngs] == before[1]


def test_sparse_samples_are_refused_by_name():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"no sparse x; give x.toarray\(\)"):
        make().fit(sparse.csr_matrix(X), Y, bp.SGD(0.1))


def test_labels_of_each_that_could_be_targets_of_all_are_refused():
    population = bp.Population.dense(3, 2, members=2, seed=0)
    with pytest.raises(ValueError, match="targets of all members or labels of each"):
        population.fit(X[:2], [[0, 1], [1, 0]], bp.SGD(0.1))


def test_penalties_must_be_of_all_members():
    for wrong, error in ((np.ones(3), ValueError), (-np.ones(5), ValueError), (["a"] * 5, TypeError)):
        with pytest.raises(error, match="l2 must"):
            make(l2=wrong)


def test_a_history_shows_and_turns_itself():
    population = make()
    history = population.fit(X, Y, bp.SGD(0.1), epochs=30, validation=(X, Y))
    assert population.history is history
    assert isinstance(history, bp.History)
    assert history.to_dict()["loss"].shape == (30, 5)
    text = str(history)
    assert "5 members" in text
    assert "…" in text
    assert "<td>30</td>" in history._repr_html_()
    np.testing.assert_array_equal(history.best("loss"), history.to_dict()["loss"].min(axis=0))
    with pytest.raises(KeyError, match="no 'losses'"):
        history["losses"]
    twin = pickle.loads(pickle.dumps(history))
    assert str(twin) == text
    assert twin.stopped.tolist() == history.stopped.tolist()


def test_plots_of_many_members():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    history = make().fit(X, Y, bp.SGD([0.001, 0.01, 0.1, 1, 2]), epochs=6, validation=(X, Y))
    ax = history.plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["loss", "validation loss"]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), np.median(history.to_dict()["loss"], axis=1))
    assert len(ax.collections) == 4
    ax = history.plot_parallel({"lr": [0.001, 0.01, 0.1, 1, 2], "batch": [1, 2, 3, 4, 5]})
    assert [label.get_text() for label in ax.get_xticklabels()] == ["lr", "batch", "validation loss"]
    lines = np.array([line.get_ydata() for line in ax.lines[:5]])
    assert lines.min() >= 0
    assert lines.max() <= 1
    assert {tuple(np.round(line[:2], 3)) for line in lines} >= {(0, 0), (1, 1), (0.606, 0.5)}
    with pytest.raises(ValueError, match=r"shape \(members,\), got lr \(2,\)"):
        history.plot_parallel({"lr": [1, 2]})
    with pytest.raises(TypeError, match="activation must hold real numbers, got dtype <U4"):
        history.plot_parallel({"activation": ["tanh", "relu", "relu", "tanh", "elu"]})
    np.testing.assert_array_equal(history.plot("seconds").lines[0].get_ydata(), history["seconds"])
    with pytest.raises(ValueError, match=r"\(epochs, members\)"):
        bp.plots.plot_bands([1, 2])
    pyplot.close("all")


def test_a_line_has_a_gap_where_a_setting_is_not_finite():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    settings = {"l2": [0.0, np.nan, 2.0, 1.0], "clip": [np.inf] * 4, "batch": [8, 8, 8, np.inf]}
    ax = bp.plots.plot_parallel(settings, [1.0, 2.0, 3.0, np.nan])
    lines = [line.get_ydata() for line in ax.lines[:3]]  # the lowest value last
    nan = np.nan
    np.testing.assert_array_equal(lines, [[1, nan, 0.5, 1], [nan, nan, 0.5, 0.5], [0, nan, 0.5, 0]])
    assert [text.get_text() for text in ax.texts] == ["0", "2", "", "", "8", "8", "1", "3"]
    pyplot.close("all")


def test_a_network_that_is_none_is_refused():
    with pytest.raises(TypeError, match="takes a Network, got int"):
        bp.Population(3, 2, 0)
