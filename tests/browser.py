"""A headless Chromium for the tests of the page, and what they do with it.

Skipped where Chromium, chromedriver or selenium is missing.
"""

import json
import shutil
import threading
from contextlib import contextmanager

import pytest

from backprop.play.server import Server

PHONE, DESKTOP = (390, 844), (1280, 720)
SECONDS = 60  # for anything to show itself


@contextmanager
def serving(stage):
    """A server of the page for this stage, in this process."""
    with Server(stage) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def needed(program, *others):
    """The path of a program; the test is skipped where it is missing."""
    for name in (program, *others):
        if path := shutil.which(name):
            return path
    return pytest.skip(f"needs {program}, which is not installed")


@pytest.fixture(scope="module")
def driver():
    """A headless Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install selenium")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = needed("chromium", "chromium-browser", "google-chrome")
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(needed("chromedriver")))
    yield driver
    driver.quit()


def emulate(driver, size, dark=False):
    """A screen of this size, a phone's where it is narrow, and a light or dark system."""
    driver.set_window_size(*DESKTOP)
    mobile = size[0] < 500
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 2 if mobile else 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": mobile})
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


class Page:
    """What a test does with the page, and reads from it."""

    def __init__(self, driver):
        from selenium.webdriver.common.by import By

        self.driver, self._css = driver, By.CSS_SELECTOR

    def find(self, selector):
        return self.until(lambda: self.all(selector))[0]

    def all(self, selector):
        return self.driver.find_elements(self._css, f".bp-root {selector}")

    def script(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def until(self, condition):
        from selenium.common.exceptions import NoSuchElementException
        from selenium.common.exceptions import StaleElementReferenceException as Stale
        from selenium.webdriver.support.wait import WebDriverWait

        ignored = [Stale, NoSuchElementException, IndexError]
        return WebDriverWait(self.driver, SECONDS, 0.02, ignored).until(lambda _: condition())

    def button(self, text):
        texts = {each: each.text for each in self.all("button")}
        buttons = [each for each, shown in texts.items() if shown == text]
        buttons = buttons or [each for each, shown in texts.items() if shown.startswith(text)]
        assert len(buttons) == 1, text
        return buttons[0]

    def press(self, text):
        """Clicks a button."""
        self.button(text).click()

    def edge(self, layer, j, k):
        """A weight, or the bias of a node, k being None."""
        return self.find(f"[data-key='{json.dumps([layer, j, k], separators=(',', ':'))}']")

    def told(self):
        return self.find(".bp-told").text

    def step(self, words):
        self.press("Next")
        self.until(lambda: words in self.told())

    def terms(self):
        """The terms of the weight on show, by name."""
        return self.script(
            "return Object.fromEntries([...document.querySelectorAll('.bp-root [data-term]')]"
            ".map((box) => [box.dataset.term, box.dataset.value ?? null]))"
        )

    def errors(self):
        """What the browser complained of."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


def same(text, number):
    """Whether the page holds this very float."""
    return text is not None and float(text) == float(number)
