"""The work between two meetings of a team, in pieces: tests/c/test_pieces.c."""

from conftest import ROOT, run_c


def test_each_piece_is_taken_once_and_nobody_waits_for_a_share(tmp_path, capfd):
    base = ROOT / "csrc/core/base"
    names = ("pieces", "team", "clock", "core", "memory")
    sources = [ROOT / "tests/c/test_pieces.c", *(base / f"{name}.c" for name in names)]
    failed = run_c(sources, ["-O1", f"-I{ROOT / 'csrc'}", "-pthread"], tmp_path)
    assert (failed, capfd.readouterr().out) == (0, "")
