"""The site: the page with its engine in WebAssembly, the lesson and the documentation, as a folder of files.

    python site/build.py [build/site]

It opens from any plain file server and asks nothing of other places. Needs what .ci/wasm needs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from backprop.play import page
from backprop.play.answers import sent
from backprop.play.stage import PLANE, SETS, TESTS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def part(x, y):
    return {"x": sent(np.asarray(x, np.float64)), "y": sent(np.asarray(y, np.float64))}


def sets():
    """The data of the page, as play takes them."""
    told = {}
    for name, draw in SETS.items():
        train, tests = (draw(count, rng=seed) for seed, count in enumerate((PLANE, TESTS)))
        about = {"labels": True, "classes": None, "inputs": 2, "tests": part(*tests)}
        told[name] = part(*train) | about
    return told


def build(out):
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run([ROOT / ".ci/wasm", out / "engine.wasm"], check=True)
    (out / "widget.js").write_text(page.script(), encoding="utf-8")
    (out / "widget.css").write_text(page.text("widget.css"), encoding="utf-8")
    (out / "sets.json").write_text(json.dumps(sets(), separators=(",", ":")), encoding="utf-8")
    for name in ("engine.js", "play.js", "play.html"):
        shutil.copy(HERE / name, out)


if __name__ == "__main__":
    build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/site"))
