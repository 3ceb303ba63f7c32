"""A progress bar where standard error is missing, closed, or is closed meanwhile: training goes on."""

import io
import sys

import numpy as np
import pytest
from conftest import make_data, make_network

import backprop as bp


def closed():
    file = io.StringIO()
    file.close()
    return file


@pytest.mark.parametrize("progress", [None, True])
@pytest.mark.parametrize("stderr", [None, closed()], ids=["missing", "closed"])
def test_without_standard_error_there_is_no_bar(monkeypatch, stderr, progress):
    net = make_network((3, 2), "tanh")
    monkeypatch.setattr(sys, "stderr", stderr)
    assert net.fit(*make_data(net, 8), bp.SGD(0.1), epochs=3, progress=progress).epochs == 3


def test_standard_error_that_is_closed_meanwhile_ends_the_bar_only(monkeypatch):
    net = make_network((3, 2), "tanh")
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)

    def close(network, record):
        if record["epoch"] == 2:
            file.close()

    history = net.fit(*make_data(net, 8), bp.SGD(0.1), epochs=5, progress=True, callbacks=[close])
    assert history.epochs == 5
    assert np.isfinite(net.parameters).all()
