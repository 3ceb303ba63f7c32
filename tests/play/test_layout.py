"""The network and the panel of terms are seen at once, for each size of screen: measured in Chromium."""

import pytest
from browser import DESKTOP, PHONE, Page, emulate, serving

import backprop as bp
from backprop.play.stage import Stage

TABLET, SMALL_PHONE, LOW = (820, 1180), (375, 667), (1280, 620)
SIZES = [DESKTOP, LOW, TABLET, PHONE, SMALL_PHONE]
BOXES = """
const box = (each) => each.getBoundingClientRect();
const panel = box(document.querySelector(".bp-weight")), root = box(document.querySelector(".bp-root"));
const kinds = ".bp-node, .bp-target, .bp-class, .bp-delta";
const drawn = [...document.querySelectorAll(`.bp-net :is(${kinds})`)].map(box);
return {
  top: panel.top, bottom: panel.bottom, begin: root.top, height: document.documentElement.clientHeight,
  lowest: Math.max(...drawn.map((each) => each.bottom)), highest: Math.min(...drawn.map((each) => each.top)),
  nodes: document.querySelectorAll(".bp-node").length,
};
"""
OVERLAPS = """
const circles = [...document.querySelectorAll(".bp-node > circle:first-child")];
const nodes = circles.map((each) => each.getBoundingClientRect());
const beside = (one, other) => one.right <= other.left || one.bottom <= other.top;
const over = (one, other) => !beside(one, other) && !beside(other, one);
return nodes.filter((one, i) => nodes.some((other, j) => j > i && over(one, other))).length;
"""
TARGETS = """
const edge = document.querySelector(".bp-net svg").getBoundingClientRect().right;
const cut = (each) => each.getBoundingClientRect().right > edge + 1;
return [...document.querySelectorAll(".bp-target, .bp-class")].filter(cut).map((each) => each.textContent);
"""


@pytest.fixture
def page(driver, net_and_data):
    """The page of a network with as many outputs as are drawn at most."""
    with serving(Stage(*net_and_data)) as server:
        page = Page(driver)
        page.address = server.url
        yield page
        errors = page.errors()
        driver.get("about:blank")
    assert errors == []


@pytest.fixture(params=[(12,), (12, 9)], ids=["one-hidden", "two-hidden"])
def net_and_data(request, rng):
    net = bp.Network.dense(64, *request.param, 10, seed=0)
    return net, rng.random((20, 64)), rng.integers(10, size=20)


def check_seen(page):
    shown = page.script(BOXES)
    assert shown["nodes"] >= 8 + 8 + 10
    assert shown["highest"] >= 0
    assert shown["lowest"] <= shown["top"], "no node is behind the panel"
    assert shown["bottom"] <= shown["height"] + 1, "the panel is in sight"
    assert page.script(OVERLAPS) == 0
    assert page.script(TARGETS) == []


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_ten_outputs_and_the_panel_are_seen_at_once(page, size):
    emulate(page.driver, size)
    page.driver.get(page.address)
    page.until(lambda: page.all(".bp-edge"))
    scrolled = size == SMALL_PHONE  # there from the page's own top on, without the head line
    if scrolled:
        page.script("document.querySelector('.bp-root').scrollIntoView()")
    check_seen(page)
    layers = page.script("return document.querySelectorAll('.bp-head').length") - 1
    for words in ["Forward"] * layers + ["Backward"] * layers + ["Layer"] * layers:
        page.step(words)
        check_seen(page)
    # a weight of which the panel has the most to say
    page.script("arguments[0].focus({preventScroll: true})", page.edge(0, 0, 0))
    page.until(lambda: page.script("return !document.querySelector('.bp-weight details').hidden"))
    check_seen(page)
    if size != SMALL_PHONE:
        assert page.script("return scrollY") == 0


def test_the_network_is_drawn_again_for_another_height(page):
    emulate(page.driver, TABLET)
    page.driver.get(page.address)
    page.until(lambda: page.all(".bp-edge"))
    height = "return document.querySelector('.bp-net svg').getBoundingClientRect().height"
    high = page.script(height)
    emulate(page.driver, (820, 700))
    page.until(lambda: page.script(height) < high)
    check_seen(page)
