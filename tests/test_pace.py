"""The choice between a team of threads and one, on machines whose times are numbers: tests/c/test_pace.c."""

from pathlib import Path

from conftest import run_c

ROOT = Path(__file__).resolve().parent.parent


def test_the_faster_of_the_two_is_found(tmp_path, capfd):
    sources = [ROOT / "tests/c/test_pace.c", ROOT / "csrc/core/train/pace.c"]
    failed = run_c(sources, ["-O1", f"-I{ROOT / 'csrc'}"], tmp_path)
    assert (failed, capfd.readouterr().out) == (0, "")
