"""The page after a training, as Chromium shows it."""

import io
import threading
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from mgbuild import browser, page_server

WIDTH, HEIGHT = 1160, 800  # CSS pixels of the window
SCALE = 1.25  # pixels of one: README shows it smaller
PATIENCE = 120  # seconds for a training, which takes one
SHOWN = ("checksum", "mean", "step")  # elements whose text goes with a picture, and "names", the last ones invented
COLOURS = 64  # are enough for a page, and make a third of the bytes
ROUND = 6  # CSS pixels above and below what is shown


def shoot(folder: Path, schemes: list[str]) -> dict[str, bytes]:
    """PNG of the page in a folder after it has been trained once, for each colour scheme: light or dark.

    Raises UserError where there is no browser.
    """
    with page_server.server(folder) as server, browser.started() as driver:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.look_like(driver, WIDTH, HEIGHT, scale=SCALE)
        driver.get(page_server.address(server))
        figures = _train(driver)
        pictures = {}
        for scheme in schemes:
            browser.look_like(driver, WIDTH, HEIGHT, scheme, SCALE)
            _wait(driver, lambda: _settled(driver))
            top, bottom = _cut(driver)
            picture = browser.screenshot(driver, WIDTH, bottom - top, top, beyond=True)
            pictures[scheme] = _compressed(picture, figures)
        server.shutdown()
    return pictures


def figures_of(png: bytes) -> dict[str, str]:
    """What the page said when a picture of shoot() was taken."""
    with Image.open(io.BytesIO(png)) as picture:
        return {str(name): value for name, value in picture.info.items() if isinstance(value, str)}


def _train(driver: webdriver.Chrome) -> dict[str, str]:
    _wait(driver, lambda: _text(driver, "status") == "Ready. Press Train.")
    driver.find_element(By.ID, "train").click()
    _wait(driver, lambda: _text(driver, "status").startswith("Done: "))
    driver.find_element(By.CSS_SELECTOR, "#prompt-form button").click()
    _wait(driver, lambda: _text(driver, "completions") != "")
    # In the page the list scrolls; here all of it is to be seen.
    driver.execute_script("document.getElementById('invented').style.maxHeight = 'none'")
    names = driver.find_elements(By.CSS_SELECTOR, "#invented li:last-child span:last-child")[0].text
    return {**{name: _text(driver, name) for name in SHOWN}, "names": names}


def _text(driver: webdriver.Chrome, name: str) -> str:
    return driver.find_element(By.ID, name).text


def _wait(driver: webdriver.Chrome, condition: Callable[[], object]) -> None:
    """Until it holds; the page may replace elements meanwhile."""
    wait = WebDriverWait(driver, PATIENCE, 0.1, [StaleElementReferenceException])
    wait.until(lambda _: condition())


def _settled(driver: webdriver.Chrome) -> bool:
    """Whether every head has been drawn, and two frames have been shown since."""
    frames = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done(true)))"
    return len(driver.find_elements(By.CSS_SELECTOR, "#attention canvas")) > 0 and driver.execute_async_script(frames)


def _cut(driver: webdriver.Chrome) -> tuple[float, float]:
    """From where to where: training, and what a model can be asked, which the heads end."""
    training, heads = driver.find_element(By.TAG_NAME, "main").rect, driver.find_element(By.ID, "attention").rect
    return training["y"] - ROUND, heads["y"] + heads["height"] + ROUND


def _compressed(png: bytes, figures: dict[str, str]) -> bytes:
    notes = PngInfo()
    for name, value in figures.items():
        notes.add_text(name, value)
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(buffer, format="PNG", optimize=True, pnginfo=notes)
    return buffer.getvalue()
