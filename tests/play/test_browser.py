"""The page in a browser, as `python -m backprop play` serves it and as JupyterLab shows it: clicks and keys.

What the page shows is compared with the network's own trace. Skipped where Chromium, chromedriver, selenium
or, for the notebook, JupyterLab is missing; ``make test-browser`` runs these tests alone.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from browser import DESKTOP, PHONE, SECONDS, Page, emulate, same, serving

import backprop as bp
from backprop.play.stage import Stage

PACKAGE = Path(bp.__file__).parent


def check_round(page, net, x, y):
    """Steps through a round by clicks and compares what is shown with the trace."""
    e = net.explain(x, y, 0, 1, 0)
    trace = net.trace(x, y).layers
    layers = len(net.layers)
    names = [f"L-{layers - 1 - layer}" if layer + 1 < layers else "L" for layer in range(layers)]
    page.until(lambda: page.all("[data-term]"))
    assert page.terms()["product"] is None
    for name in names:
        page.step(f"Forward through layer {name}:")
    shown = page.script("return [...document.querySelectorAll('.bp-node')].map((node) => node.ariaLabel)")
    for number in trace[-1].a:
        assert any(f"= {number:.4g}".replace("-", "−") in label for label in shown), shown
    for name in reversed(names):
        page.step(f"Backward through layer {name}:")
    page.until(lambda: page.script("arguments[0].focus()", page.edge(0, 1, 0)) or True)
    page.until(lambda: same(page.terms()["product"], e.product))
    terms = page.terms()
    assert same(terms["dC_da"], e.dC_da)
    assert same(terms["da_dz"], e.da_dz)
    assert same(terms["dz_dw"], e.dz_dw)
    before = net.parameters.copy()
    for name in reversed(names):
        page.step(f"Layer {name} is updated")
    return before


@pytest.fixture
def served():
    """A server of a trained network with one hidden layer, in this process."""
    x, y = bp.datasets.circles(60, rng=0)
    net = bp.Network.dense(2, 4, 1, hidden="tanh", seed=0)
    net.fit(x, y, bp.SGD(0.5), epochs=3, batch_size=10, progress=False)
    with serving(Stage(net, x, y, sample=2)) as server:
        yield server


@pytest.fixture
def page(driver, served):
    """The page of `served`, at a desktop's size."""
    emulate(driver, DESKTOP)
    driver.get(served.url)
    page = Page(driver)
    page.until(lambda: page.all(".bp-edge"))
    yield page
    errors = page.errors()
    driver.get("about:blank")  # before its server ends
    assert errors == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_round_by_clicks(driver, served, page, size, dark):
    emulate(driver, size, dark)
    stage = served.stage
    net, x, y = stage.network, stage.x[2], stage.y[2]
    before = check_round(page, net, x, y)
    twin = bp.Network.dense(2, 4, 1, hidden="tanh", seed=0)
    twin.parameters[:] = before
    twin.step(x, y, bp.SGD(0.5))
    assert np.array_equal(net.parameters, twin.parameters)
    assert not np.array_equal(net.parameters, before)
    wide = page.script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1], "nothing sticks out to the side"
    if size == PHONE:  # a finger needs 44 px (WCAG 2.2, 2.5.5)
        boxes = page.all("button, select, input:not([type=checkbox])")
        assert min(box.rect["height"] for box in boxes if box.is_displayed()) >= 44
    top = {name: page.find(f".bp-{name}").rect["y"] for name in ("net", "weight")}
    if size == DESKTOP:
        assert top["net"] < top["weight"]
    seen = page.script(
        "window.scrollTo(0, 0); const box = document.querySelector('.bp-weight').getBoundingClientRect();"
        "return [box.top, box.bottom, innerHeight]"
    )
    assert seen[0] < seen[1] <= seen[2] + 1, "the three terms are in sight"
    ground = page.script("return getComputedStyle(document.querySelector('.bp-root')).backgroundColor")
    assert ground == ("rgb(22, 25, 29)" if dark else "rgb(255, 255, 255)")


def test_pointing_at_a_weight_shows_its_terms(page, served):
    from selenium.webdriver import ActionChains

    stage = served.stage
    for words in ("Forward", "Forward", "Backward", "Backward"):
        page.step(f"{words} through")
    line = page.edge(1, 0, 2).find_element("css selector", ".bp-hit")
    ActionChains(page.driver).move_to_element(line).perform()
    e = stage.network.explain(stage.x[2], stage.y[2], 1, 0, 2)
    page.until(lambda: same(page.terms()["product"], e.product))
    assert same(page.terms()["dz_dw"], e.dz_dw)
    ActionChains(page.driver).move_to_element(page.find(".bp-legend")).perform()
    kept = stage.network.explain(stage.x[2], stage.y[2], 1, 0, 0)
    page.until(lambda: same(page.terms()["product"], kept.product))
    ActionChains(page.driver).move_to_element(line).click().move_to_element(page.find(".bp-legend")).perform()
    page.until(lambda: same(page.terms()["product"], e.product))
    time.sleep(0.2)
    assert same(page.terms()["product"], e.product), "what was clicked stays"


def test_everything_by_keyboard(page, served):
    from selenium.webdriver.common.keys import Keys

    stage = served.stage
    reached = []
    page.script("document.activeElement.blur()")
    keyboard = page.driver.switch_to.active_element
    for _ in range(60):
        keyboard.send_keys(Keys.TAB)
        keyboard = page.driver.switch_to.active_element
        if keyboard.tag_name == "body":
            break
        outline = page.script("return arguments[0].matches(':focus-visible')", keyboard)
        assert outline, "the focus is to be seen"
        name = keyboard.accessible_name
        assert name, keyboard.get_attribute("outerHTML")
        reached.append(name)
    steps = {"Next: forward, layer L-1", "one step back", "Forward", "Backward", "Update"}
    sample = {"the sample before", "sample", "the next sample", "data"}
    training = {"Train", "epochs", "Keep training", "speed", "learning rate", "batch size", "Start over"}
    weight = {"layer", "to node j", "from node k", "bias"}
    assert steps | sample | training | weight <= set(reached)
    assert sum(name.startswith("w") for name in reached) == 1, "the network is one stop"

    page.find("button.bp-main").send_keys(Keys.ENTER)
    page.until(lambda: "Forward through layer L-1:" in page.told())
    page.button("Forward").send_keys(Keys.SPACE)
    page.until(lambda: "Forward through layer L:" in page.told())
    for words in ("layer L:", "layer L-1:"):
        page.button("Backward").send_keys(Keys.ENTER)
        page.until(lambda words=words: f"Backward through {words}" in page.told())

    weights = [edge.get_attribute("data-key") for edge in page.all("[data-key]")]
    first = page.find("[data-key][tabindex='0']")
    assert json.loads(first.get_attribute("data-key")) == [1, 0, 0]
    page.script("arguments[0].focus()", first)
    active = lambda: page.driver.switch_to.active_element  # noqa: E731
    active().send_keys(Keys.HOME)
    assert active().get_attribute("data-key") == weights[0]
    active().send_keys(Keys.ARROW_RIGHT)
    active().send_keys(Keys.ARROW_DOWN)
    assert active().get_attribute("data-key") == weights[2] == "[0,2,0]"
    e = stage.network.explain(stage.x[2], stage.y[2], 0, 2, 0)
    page.until(lambda: same(page.terms()["product"], e.product))
    assert f"{e.product:.4g}".replace("-", "−") in page.script(
        "return document.querySelector('.bp-root [aria-live]').textContent"
    )
    active().send_keys(Keys.PAGE_DOWN)
    assert json.loads(active().get_attribute("data-key"))[0] == 1

    page.find("input[type=checkbox]").send_keys(Keys.SPACE)
    bias = stage.network.explain(stage.x[2], stage.y[2], 1, 0, bias=True)
    page.until(lambda: same(page.terms()["product"], bias.product) and same(page.terms()["dz_dw"], 1))


def test_training_moves_the_boundary(page, served):
    stage = served.stage
    beginning = stage.network.parameters.copy()
    picture = "return document.querySelector('.bp-plane canvas').toDataURL()"
    before = page.until(lambda: page.script(picture))
    page.press("Train")
    page.until(lambda: "epochs 10" in page.find(".bp-figures").text)
    assert page.script(picture) != before
    loss = f"{stage.network.loss(stage.x, stage.y):.4g}"
    assert f"training C {loss}" in page.find(".bp-figures").text
    page.until(lambda: page.all(".bp-curve"))
    page.press("Keep training")
    page.until(lambda: stage.epochs > 13)
    page.press("Stop")
    page.until(lambda: page.button("Keep training"))
    seen = []
    page.until(lambda: seen.append(stage.epochs) or (len(seen) > 20 and seen[-1] == seen[-20]))
    page.press("Start over")
    page.until(lambda: "epochs 0" in page.find(".bp-figures").text)
    assert np.array_equal(stage.network.parameters, beginning)


def test_data_sample_and_rate(page, served):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    stage = served.stage
    sample = page.find("input")
    page.press("›")
    page.until(lambda: sample.get_property("value") == "3")
    canvas = page.find(".bp-plane canvas")
    low, high = stage.x.min(axis=0), stage.x.max(axis=0)
    x, y = (stage.x[17] - low + 0.1 * (high - low)) / (1.2 * (high - low))
    page.script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    box = canvas.rect
    place = round((x - 0.5) * box["width"]), round((0.5 - y) * box["height"])
    ActionChains(page.driver).move_to_element_with_offset(canvas, *place).click().perform()
    page.until(lambda: sample.get_property("value") == "17")
    sample.clear()
    sample.send_keys("60", Keys.ENTER)
    page.until(lambda: "sample must be below 60" in page.find("[role=alert]").text)
    assert sample.get_property("value") == "17", "a refused sample does not stay"
    Select(page.find("select.bp-data")).select_by_value("xor")
    page.until(lambda: "of 200" in page.find(".bp-bar").text)
    assert stage.data == "xor"
    rate = page.find("input[step=any]")
    for text in ("0.003", "0.0005"):
        rate.clear()
        rate.send_keys(text, Keys.ENTER)
        page.until(lambda text=text: stage.optimizer.lr == float(text))
        fits = page.script("return arguments[0].scrollWidth <= arguments[0].clientWidth", rate)
        assert fits, "no digit is cut off"
    rate.clear()
    rate.send_keys("0.125", Keys.ENTER)
    page.until(lambda: stage.optimizer.lr == 0.125)
    rate.clear()
    rate.send_keys("-1", Keys.ENTER)
    page.until(lambda: "lr must be greater than 0" in page.find("[role=alert]").text)
    assert stage.optimizer.lr == 0.125
    page.until(lambda: rate.get_property("value") == "0.125")


def test_what_another_tab_did_is_seen(page, served):
    stage = served.stage
    page.step("Forward through layer L-1:")
    with stage.lock:
        stage.train(4)
    page.script("window.dispatchEvent(new Event('focus'))")
    page.until(lambda: "epochs 4" in page.find(".bp-figures").text)
    a = stage.network.trace(stage.x[2], stage.y[2]).layers[0].a[0]
    label = "return document.querySelectorAll('.bp-node')[2].ariaLabel"
    page.until(lambda: page.script(label).endswith(f"= {a:.4g}".replace("-", "−")))


def test_a_batch_forms_its_average(page, served):
    stage = served.stage
    net, batch = stage.network, slice(2, 12)
    page.script("document.querySelector('.bp-more').open = true")
    for count in range(1, 11):
        page.press("Next sample of the batch")
        page.until(lambda count=count: f"{count} of 10 samples" in page.find(".bp-more").text)
    mean = float(page.find(".bp-batch").get_attribute("data-mean"))
    gradient = net.gradient(stage.x[batch], stage.y[batch]).layers[1].weights[0, 0]
    assert abs(mean - gradient) <= 20 * 2.0**-24 * np.abs(gradient).max() + 1e-8
    twin = bp.Network.dense(2, 4, 1, hidden="tanh", seed=0)
    twin.parameters[:] = net.parameters
    twin.step(stage.x[batch], stage.y[batch], bp.SGD(0.5))
    page.press("Update with the average")
    page.until(lambda: np.array_equal(net.parameters, twin.parameters))


def test_the_loss_over_two_weights(page, served):
    stage = served.stage
    before = stage.network.parameters.copy()
    page.script("document.querySelectorAll('.bp-more')[1].open = true")
    page.press("Draw the loss")
    page.until(lambda: "choose one weight, then another" in page.find("[role=alert]").text)
    page.until(lambda: page.script("arguments[0].focus()", page.edge(0, 1, 0)) or True)
    page.press("Draw the loss")
    canvas = page.find(".bp-surface")
    page.until(lambda: canvas.is_displayed())
    assert same(canvas.get_attribute("data-middle"), stage.network.loss(stage.x, stage.y))
    assert float(canvas.get_attribute("data-low")) < stage.network.loss(stage.x, stage.y)
    assert np.array_equal(stage.network.parameters, before)


NOTEBOOK = """\
import backprop as bp
x, y = bp.datasets.circles(60, rng=0)
net = bp.Network.dense(2, 4, 1, hidden="tanh", seed=0)
bp.Widget(net, x, y, sample=2)
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a notebook in a JupyterLab on the loopback interface, its settings in a new folder."""
    for name in ("jupyterlab", "anywidget", "ipykernel"):  # not imported: fit looks whether ipykernel was
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}: pip install {name}")
    folder = tmp_path_factory.mktemp("lab")
    cell = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": []}
    cell["source"] = NOTEBOOK
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "widget.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    jupyter = [f"JUPYTER_{name}_DIR" for name in ("CONFIG", "DATA", "RUNTIME")]
    own = {name: str(folder / name.lower()) for name in ("HOME", "IPYTHONDIR", *jupyter)}
    python_path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    settings = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port_retries": 50,
        "ServerApp.root_dir": folder,
        "IdentityProvider.token": "widget",
        "LabApp.news_url": "",
        "LabApp.expose_app_in_browser": True,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in settings.items()]
    with open(folder / "log", "w", encoding="utf-8") as log:
        environment = os.environ | own | {"PYTHONPATH": python_path}
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            yield lab_address(process, folder)
        finally:
            process.terminate()
            process.wait(30)


def lab_address(process, folder):
    """Where the server of this process listens, once it does."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        for file in (folder / "jupyter_runtime_dir").glob("jpserver-*.json"):
            try:
                server = json.loads(file.read_text(encoding="utf-8"))
                urllib.request.urlopen(f"{server['url']}api?token=widget", timeout=10).close()
            except (OSError, ValueError):
                continue
            return f"{server['url']}lab/tree/widget.ipynb?token=widget&reset"
        time.sleep(0.1)
    raise AssertionError((folder / "log").read_text(encoding="utf-8")[-3000:])


def check_theme(page, theme, ground):
    """JupyterLab goes over to another theme: the page takes its colours, and keeps its width."""
    shape = (
        "const [root, svg] = ['.bp-root', '.bp-net svg'].map((each) => document.querySelector(each));"
        "return [root.clientWidth, svg.getBoundingClientRect().width, svg.viewBox.baseVal.width]"
    )
    before = page.script(shape)
    change = "jupyterapp.commands.execute('apputils:change-theme', {theme: `JupyterLab ${arguments[0]}`})"
    page.script(change, theme)
    colour = "return getComputedStyle(document.querySelector('.bp-root')).backgroundColor"
    page.until(lambda: page.script(colour) == ground)
    page.until(lambda: np.allclose(page.script(shape), before, atol=2))
    time.sleep(0.5)
    assert np.allclose(page.script(shape), before, atol=2), "it stays as wide"


def check_seen_at_once(page):
    """From the first button to the end of the panel, all is in what JupyterLab shows of a notebook."""
    page.script("document.querySelector('.bp-root').scrollIntoView()")
    top, bottom, low, high = page.script(
        "const box = (each) => document.querySelector(each).getBoundingClientRect();"
        "const frame = box('.jp-WindowedPanel-outer');"
        "return [box('.bp-bar').top, box('.bp-weight').bottom, frame.top, frame.bottom]"
    )
    assert low <= top < bottom <= high


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_round_in_jupyterlab(driver, lab, size):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    emulate(driver, size)
    driver.get(lab)
    page = Page(driver)
    cell = ".jp-Notebook .jp-CodeCell"
    page.until(lambda: driver.find_element("css selector", f"{cell} .cm-content").is_displayed())
    idle = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
    page.until(lambda: driver.find_elements("css selector", idle))

    def run_cell():
        """Asks for it again if JupyterLab, still starting, has not heard."""
        if "[*]" not in driver.find_element("css selector", f"{cell} .jp-InputPrompt").text:
            page.script("arguments[0].focus()", driver.find_element("css selector", f"{cell} .cm-content"))
            ActionChains(driver).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()
        end = time.monotonic() + 3
        while time.monotonic() < end and not page.all(".bp-edge"):
            time.sleep(0.05)
        return page.all(".bp-edge")

    page.until(run_cell)
    if size == PHONE:  # the file browser would take most of the width
        open_tab = ".jp-SideBar.jp-mod-left .lm-TabBar-tab.lm-mod-current"
        for tab in driver.find_elements("css selector", open_tab):
            tab.click()
        page.until(lambda: page.script("return document.querySelector('.bp-root').clientWidth") > 250)

    x, y = bp.datasets.circles(60, rng=0)
    net = bp.Network.dense(2, 4, 1, hidden="tanh", seed=0)
    check_round(page, net, x[2], y[2:3])
    net.step(x[2], y[2:3], bp.SGD(0.5))
    page.script("arguments[0].focus()", page.edge(1, 0, 1))
    driver.switch_to.active_element.send_keys("b")  # for JupyterLab, when it listens: a new cell
    driver.switch_to.active_element.send_keys(Keys.HOME)
    page.until(lambda: driver.switch_to.active_element.get_attribute("data-key") == "[0,0,0]")
    assert len(driver.find_elements("css selector", cell)) == 1
    check_seen_at_once(page)
    for theme, ground in (("Dark", "rgb(22, 25, 29)"), ("Light", "rgb(255, 255, 255)")):
        check_theme(page, theme, ground)
    weight = page.edge(1, 0, 0).get_attribute("aria-label")
    assert weight.endswith(f"= {net.layers[1].weights[0, 0]:.4g}".replace("-", "−"))
