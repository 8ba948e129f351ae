"""All the pictures, each for a light and a dark page, from what the build has made."""

import json
from collections.abc import Callable
from pathlib import Path

from microgpt import Learner, Text

from mgbuild.firmware import memory, memory_page
from mgbuild.pictures import loss, page
from mgbuild.pictures import memory as banks
from mgbuild.pictures.style import THEMES, Theme

FOLDER = Path("pictures")  # beside README, which shows them
GOLDEN = Path("tests/golden/microgpt-seed42.json")  # what microgpt.py itself has said


def pictures(web: Path, library: Path, dataset: Path, report: Path) -> dict[str, bytes]:
    """Every picture by its name: of the page in a folder, of a run of libmicrogpt.so, and of a firmware's memory.json.

    Raises UserError where there is no browser or a file cannot be read.
    """
    shots = page.shoot(web, [theme.name for theme in THEMES])
    return {
        **{name(theme, "page", "png"): shots[theme.name] for theme in THEMES},
        **of_losses(library, dataset),
        **of_memory(report),
    }


def name(theme: Theme, what: str, kind: str) -> str:
    """Of a picture's file."""
    return f"{what}-{theme.name}.{kind}"


def of_losses(library: Path, dataset: Path) -> dict[str, bytes]:
    """The program's losses, of a run that is made for it, beside those of microgpt.py."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    losses = Learner(Text(dataset.read_bytes()), path=library.resolve()).train().tolist()
    return _drawn("loss", lambda theme: loss.draw(golden["losses"], losses, golden["vocab_size"], theme))


def of_memory(report: Path) -> dict[str, bytes]:
    """What a firmware takes of the chip's RAM."""
    found = memory_page.banks(memory.read(report))
    return _drawn("memory", lambda theme: banks.draw(found, theme))


def _drawn(what: str, draw: Callable[[Theme], bytes]) -> dict[str, bytes]:
    return {name(theme, what, "svg"): draw(theme) for theme in THEMES}
