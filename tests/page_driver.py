"""The page, as somebody would use it who sees and types; conftest.py has the fixtures chromium and page_folder."""

import time
from collections.abc import Callable

from conftest import ROOT
from mgbuild import browser
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

PATIENCE = 120  # seconds until something must have happened; a page needs one or two, more when every process builds
SCREENSHOTS = ROOT / "build/screenshots"  # of a page that has trained, for people to look at
READY = "Ready. Press Train."
SHOWN = ("status", "failure", "text-status", "text-failure", "fit", "board-status", "board-failure", "verdict")


class Page:
    """The page, by the names of its elements."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver = driver
        self.address = address

    def open(self) -> None:
        """Load it anew, with nothing on the browser's console before."""
        self.driver.get_log("browser")
        self.driver.get(self.address)
        self.wait(lambda: self.text("status") == READY)

    def __getitem__(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return self[name].text

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def wait(self, condition: Callable[[], object]) -> None:
        """Until it holds; elements may be replaced meanwhile."""
        until = time.monotonic() + PATIENCE
        while not self._holds(condition):
            shown = {name: self.text(name) for name in SHOWN}
            assert time.monotonic() < until, f"{shown} {self.messages()}"
            time.sleep(0.05)

    @staticmethod
    def _holds(condition: Callable[[], object]) -> bool:
        try:
            return bool(condition())
        except StaleElementReferenceException:
            return False

    def fill(self, name: str, text: str) -> None:
        """Type a text in the place of the one that is there."""
        self[name].send_keys(Keys.CONTROL + "a", Keys.NULL, Keys.DELETE, text)

    def train(self, button: str = "train", /, **settings: object) -> None:
        """Press Train, with these settings, and wait until it is done."""
        for name, value in settings.items():
            self.fill(name, str(value))
        self[button].click()
        self.wait(lambda: self.text("status").startswith("Done: "))

    def paste(self, text: str) -> None:
        """Paste into the field and use it; typing would take long, and cannot do emoji."""
        self.driver.execute_script("document.getElementById('paste').value = arguments[0]", text)
        self["use"].click()

    def messages(self) -> list[str]:
        """What is on the browser's console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def take_picture(self, name: str) -> None:
        """Write what the page looks like, and the whole of it, to SCREENSHOTS."""
        time.sleep(0.3)  # for the last frame
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        width, height, whole = self.driver.execute_script(
            "return [innerWidth, innerHeight, document.documentElement.scrollHeight]"
        )
        (SCREENSHOTS / f"{name}.png").write_bytes(browser.screenshot(self.driver, width, height))
        (SCREENSHOTS / f"{name}-whole.png").write_bytes(browser.screenshot(self.driver, width, whole, beyond=True))

    def look_like(self, width: int, height: int, scheme: str = "light") -> None:
        """Be in a window of so many CSS pixels, a phone's if it is narrow."""
        browser.look_like(self.driver, width, height, scheme)
