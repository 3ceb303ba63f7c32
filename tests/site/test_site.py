"""The site in Chromium, from a plain file server: its WebAssembly, its page, and that nothing else is asked.

Skipped where the WebAssembly cannot be compiled, or Chromium, chromedriver or selenium is missing; ``make
test-browser`` runs these tests too.
"""

import functools
import http.server
import json
import os
import re
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from browser import DESKTOP, PHONE, Page, emulate
from test_wasm_bits import BATCH, HERE, NETWORKS, ROOT, STEPS, run

CHAPTER = "06_what_puts_the_back_in_backprop.html"
BITS = """
const [told, done] = arguments, base = document.baseURI;
const run = async () => {
  const { bits } = await import(new URL("bits.mjs", base).href);
  return bits(told, await (await fetch(new URL("engine.wasm", base))).arrayBuffer());
};
run().then(done, (error) => done(String(error)));
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address(site_folder):
    """Where a plain file server has the site."""
    shutil.copy(site_folder / "engine.js", site_folder / "engine.mjs")
    shutil.copy(HERE / "bits.mjs", site_folder)
    files = functools.partial(Quiet, directory=site_folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), files)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(driver, address):
    emulate(driver, DESKTOP)
    page = Page(driver)
    page.address = address
    yield page
    errors = page.errors()
    driver.get("about:blank")
    assert errors == []


def open_at(page, hash_):
    page.driver.get("about:blank")
    page.driver.get(f"{page.address}/play.html#{hash_}")
    page.until(lambda: page.all(".bp-edge"))


def test_a_hundred_steps_in_chromium_have_the_bits_of_baseline(page):
    told = {"networks": list(NETWORKS.values()), "epochs": STEPS * BATCH // 100, "batch": BATCH}
    environment = os.environ | {"BACKPROP_ISA": "baseline", "PYTHONPATH": str(ROOT)}
    cases = run([sys.executable, HERE / "bits_of_baseline.py"], told, env=environment)
    page.driver.get(f"{page.address}/play.html")
    page.driver.set_script_timeout(60)
    answers = page.driver.execute_async_script(BITS, told | {"cases": cases})
    for name, case, answer in zip(NETWORKS, cases, answers, strict=True):
        assert answer["last"] == case["last"], name
        assert np.array_equal(answer["delta"], case["delta"]), name


def test_nothing_is_asked_of_other_places(page, site_folder):
    page.driver.execute_cdp_cmd("Network.enable", {})
    open_at(page, "layers=2-3-1")
    asked = page.script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(asked) >= 5
    assert [name for name in asked if not name.startswith(page.address)] == []
    files = [path for path in site_folder.rglob("*") if path.suffix != ".mjs"]
    for path in files:
        if path.suffix in (".js", ".css"):
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert "://" not in text, path.name


def test_first_paint_is_not_waited_for_by_the_engine(page):
    """The head line is there before the WebAssembly: no script blocks it."""
    open_at(page, "layers=2-3-1")
    kinds = page.script("return [...document.scripts].map((each) => each.type)")
    assert set(kinds) == {"module"}
    assert page.script("return performance.getEntriesByName('first-contentful-paint').length") == 1


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_round_and_back(page, size):
    emulate(page.driver, size)
    open_at(page, "layers=2-5-4-1&data=circles&sample=4&seed=3")
    said = page.find(".bp-figures").text
    names = [f"Forward through layer {name}:" for name in ("L-2", "L-1", "L")]
    names += [f"Backward through layer {name}:" for name in ("L", "L-1", "L-2")]
    names += [f"Layer {name} is updated" for name in ("L", "L-1", "L-2")]
    for words in names:
        page.step(words)
    assert "C₀ was" in page.told()
    assert page.find(".bp-figures").text != said, "the loss has moved"
    for words in reversed(names[:-1]):
        page.press("Back")
        page.until(lambda words=words: words in page.told())
    page.press("Back")
    page.until(lambda: "Nothing is computed yet" in page.told())
    page.until(lambda: page.find(".bp-figures").text == said)
    wide = page.script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_whole_network_and_the_panel_are_seen_at_once(page, size):
    emulate(page.driver, size)
    open_at(page, "layers=2-8-8-8-1&done=8")
    page.until(lambda: "Backward through layer L-3" in page.told())
    lowest, top, bottom = page.script(
        "const box = (each) => each.getBoundingClientRect();"
        "const panel = box(document.querySelector('.bp-weight'));"
        "const low = [...document.querySelectorAll('.bp-node')].map((each) => box(each).bottom);"
        "return [Math.max(...low), panel.top, panel.bottom]"
    )
    assert lowest <= top
    assert bottom <= size[1]


def test_a_link_brings_the_same_state_back(page):
    network = "layers=2-6-3-1&activation=relu&data=xor&optimizer=adam&rate=0.02&seed=5"
    open_at(page, f"{network}&epochs=7&sample=9&done=4&weight=1.2.3")
    state = page.find(".bp-figures").text, page.told(), page.terms(), page.find(".bp-weight h2").text
    assert "epochs 7" in state[0]
    assert state[3].startswith("w")
    link = page.find("a.bp-link").get_attribute("href")
    page.driver.get("about:blank")
    page.driver.get(link)
    page.until(lambda: page.all(".bp-edge"))
    page.until(lambda: page.find(".bp-weight h2").text == state[3])
    assert (page.find(".bp-figures").text, page.told(), page.terms()) == state[:3]


def test_a_link_after_training_again(page):
    open_at(page, "layers=2-4-1&data=moons")
    figures = lambda: page.find(".bp-figures").text  # noqa: E731
    link = page.find("a.bp-link")
    page.step("Forward through layer L-1:")
    assert link.text == "A link to this state"
    page.press("Update")  # comes later
    for words in ("Forward through layer L:", "Backward through layer L:", "Backward through layer L-1:"):
        page.step(words)
    page.step("Layer L is updated")
    page.until(lambda: link.text.startswith("A link to this network, without single steps"))
    page.press("Start over")
    page.until(lambda: link.text == "A link to this state")
    page.press("Train")
    page.until(lambda: "epochs 10" in figures())
    first = figures()
    page.press("Start over")
    page.until(lambda: "epochs 0" in figures())
    page.press("Train")
    page.until(lambda: figures() == first)
    page.find(".bp-network summary").click()
    page.press("New weights")
    page.until(lambda: "epochs 0" in figures())
    page.press("Train")
    page.until(lambda: "epochs 10" in figures())
    other, url = figures(), link.get_attribute("href")
    assert other != first
    page.driver.get("about:blank")
    page.driver.get(url)
    page.until(lambda: page.all(".bp-edge"))
    page.until(lambda: figures() == other)


def test_a_network_by_its_fields_and_a_file(page, tmp_path):
    from selenium.webdriver.support.select import Select

    open_at(page, "layers=2-5-4-1")
    page.find(".bp-network summary").click()
    hidden = page.find("input.bp-wide")
    hidden.clear()
    hidden.send_keys("7")
    Select(page.find(".bp-network select")).select_by_value("relu")
    page.press("New network")
    page.until(lambda: "7 relu" in page.find(".bp-net").text)
    weight = page.find(".bp-weight h2").text
    page.press("New weights")
    page.until(lambda: page.find(".bp-weight h2").text != weight)
    hidden.clear()
    hidden.send_keys("7-q")
    page.press("New network")
    page.until(lambda: "hidden layers are widths" in page.find("[role=alert]").text)

    colours = ["red", "green", "blue"]
    rows = ["a,b,c,kind", *(f"{i % 5},{i % 7},{i % 3},{colours[i % 3]}" for i in range(60))]
    (tmp_path / "kinds.csv").write_text("\n".join(rows), encoding="utf-8")
    page.find("input[type=file]").send_keys(str(tmp_path / "kinds.csv"))
    page.until(lambda: "3 softmax" in page.find(".bp-net").text)
    assert "blue" in page.find(".bp-net").text, "outputs are called by class"
    page.press("Train")
    page.until(lambda: "epochs 10" in page.find(".bp-figures").text)
    assert page.find(".bp-verdict").text.startswith("label ")
    (tmp_path / "bad.csv").write_text("1,2,a\n1,x,b\n", encoding="utf-8")
    page.find("input[type=file]").send_keys(str(tmp_path / "bad.csv"))
    page.until(lambda: "line 2 has inputs that are no numbers" in page.find("[role=alert]").text)


def test_training_keeps_the_lesson_and_draws_two_runs(page):
    open_at(page, "layers=2-4-1&data=moons&done=4&epochs=1")
    told = page.told()
    page.press("Train")
    page.until(lambda: "epochs 11" in page.find(".bp-figures").text)
    assert page.told() == told, "the round is where it was"
    page.press("Start over")
    page.until(lambda: "epochs 0" in page.find(".bp-figures").text)
    page.press("Train")
    page.until(lambda: page.all(".bp-curve.bp-old"))


def test_maps_of_the_nodes(page):
    open_at(page, "layers=2-4-1&data=circles")
    box = page.find(".bp-place label:last-of-type input")
    assert page.all(".bp-map") == []
    box.click()
    page.until(lambda: len(page.all(".bp-map")) == 5)


def test_the_settings_that_are_refused_say_why(page):
    open_at(page, "layers=2-4-1&rate=-1")
    assert json.dumps(page.find("[role=alert]").text)
    page.until(lambda: "lr must be greater than 0" in page.find("[role=alert]").text)


def test_exercises_are_checked_by_the_engine(page):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    open_at(page, "layers=2-3-1&data=circles&sample=2&seed=1&epochs=3&done=6&weight=0.1.0")
    figures = page.find(".bp-figures").text
    choice = Select(page.find(".bp-exercise select"))
    answered = lambda: page.find(".bp-answered").text  # noqa: E731

    def asked(kind):
        choice.select_by_value(kind)
        page.press("Ask me")
        page.until(lambda: page.all(".bp-exercise .bp-bar:nth-of-type(2) button") and answered() == "")

    asked("gradient")
    product = page.terms()["product"]
    field = page.find("input.bp-answer")
    field.send_keys(str(1.05 * float(product)))
    page.press("Check")
    page.until(lambda: answered().startswith("Not yet"))
    field.clear()
    field.send_keys(str(1.01 * float(product)))
    page.press("Check")
    page.until(lambda: answered().startswith("Right. The chain rule"))

    ways = ["rise", "fall"]
    for kind, choices in (("way", ways), ("bias", ways), ("wrong", ["1", "2", "3", "4"])):
        asked(kind)
        page.press("Show the answer")
        right = page.until(answered).split(".")[0]
        assert right in choices
        for each in choices:
            page.press(each)
            says = "Right." if each == right else "Not yet"
            page.until(lambda says=says: answered().startswith(says))
    asked("largest")
    page.press("Show the answer")
    page.until(lambda: "They share" in answered())
    assert page.find(".bp-figures").text == figures, "asking changes nothing"
    emulate(page.driver, PHONE)
    asked("way")
    page.script("scrollBy(0, arguments[0].getBoundingClientRect().bottom - innerHeight)", page.button("rise"))
    page.script("arguments[0].focus({ preventScroll: true })", page.button("rise"))
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.until(answered)
    below = "return document.querySelector('.bp-answered').getBoundingClientRect().bottom - innerHeight"
    assert page.script(below) <= 1, "the answer is in sight"


def test_every_link_of_the_site_leads_somewhere(site_folder):
    anchors, links = {}, []
    for path in site_folder.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        anchors[path.name] = set(re.findall(r'\bid="([^"]+)"', text))
        links += [(path.name, url) for url in re.findall(r'\b(?:href|src)="([^"]+)"', text)]
        assert text.count("<h1") == 1, path.name
    assert len(anchors) > 100
    assert len(links) > 1000
    for page, url in links:
        if url.startswith(("https://", "data:")):
            continue
        name, _, anchor = url.partition("#")
        assert not name or (site_folder / name).is_file(), f"{page} links to {url}"
        assert not anchor or anchor in anchors[name or page], f"{page} links to {url}"


@pytest.mark.parametrize("name", ["index.html", "play.html", CHAPTER, "09_xor_and_two_spirals.html"])
def test_a_visit_costs_less_than_one_and_a_half_megabytes(page, name):
    """All that a page loads, uncompressed, down to its last picture."""
    page.driver.get("about:blank")
    page.driver.get(f"{page.address}/{name}")
    page.until(lambda: page.all(".bp-edge"))
    page.script("document.querySelectorAll('img').forEach((image) => { image.loading = 'eager'; })")
    page.until(lambda: page.script("return [...document.images].every((image) => image.naturalWidth > 0)"))
    loaded = page.script(
        "return ['navigation', 'resource'].flatMap((kind) => performance.getEntriesByType(kind))"
        ".map((entry) => [entry.name.split('/').at(-1), entry.decodedBodySize])"
    )
    assert dict(loaded)["engine.wasm"] > 400_000, "the WebAssembly counts"
    assert sum(size for _, size in loaded) < 1_000_000


def test_the_folder_is_small(site_folder):
    assert sum(path.stat().st_size for path in site_folder.iterdir()) < 2_200_000


def test_mathematics_is_set_when_the_site_is_built(site_folder):
    for name in ("06_what_puts_the_back_in_backprop.html", "glossary.html", "handout.html"):
        text = (site_folder / name).read_text(encoding="utf-8")
        assert text.count("<math") >= 5
        assert "\\frac" not in re.sub(r"<annotation.*?</annotation>", "", text)


def test_the_search_finds_pages(page):
    page.driver.get(f"{page.address}/index.html")
    field = page.driver.find_element("css selector", "#search")
    for words, url in (
        ("getting started", "getting_started.html"),
        ("learning rate", "choose_a_rate.html"),
        ("glossary", "glossary.html"),
        ("early stopping", "stop_early.html"),
        ("Network.fit", "Network.fit.html"),
    ):
        field.clear()
        field.send_keys(words)
        link = f"#found a[href='{url}']"
        page.until(lambda link=link: page.driver.find_elements("css selector", link))
    field.clear()
    field.send_keys("xyzzy")
    page.until(lambda: "Nothing" in page.driver.find_element("css selector", "#found").text)


def test_chapters_show_the_state_that_they_are_about(page):
    page.driver.get(f"{page.address}/06_what_puts_the_back_in_backprop.html")
    page.until(lambda: page.all(".bp-edge"))
    assert page.terms()["product"] is not None
    assert "Backward through layer L-1" in page.told()


@pytest.mark.parametrize("name", ["play.html", "index.html", CHAPTER, "Network.html", "glossary.html"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_no_serious_fault(page, name, dark, size):
    axe = pytest.importorskip("axe_core_python", reason="needs axe-core-python, which has axe.min.js")
    script = next(Path(axe.__path__[0]).rglob("axe.min.js")).read_text(encoding="utf-8")
    emulate(page.driver, size, dark)
    page.driver.get(f"{page.address}/{name}")
    if name not in ("Network.html", "glossary.html"):
        page.until(lambda: page.all(".bp-edge"))
    page.script(script)
    found = page.driver.execute_async_script(
        "const done = arguments[0]; axe.run().then((result) => done(result.violations))"
    )
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in serious] == []


def test_chapters_come_as_notebooks(site_folder):
    notebooks = sorted(site_folder.glob("*.ipynb"))
    chapters = sorted((ROOT / "examples").glob("*.ipynb"))
    assert [path.name for path in notebooks] == [path.name for path in chapters]
    for path in notebooks:
        text = (site_folder / f"{path.stem}.html").read_text(encoding="utf-8")
        assert f'<a href="{path.name}">' in text
        assert all(not cell.get("outputs") for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])
        assert "colab" not in text, "whose repository it is, only the builder knows"


def test_links_to_colab_and_binder(monkeypatch):
    """Their addresses, after the services' own documentation; nobody follows them here."""
    pytest.importorskip("latex2mathml", reason="needs the extra site: pip install -e '.[site]'")
    monkeypatch.syspath_prepend(str(ROOT / "site"))
    import pages

    line = pages.open_in("01_forward_propagation.ipynb", "owner/name")
    colab = "https://colab.research.google.com/github/owner/name/blob/HEAD/examples/01_forward_propagation.ipynb"
    assert f'"{colab}"' in line
    binder = "https://mybinder.org/v2/gh/owner/name/HEAD?labpath=examples%2F01_forward_propagation.ipynb"
    assert f'"{binder}"' in line
    assert "https" not in pages.open_in("01_forward_propagation.ipynb", None)


def test_the_handout_is_one_sheet(site_folder):
    if not (site_folder / "handout.pdf").exists():
        pytest.skip("needs chromium, which prints it")
    content = (site_folder / "handout.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page[^s]", content)) == 1


def test_mathematics_has_signs_and_primes_as_they_are_set(monkeypatch):
    pytest.importorskip("latex2mathml", reason="needs the extra site: pip install -e '.[site]'")
    monkeypatch.syspath_prepend(str(ROOT / "site"))
    import pages

    assert '<mo>=</mo><mo form="prefix">−</mo>' in pages.math("w = -0.25", {})
    assert '<mi>g</mi><mo lspace="0" rspace="0">′</mo>' in pages.math("g'(z)", {})
    assert "<mo>−</mo>" in pages.math("a - y", {})
