"""The site: the page with its engine in WebAssembly, the lesson and the documentation, as a folder of files.

    python site/build.py [build/site]

It opens from any plain file server and asks nothing of other places. Needs what .ci/wasm needs. With
``REPOSITORY=owner/name``, chapters link to Colab and Binder, which take notebooks from GitHub.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pages
import reference

from backprop.play import page
from backprop.play.answers import sent
from backprop.play.stage import PLANE, SETS, TESTS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
REPOSITORY = os.environ.get("REPOSITORY")  # owner/name on GitHub, where chapters link to Colab and Binder
WORDS = 1500  # characters of a page that the search knows
LIVE = {  # the state of the page in each chapter that is about something to be seen there
    "01": "layers=2-3-1&data=moons&sample=0&done=0&weight=0.0.0",
    "02": "layers=2-3-1&data=moons&sample=3&done=2&weight=1.0.0",
    "04": "layers=2-3-2-1&data=circles&sample=5&done=3&weight=2.0.1",
    "05": "layers=2-4-1&data=circles&sample=5&done=3&weight=1.0.1",
    "06": "layers=2-4-3-2&data=circles&sample=5&done=5&weight=1.1.1",
    "07": "layers=2-5-1&data=moons&rate=0.5&sample=2&done=4&weight=1.0.0",
    "09": "layers=2-16-16-1&activation=relu&loss=binary_cross_entropy&data=two_spirals"
    "&optimizer=adam&rate=0.02",
}
GUIDES = (
    "install.html", "training.html", "explaining.html", "saving.html", "scaling.html", "command_line.html",
    "scikit_learn.html", "with_scipy.html",
)  # fmt: skip


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


def write(out, file, title, body, **how):
    """One page; what the search knows of it."""
    (out / file).write_text(pages.whole(title, body, **how), encoding="utf-8")
    return {"title": title, "url": file, "text": pages.text_of(body)[:WORDS]}


def lesson(out):
    """The chapters of the lesson, each with the page in the state that it is about."""
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        title = "".join(cells[0]["source"]).splitlines()[0].lstrip("# ")
        live = LIVE.get(path.stem[:2])
        body = pages.of_notebook(path, live, lambda name, content: (out / name).write_bytes(content))
        body = body.replace("</h1>\n", "</h1>\n" + pages.open_in(path.name, REPOSITORY), 1)
        (out / path.name).write_text(pages.without_outputs(path), encoding="utf-8")
        yield write(out, f"{path.stem}.html", title, body, live=live is not None)


def guides(out):
    """The pages of docs/ and docs/howto/, and their pictures."""
    for path in [*sorted((ROOT / "docs/howto").glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]:
        if path.name in ("index.md", "tutorial.md"):
            continue
        text, found = path.read_text(encoding="utf-8"), {}
        title = text.splitlines()[0].lstrip("# ")
        yield write(out, f"{path.stem}.html", title, pages.markdown().render(text, found))
        for name in found.get("images", ()):
            shutil.copy(ROOT / "docs/images" / name, out)
        for name in found.get("files", ()):
            shutil.copy(path.parent / name, out)


def listed(told, wanted):
    by_url = {each["url"]: each["title"] for each in told}
    return "".join(f'<li><a href="{url}">{by_url[url]}</a></li>\n' for url in wanted)


def doors(out, told):
    """The landing page and what its doors lead to."""
    chapters = [each["url"] for each in told if each["url"][:2].isdigit()]
    steps = [f"{path.stem}.html" for path in sorted((ROOT / "docs/howto").glob("*.md"))]
    steps.sort(key=lambda url: url != "getting_started.html")
    learn = (HERE / "learn.md").read_text(encoding="utf-8")
    body = pages.markdown().render(learn) + f'<ul class="chapters">{listed(told, chapters)}</ul>\n'
    yield write(out, "learn.html", "Learn", body)
    use = pages.markdown().render((HERE / "use.md").read_text(encoding="utf-8"))
    body = use.replace("<!-- how -->", f"<ul>{listed(told, steps)}</ul>")
    yield write(out, "use.html", "Use", body.replace("<!-- guides -->", f"<ul>{listed(told, GUIDES)}</ul>"))
    landing = (HERE / "landing.html").read_text(encoding="utf-8")
    yield write(out, "index.html", "Backpropagation, with every term on show", landing, live=True, wide=True)
    play = '<h1 class="small">Try it</h1>\n' "<div data-backprop-lesson></div>\n"
    yield write(out, "play.html", "Try it", play, live=True, wide=True)


def handout(out):
    """The handout as PDF, where Chromium is at hand."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        print("no handout.pdf: Chromium, which prints it, is not installed")
        return
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command = [chromium, *options, f"--print-to-pdf={out / 'handout.pdf'}", (out / "handout.html").as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def build(out):
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run([ROOT / ".ci/wasm", out / "engine.wasm"], check=True)
    (out / "widget.js").write_text(page.script(), encoding="utf-8")
    (out / "widget.css").write_text(page.text("widget.css"), encoding="utf-8")
    (out / "sets.json").write_text(json.dumps(sets(), separators=(",", ":")), encoding="utf-8")
    for name in ("engine.js", "play.js", "search.js", "site.css"):
        shutil.copy(HERE / name, out)
    told = [*lesson(out), *guides(out)]
    told += [write(out, file, title, body) for file, title, body in reference.pages()]
    told += list(doors(out, told))
    index = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    (out / "search.json").write_text(index, encoding="utf-8")
    handout(out)


if __name__ == "__main__":
    build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/site").resolve())
