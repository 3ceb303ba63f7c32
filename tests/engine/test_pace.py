"""The choice between a team of threads and one, on machines whose times are numbers: tests/c/test_pace.c."""

from conftest import ROOT, run_c


def test_the_faster_of_the_two_is_found(tmp_path, capfd):
    (pace,) = (ROOT / "csrc").rglob("pace.c")
    sources = [ROOT / "tests/c/test_pace.c", pace]
    failed = run_c(sources, ["-O1", f"-I{ROOT / 'csrc'}"], tmp_path)
    assert (failed, capfd.readouterr().out) == (0, "")
