"""The measured peak of multiply-adds."""

import pytest

from backprop import _core


def test_is_a_rate(dtype):
    # one operation a microsecond at least, a petaflop at most, whatever the machine
    assert 1e6 < _core.fma_peak(dtype, 0) < 1e15


@pytest.mark.parametrize(("arguments", "error"), [
    (("float16", 0.0), ValueError),
    (("float32", -1.0), ValueError),
    (("float32", float("nan")), ValueError),
    (("float32", 61.0), ValueError),
    (("float32", "long"), TypeError),
    ((), TypeError),
])  # fmt: skip
def test_refuses(arguments, error):
    with pytest.raises(error):
        _core.fma_peak(*arguments)
