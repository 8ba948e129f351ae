"""The page in a real browser: Debian's Chromium without a window, driven as a person would."""

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Programs
from mgbuild import page_server
from page_driver import Page
from selenium import webdriver
from selenium.webdriver.common.keys import Keys


@pytest.fixture(scope="module")
def served(chromium: webdriver.Chrome, page_folder: Path) -> Iterator[Page]:
    with page_server.server(page_folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Page(chromium, page_server.address(server))
        server.shutdown()


@pytest.fixture
def page(served: Page) -> Iterator[Page]:
    """The page, just opened; when the test is over, nothing must have come on the browser's console."""
    served.look_like(1280, 800)
    served.open()
    yield served
    assert served.messages() == []


@pytest.fixture(scope="module")
def names() -> list[str]:
    """What seed 42 invents."""
    return json.loads((ROOT / "tests/golden/microgpt-seed42.json").read_text())["samples"]


def test_it_trains_to_the_checksum_and_the_names(page: Page, names: list[str]) -> None:
    page.train()
    assert page.text("checksum") == "e5240774"
    rows = [row.text.split("\n") for row in page.all("#invented li")]
    assert [when for when, _ in rows] == [*(f"after {n}00 steps" for n in range(1, 10)), "at the end"]
    assert rows[-1][1] == ", ".join(names)
    assert all(len(row[1].split(", ")) == 5 for row in rows[:-1])
    assert page.text("step") == "1,000 of 1,000"
    assert 2 < float(page.text("mean")) < 2.5
    described = page["curve"].get_attribute("aria-label")
    assert described == f"Loss, averaged: {page.text('mean')} at step 1000 of 1000; pure guessing has 3.30"


def test_other_settings_have_the_checksum_of_this_machine(page: Page, programs: Programs) -> None:
    chosen = {"seed": 99, "n_embd": 20, "n_head": 5, "n_layer": 2, "block_size": 11, "steps": 250, "lr": 0.02}
    page.train(**chosen)
    assert f"weights crc32: {page.text('checksum')}" == programs.run_host(**chosen).stdout.splitlines()[-1]
    page.train(seed="0x1234567890")
    assert (
        f"weights crc32: {page.text('checksum')}"
        == (programs.run_host(**{**chosen, "seed": 0x1234567890}).stdout.splitlines()[-1])
    )


def test_it_asks_for_nothing_but_its_own_files(page: Page, page_folder: Path) -> None:
    page.train(steps=20)
    sent = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    urls = {event["params"]["request"]["url"] for event in sent if event["method"] == "Network.requestWillBeSent"}
    ours = {url.removeprefix(page.address) or "index.html" for url in urls if not url.startswith("data:")}
    assert {"index.html", "main.js", "microgpt.wasm"} <= ours <= {path.name for path in page_folder.iterdir()}


def test_a_run_is_stopped_and_goes_on(page: Page) -> None:
    page.fill("steps", "100000")
    page["train"].click()
    page.wait(lambda: page.text("step") != "–")
    page["train"].click()
    page.wait(lambda: page.text("status") == "Stopped.")
    before = page.text("step")
    assert page.text("train") == "Go on"
    page["train"].click()
    page.wait(lambda: page.text("step") != before)
    page["train"].click()
    page.wait(lambda: page.text("status") == "Stopped.")
    page.fill("steps", "1000")
    page["again"].click()
    page.wait(lambda: page.text("checksum") == "e5240774")


def test_a_trained_model_answers(page: Page) -> None:
    page.train()
    page.fill("prompt", "ma")
    page.wait(lambda: page.text("next").split("\n")[:4] == ["r", "16.8 %", "n", "12.6 %"])
    page["prompt"].send_keys(Keys.ENTER)
    page.wait(lambda: len(page.text("completions").split(", ")) == 10)
    assert all(name.startswith("ma") for name in page.text("completions").split(", "))
    page.wait(lambda: "On average 2.73; pure guessing has 3.30." in page.text("loss"))
    heads = [picture.get_attribute("aria-label") for picture in page.all("#attention canvas")]
    assert [head.partition(" looks")[0] for head in heads] == [f"Layer 1, head {n}" for n in (1, 2, 3, 4)]
    assert heads[0] == "Layer 1, head 1 looks most: ^ at ^, e at e, m at ^, m at e, a at ^"
    page["teach"].send_keys(Keys.ENTER)
    page.wait(lambda: page.text("taught") == "Its surprise at “zoe” was 3.205098 and is now 0.582832.")


def test_what_is_typed_is_answered_whatever_it_is(page: Page) -> None:
    page.fill("prompt", "zoé")
    page.wait(lambda: "The model's alphabet has no 'é'." in page.text("next"))
    page.fill("prompt", "a" * 16)
    page.wait(lambda: "nothing can follow" in page.text("next"))
    page.fill("prompt", "a" * 300)
    page.wait(lambda: "longer than 255 bytes" in page.text("next"))
    page.fill("look", " ")
    page["look"].send_keys(Keys.ENTER)
    page.wait(lambda: "no ' '" in page.text("attention"))
    page.driver.execute_script("document.getElementById('prompt').value = '\\u{1f389}\\udc00\\u2028\\x03'")
    page["prompt"].send_keys("x")
    page.wait(lambda: "no '\U0001f389'" in page.text("next"))
    page.fill("prompt", "")
    page.wait(lambda: len(page.all("#next li")) == 12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "The text is empty."),
        (" \n\n\t\n", "The text is empty."),
        ("name\n" * 100_000, "The text has 100,000 lines, and the program can hold 65,535. Keep a part."),
        ("\n".join(map(chr, range(0x1F300, 0x1F400))), "256 different characters"),
    ],
    ids=["empty", "blank", "100,000 lines", "256 emoji"],
)
def test_a_text_that_cannot_be_learned_is_refused_and_nothing_is_lost(page: Page, text: str, said: str) -> None:
    page.paste(text)
    page.wait(lambda: said in page.text("text-failure"))
    page.train()
    assert page.text("checksum") == "e5240774"


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f600\U0001f389\n\U0001f389\U0001f600\U0001f600\n",
        "ab" * 150 + "\n",
        "<b>hi</b>\n> prompt\nok\nerror: no\n",
        "x\n" * 65_535,
    ],
    ids=["emoji", "300 characters", "what looks like the page or the console", "as many lines as there may be"],
)
def test_hostile_texts_are_learned(page: Page, programs: Programs, tmp_path: Path, text: str) -> None:
    page.paste(text)
    alphabet = len({*text} - {"\n"})
    page.wait(lambda: f"{alphabet} different characters" in page.text("text-status"))
    page.wait(lambda: page.text("status") == "Ready. Press Train.")
    page.train(steps=200)
    file = tmp_path / "text.txt"
    file.write_text(text, encoding="utf-8")
    expected = programs.run_host(dataset=file, steps=200).stdout.splitlines()
    assert f"weights crc32: {page.text('checksum')}" == expected[-1]
    assert page.all("#invented b") == []


def test_a_file_is_taken_too(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "towns.txt"
    file.write_text("ulm\nbonn\nköln\n", encoding="utf-8")
    page["file"].send_keys(str(file))
    page.wait(lambda: page.text("text-status") == "towns.txt: 3 lines, 8 different characters. Press Train.")
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"ulm\nk\xf6ln\n")
    page["file"].send_keys(str(latin))
    page.wait(lambda: "line 2 has a byte that cannot be read" in page.text("text-failure"))
    page["names"].click()
    page.wait(lambda: page.text("text-failure") == "")
    page.wait(lambda: page.text("status") == "Ready. Press Train.")
    page.train()
    assert page.text("checksum") == "e5240774"


def test_the_plan_says_what_fits_the_chip(page: Page, programs: Programs) -> None:
    page.wait(lambda: page.text("fit").startswith("Yes: "))
    page.wait(lambda: page.all("#memory td"))
    parts = [int(cell.text.replace(",", "")) for cell in page.all("#memory td:last-child")]
    assert f"Yes: it takes {sum(parts):,} of the " in page.text("fit")
    assert re.search(r"Training takes it about 0\.\d\d s for 1000 steps\.$", page.text("fit"))
    page.fill("n_embd", "200")
    page.wait(lambda: page.text("fit").startswith("No: ") and "bytes" in page.text("fit"))
    page.fill("n_embd", "18")
    page.wait(lambda: page.text("fit") == "No: n_embd=18 is not divisible by n_head=4.")
    page["train"].click()
    page.wait(lambda: "not divisible" in page.text("failure"))
    page.fill("n_embd", "x; train")
    page.wait(lambda: "must be a whole number" in page.text("fit"))


def test_it_is_used_without_a_mouse(page: Page) -> None:
    page.driver.execute_script("document.activeElement.blur()")
    reached = []
    for _ in range(40):
        webdriver.ActionChains(page.driver).send_keys(Keys.TAB).perform()
        reached.append(page.driver.switch_to.active_element.get_attribute("id") or "button")
        if reached[-1] == "seed":
            break
    assert reached[0] == "train"
    assert {"temperature", "prompt", "look", "teach", "file", "paste", "use", "seed"} <= set(reached)
    page["train"].send_keys(Keys.ENTER)
    page.wait(lambda: page.text("checksum") == "e5240774")


def test_everything_has_a_name_that_is_read_out(page: Page) -> None:
    page.train(steps=20)
    page.wait(lambda: len(page.all("#attention canvas")) == 4)
    tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = ("button", "textbox", "slider", "spinbutton", "img", "region")
    named = [
        (node["role"]["value"], node["name"]["value"]) for node in tree if node.get("role", {}).get("value") in roles
    ]
    assert len(named) > 20
    assert [role for role, name in named if name == ""] == []


@pytest.mark.parametrize(
    ("name", "width", "height", "scheme"),
    [
        ("wide", 1280, 800, "light"),
        ("phone", 390, 844, "light"),
        ("dark", 1280, 800, "dark"),
        ("narrow", 320, 568, "dark"),
    ],
)
def test_it_fits_its_window(page: Page, name: str, width: int, height: int, scheme: str) -> None:
    page.look_like(width, height, scheme)
    page.train()
    page.wait(lambda: len(page.all("#attention canvas")) == 4)
    assert page.driver.execute_script("return document.documentElement.scrollWidth") <= width
    page.take_picture(name)


def test_a_script_that_is_slipped_in_does_not_run(served: Page) -> None:
    served.open()
    script = (
        "const s = document.createElement('script'); s.textContent = 'window.slipped = true'; document.body.append(s)"
    )
    served.driver.execute_script(script)
    assert served.driver.execute_script("return window.slipped") is None
    assert any("Content Security Policy" in message for message in served.messages())
