"""A Chromium without a window, which selenium drives: for the tests of the page, and for its picture."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from selenium import webdriver

from mgbuild.errors import UserError


@contextmanager
def started() -> Iterator[webdriver.Chrome]:
    """A browser of 1280 x 800 pixels, which logs its console and its requests; closed at the end.

    Raises UserError where there is none on PATH.
    """
    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in paths:
        raise UserError(
            "no chromium and chromedriver on PATH; install them (Debian: apt install chromium chromium-driver), "
            "or run ./sconsw, which does"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = str(paths[0])
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,800"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(paths[1])))
    try:
        yield driver
    finally:
        driver.quit()


def look_like(driver: webdriver.Chrome, width: int, height: int, scheme: str = "light", scale: float = 1) -> None:
    """Be in a window of so many CSS pixels, a phone's if it is narrow; scheme: light or dark; scale: pixels of one."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def screenshot(driver: webdriver.Chrome, width: float, height: float, top: float = 0, beyond: bool = False) -> bytes:
    """PNG of a part of the page, in CSS pixels from its left edge; beyond: of what the window does not show, too."""
    clip = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
    words = {"clip": clip, "captureBeyondViewport": beyond}
    return base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", words)["data"])
