"""The pictures of README: there, small, described, and of what the program does today."""

import dataclasses
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import ROOT, Programs
from mgbuild.errors import UserError
from mgbuild.firmware import memory, memory_page
from mgbuild.pictures import gallery, loss, page
from mgbuild.pictures import memory as banks
from mgbuild.pictures.style import THEMES
from PIL import Image

FOLDER = ROOT / gallery.FOLDER
GOLDEN = json.loads((ROOT / gallery.GOLDEN).read_text(encoding="utf-8"))
MOST_BYTES = 400_000  # of all pictures
NEAR = (
    1024  # bytes by which code and variables may have changed, or another compiler's differ, before they are drawn anew
)
SHOWN = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">\s*'
    r'<img src="(?P<light>[^"]+)" width="[^"]+" alt="(?P<alt>[^"]+)">\s*</picture>'
)


def readme() -> list[dict[str, str]]:
    """The pictures that README shows: paths under "light" and "dark", and "alt"."""
    return [found.groupdict() for found in SHOWN.finditer((ROOT / "README.md").read_text(encoding="utf-8"))]


def alt(what: str) -> str:
    [text] = [shown["alt"] for shown in readme() if f"{what}-light" in shown["light"]]
    return text


def files(what: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(FOLDER.glob(f"{what}-*"))}


def test_readme_shows_every_picture_for_light_and_dark_and_no_other() -> None:
    shown = [Path(picture[scheme]) for picture in readme() for scheme in ("light", "dark")]
    assert sorted(shown) == sorted(path.relative_to(ROOT) for path in FOLDER.iterdir())
    assert len(re.findall("<img ", (ROOT / "README.md").read_text(encoding="utf-8"))) == len(readme()) == 3
    for picture in readme():
        assert picture["dark"] == picture["light"].replace("-light.", "-dark.")


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MOST_BYTES


@pytest.mark.parametrize("what", ["loss", "memory"])
def test_every_number_of_a_description_is_in_its_picture(what: str) -> None:
    """Of a loss, "below 2.5" is a line of the grid."""
    assert len(alt(what)) > 200
    drawing = ElementTree.fromstring(files(what)[f"{what}-light.svg"])
    words = " ".join("".join(text.itertext()) for text in drawing.iter("{http://www.w3.org/2000/svg}text"))
    numbers = re.findall(r"(?<![\w.])\d[\d,.]*(?<=\d)(?![\w])", alt(what))
    assert len(numbers) >= 4
    assert [number for number in numbers if not re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", words)] == []


def test_the_losses_are_those_of_today(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte: they are drawn again."""
    monkeypatch.chdir(ROOT)
    assert gallery.of_losses(programs.library(), programs.dataset()) == files("loss"), "run ./sconsw pictures"


def test_another_loss_is_another_picture() -> None:
    same = GOLDEN["losses"]
    other = [*same[:-1], same[-1] + 0.0065]
    assert loss.draw(same, same, 27, THEMES[0]) != loss.draw(same, other, 27, THEMES[0])
    assert b"differ by more than 0.007<" in loss.draw(same, other, 27, THEMES[0])


def test_a_difference_is_said_in_words_that_are_no_smaller() -> None:
    said = {8.8e-7: "0.0000009", 9e-7: "0.0000009", 9.5e-7: "0.0000010", 0.01: "0.01", 0.25: "0.3", 0.0: "0.0"}
    assert {difference: loss.in_words(difference) for difference in said} == said


def test_the_mean_is_of_the_last_losses_and_of_fewer_at_the_beginning() -> None:
    losses = np.random.default_rng(1).uniform(1, 4, 350).tolist()
    expected = [np.mean(losses[max(0, end - loss.AVERAGED) : end]) for end in range(1, 351)]
    assert loss.moving_average(losses) == pytest.approx(expected, rel=1e-12)


def test_the_memory_is_that_of_today(programs: Programs) -> None:
    """The plan's bytes exactly; code and variables nearly, for each compiler makes its own."""
    today = memory_page.banks(memory.read(programs.esp32() / "memory.json"))
    for content in files("memory").values():
        found = banks.drawn(content)
        assert [(bank.name, bank.bytes) for bank in found] == [(bank.name, bank.bytes) for bank in today]
        for before, now in zip(found, today, strict=True):
            assert [(p.name, p.kind) for p in before.pieces] == [(p.name, p.kind) for p in now.pieces]
            for piece, counted in zip(before.pieces, now.pieces, strict=True):
                near = 0 if piece.kind in ("model", "reserved") else NEAR
                assert abs(piece.bytes - counted.bytes) <= near, f"{piece} is now {counted}: run ./sconsw pictures"


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_the_memory_is_drawn_as_it_is_noted(theme: gallery.Theme) -> None:
    content = files("memory")[gallery.name(theme, "memory", "svg")]
    found = banks.drawn(content)
    assert banks.draw(found, theme) == content, "run ./sconsw pictures"
    model = next(piece for bank in found for piece in bank.pieces if piece.kind == "model")
    larger = [
        dataclasses.replace(
            bank,
            pieces=tuple(dataclasses.replace(p, bytes=p.bytes + 1024) if p == model else p for p in bank.pieces),
        )
        for bank in found
    ]
    assert banks.draw(larger, theme) != content


def test_the_page_is_trained_to_the_names_and_the_checksum() -> None:
    pictures = files("page")
    assert len(pictures) == 2
    for content in pictures.values():
        said = page.figures_of(content)
        assert said["checksum"] == "e5240774"
        assert said["names"].split(", ") == GOLDEN["samples"]
        assert said["step"] == "1,000 of 1,000"
        mean = loss.moving_average(GOLDEN["losses"])[-1]
        assert said["mean"] == f"{mean:.3f}"
    assert "e5240774" in alt("page")


def test_without_a_browser_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no chromium and chromedriver on PATH; install them"):
        page.shoot(tmp_path, ["light"])


def test_light_is_light_and_dark_is_dark() -> None:
    def brightness(png: bytes) -> float:
        with Image.open(io.BytesIO(png)) as picture:
            return float(np.mean(np.asarray(picture.convert("L"))))

    pictures = files("page")
    assert brightness(pictures["page-light.png"]) > 220
    assert brightness(pictures["page-dark.png"]) < 60
