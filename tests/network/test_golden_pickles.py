"""Pickles of earlier versions, tests/golden: they load, and give the figures that they gave there."""

import pickle

import pytest
from conftest import ROOT
from golden_figures import compare, figures_of

PICKLES = sorted(ROOT.glob("tests/golden/*/*.pickle"))


def test_there_are_pickles():
    assert len(PICKLES) >= 30


@pytest.mark.parametrize("path", PICKLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_pickle_gives_its_figures(path):
    pickled = path.read_bytes()
    compare(path, figures_of(pickle.loads(pickled)))
    compare(path, figures_of(pickle.loads(pickle.dumps(pickle.loads(pickled)))))
