"""How the weights of a large layer are divided among threads: tests/c/test_division.c."""

from conftest import ROOT, run_c


def test_a_block_of_weights_has_one_owner(tmp_path, capfd):
    sources = [ROOT / "tests/c/test_division.c", ROOT / "csrc/core/passes/division.c"]
    failed = run_c(sources, ["-O1", f"-I{ROOT / 'csrc'}", "-pthread"], tmp_path)
    assert (failed, capfd.readouterr().out) == (0, "")
