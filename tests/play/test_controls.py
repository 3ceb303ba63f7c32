"""The page's controls by keyboard alone, and files dropped onto it; its numbers are the network's."""

import numpy as np
import pytest
from browser import DESKTOP, PHONE, Page, emulate, same, serving

import backprop as bp
from backprop.play.stage import Stage

OPTIMIZERS = {
    "sgd": bp.SGD(0.25),
    "momentum": bp.SGD(0.25, momentum=0.9),
    "adam": bp.Adam(0.25),
    "rmsprop": bp.RMSprop(0.25),
}


@pytest.fixture
def stage():
    """A stage whose network the page may replace."""
    return Stage()


@pytest.fixture
def page(driver, stage):
    emulate(driver, DESKTOP)
    with serving(stage) as server:
        driver.get(server.url)
        page = Page(driver)
        page.until(lambda: page.all(".bp-edge"))
        yield page
        errors = page.errors()
        driver.get("about:blank")
    assert errors == []


class Keyboard:
    """What has the focus, reached by Tab."""

    def __init__(self, page):
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.keys import Keys

        self.page, self.keys, self.actions = page, Keys, ActionChains

    @property
    def focused(self):
        return self.page.driver.switch_to.active_element

    def go_to(self, name):
        for _ in range(90):
            if self.focused.accessible_name == name:
                return self
            self.press(self.keys.TAB)
        raise AssertionError(f"Tab does not lead to {name!r}")

    def press(self, *keys):
        self.actions(self.page.driver, duration=0).send_keys(*keys).perform()
        return self

    def write(self, text):
        chain = self.actions(self.page.driver, duration=0).key_down(self.keys.CONTROL).send_keys("a")
        chain.key_up(self.keys.CONTROL).send_keys(text).perform()
        return self


def choose(keyboard, name, value, text=None):
    """Goes to a select and types what its option says, as a list takes letters."""
    keyboard.go_to(name).press(text or value)
    assert keyboard.focused.get_property("value") == value


def check_terms(page, stage, layer, j, k):
    e = stage.network.explain(stage.x[stage.sample], stage.y[stage.sample], layer, j, k)
    page.until(lambda: same(page.terms()["product"], e.product))
    terms = page.terms()
    assert [same(terms[name], getattr(e, name)) for name in ("dC_da", "da_dz", "dz_dw")] == [True] * 3


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_network_with_each_optimizer_by_keyboard_alone(page, stage, name):
    keyboard, keys = Keyboard(page), Keyboard(page).keys
    keyboard.go_to("learning rate").write("0.25").press(keys.ENTER)
    page.until(lambda: stage.optimizer.lr == 0.25)
    page.script("document.activeElement.blur()")
    keyboard.go_to("Network: layers, activation, loss, optimizer").press(keys.ENTER)
    keyboard.go_to("hidden layers").write("4-3")
    choose(keyboard, "activation", "softplus")
    choose(keyboard, "outputs", "tanh")
    choose(keyboard, "loss", "huber")
    choose(keyboard, "optimizer", name)
    keyboard.go_to("seed").write("3")
    keyboard.go_to("New network").press(keys.ENTER)
    page.until(lambda: "4 softplus" in page.find(".bp-net").text)
    net, optimizer = stage.network, OPTIMIZERS[name]
    assert repr(stage.optimizer) == repr(optimizer)
    twin = bp.Network.dense(2, 4, 3, 1, hidden="softplus", output="tanh", loss="huber")
    assert twin.summary() == net.summary()
    twin.parameters[:] = net.parameters
    page.script("document.activeElement.blur()")
    keyboard.go_to("Next: forward, layer L-2")
    for _ in range(6):
        keyboard.press(keys.ENTER)
    page.until(lambda: "Backward through layer L-2" in page.told())
    check_terms(page, stage, 2, 0, 0)
    for _ in range(3):
        keyboard.press(keys.ENTER)
    page.until(lambda: "C₀ was" in page.told())
    twin.step(stage.x[0], stage.y[0], optimizer)
    assert np.array_equal(net.parameters, twin.parameters)


def test_speed_by_keyboard_alone(page, stage):
    """How long the page waits after an epoch; its clock stands still, so that only the speed counts."""
    keyboard, keys = Keyboard(page), Keyboard(page).keys
    page.script(
        "window.waited = []; performance.now = () => 0; const wait = window.setTimeout;"
        "window.setTimeout = (work, time) => { waited.push(time); return wait(work, Math.min(time, 20)); }"
    )
    for name, milliseconds in (("slow", 500), ("fast", 4), ("steady", 100)):
        keyboard.go_to("speed").press(name)
        page.script("waited.length = 0; document.activeElement.blur()")
        before = stage.epochs
        keyboard.go_to("Keep training").press(keys.SPACE)
        page.until(lambda before=before: stage.epochs >= before + 3)
        assert keyboard.focused.text == "Stop", "the same key stops it"
        keyboard.press(keys.SPACE)
        page.until(lambda: page.button("Keep training"))
        assert milliseconds in page.script("return waited")
        page.script("document.activeElement.blur()")


def test_the_other_views_by_keyboard_alone(page, stage):
    keyboard, keys = Keyboard(page), Keyboard(page).keys
    net = stage.network
    keyboard.go_to("layer").press("L-1")
    keyboard.go_to("to node j").write("2").press(keys.TAB)
    keyboard.go_to("from node k").write("3").press(keys.TAB)
    page.until(lambda: page.find(".bp-weight h2").text.startswith("w"))
    chosen = page.find("[data-key][tabindex='0']").get_attribute("data-key")
    assert chosen == "[1,1,2]"
    keyboard.go_to("maps of the nodes").press(keys.SPACE)
    page.until(lambda: len(page.all(".bp-map")) == 10)
    keyboard.go_to("A batch, sample by sample").press(keys.ENTER)
    keyboard.go_to("Next sample of the batch")
    for count in range(1, 11):
        keyboard.press(keys.ENTER)
        page.until(lambda count=count: f"{count} of 10 samples" in page.find(".bp-more").text)
    mean = float(page.find(".bp-batch").get_attribute("data-mean"))
    gradient = net.gradient(stage.x[:10], stage.y[:10]).layers[1].weights
    assert abs(mean - gradient[1, 2]) <= 20 * 2.0**-24 * np.abs(gradient).max()
    keyboard.go_to("The loss over two weights").press(keys.ENTER)
    keyboard.go_to("Draw the loss over the last two weights").press(keys.ENTER)
    page.until(lambda: page.find(".bp-surface").is_displayed())
    assert same(page.find(".bp-surface").get_attribute("data-middle"), net.loss(stage.x, stage.y))
    choose(keyboard, "exercise", "gradient", "The derivative")
    keyboard.go_to("Ask me").press(keys.ENTER)
    page.until(lambda: page.all("input.bp-answer"))
    product = net.explain(stage.x[0], stage.y[0], 1, 1, 2).product
    keyboard.go_to("your answer").press(f"{1.01 * product:.6g}", keys.ENTER)
    page.until(lambda: page.find(".bp-answered").text.startswith("Right."))
    page.script("document.activeElement.blur()")
    before = net.parameters.copy()
    keyboard.go_to("batch size").write("7").press(keys.ENTER)
    page.until(lambda: stage.batch_size == 7)
    keyboard.go_to("epochs").write("4")
    page.script("document.activeElement.blur()")
    keyboard.go_to("Train").press(keys.ENTER)
    page.until(lambda: stage.epochs == 4)
    page.until(lambda: "epochs 4" in page.find(".bp-figures").text)
    assert f"training C {net.loss(stage.x, stage.y):.4g}" in page.find(".bp-figures").text
    keyboard.go_to("Start over").press(keys.ENTER)
    page.until(lambda: "epochs 0" in page.find(".bp-figures").text)
    assert np.array_equal(net.parameters, before)


def drop(page, path):
    """A file from the desktop, dropped onto the page, through the browser's own drag and drop."""
    box = page.find(".bp-net").rect
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    at = {"x": box["x"] + 50, "y": box["y"] + 50, "data": data}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.driver.execute_cdp_cmd("Input.dispatchDragEvent", at | {"type": kind})


def test_a_file_that_is_dropped(page, stage, tmp_path):
    rng = np.random.default_rng(0)
    inputs = rng.normal(3, 2, (60, 3)).round(3)
    names = ["red", "green", "blue"]
    rows = ["a,b,c,kind", *(f"{a},{b},{c},{names[i % 3]}" for i, (a, b, c) in enumerate(inputs))]
    (tmp_path / "kinds.csv").write_text("\n".join(rows), encoding="utf-8")
    drop(page, tmp_path / "kinds.csv")
    page.until(lambda: "3 softmax" in page.find(".bp-net").text)
    assert stage.data == "kinds.csv"
    assert stage.classes == ("blue", "green", "red")
    scaled = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    assert np.allclose(stage.x, scaled, rtol=1e-6, atol=1e-6)
    assert [stage.classes[label] for label in stage.y] == [names[i % 3] for i in range(60)]
    for _ in range(4):
        page.press("Next")
    page.until(lambda: "Backward through layer L-1" in page.told())
    page.script("arguments[0].focus()", page.edge(0, 1, 2))
    check_terms(page, stage, 0, 1, 2)
    (tmp_path / "bad.csv").write_text("1,2,a\n1,x,b\n", encoding="utf-8")
    drop(page, tmp_path / "bad.csv")
    page.until(lambda: "line 2 has inputs that are no numbers" in page.find("[role=alert]").text)
    assert stage.data == "kinds.csv", "what is refused changes nothing"


@pytest.mark.parametrize("size", [DESKTOP, (820, 1180), PHONE], ids=["desktop", "tablet", "phone"])
def test_nothing_jumps_during_a_round(page, size):
    emulate(page.driver, size)
    page.until(lambda: page.all(".bp-edge"))
    seen = set()
    for words in ["Forward"] * 3 + ["Backward"] * 3 + ["Layer"] * 3:
        page.step(words)
        place = page.script(
            "const box = (each) => document.querySelector(each).getBoundingClientRect();"
            "return [box('.bp-net').top + scrollY, box('.bp-weight').height]"
        )
        seen.add(tuple(round(number) for number in place))
    assert len(seen) == 1, seen


def test_an_engine_that_has_gone_or_is_slow_is_told(page, stage):
    page.script("window.fetched = window.fetch; window.fetch = () => Promise.reject(new Error('gone'))")
    page.press("Train")
    page.until(lambda: "The engine does not answer: gone." in page.find("[role=alert]").text)
    page.script(
        "window.wait = window.setTimeout; window.setTimeout = (work, time) => wait(work, Math.min(time, 50));"
        "window.fetch = (...all) => new Promise((go) => { window.goes = () => go(fetched(...all)); })"
    )
    page.press("Train")
    page.until(lambda: "No answer yet" in page.find("[role=alert]").text)
    page.script("window.fetch = window.fetched; goes()")
    page.until(lambda: "epochs 10" in page.find(".bp-figures").text)
    page.until(lambda: page.script("return document.querySelector('.bp-error').textContent") == "")
