"""Files of earlier versions, tests/golden: they load, and give the figures that they gave there."""

import pytest
from conftest import ROOT
from golden_figures import compare, figures_of

import backprop as bp

FILES = sorted(ROOT.glob("tests/golden/*/*.safetensors"))


def test_there_are_files():
    assert len(FILES) >= 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_file_gives_its_figures(path, tmp_path):
    has_optimizer = "_with_" in path.stem
    loaded = bp.load(path, optimizer=True) if has_optimizer else bp.load(path)
    net, optimizer = loaded if has_optimizer else (loaded, None)
    net.save(tmp_path / "again", optimizer=optimizer)
    compare(path, figures_of(loaded))
    compare(path, figures_of(bp.load(tmp_path / "again", optimizer=has_optimizer)))
