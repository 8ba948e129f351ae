"""How the drawn pictures look, and how they become files whose bytes depend on what is drawn alone."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from matplotlib import style
from matplotlib.figure import Figure

SOURCE = "{http://purl.org/dc/elements/1.1/}source"
# The layout is computed with matplotlib's own font, DejaVu Sans; a browser that lacks it takes a narrower one.
RULES = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "microgpt-lx6",
    "path.simplify": False,
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11.0,
    "hatch.linewidth": 1.0,
}


@dataclass(frozen=True)
class Theme:
    """Colours of a picture on a page of GitHub, light or dark.

    The three series are after Okabe and Ito's, which people tell apart who do not see all colours.
    """

    name: str
    paper: str
    ink: str
    soft: str  # text beside the point
    line: str
    blue: str
    orange: str
    green: str
    on_series: str  # text on any of the three
    free: str
    reserved: str


THEMES = (
    Theme(
        *("light", "#ffffff", "#1c1d21", "#5b5f6b", "#d9dae0", "#0072b2", "#d55e00", "#00694c"),
        on_series="#ffffff",
        free="#eceef2",
        reserved="#c3c7cf",
    ),
    Theme(
        *("dark", "#0d1117", "#ececf0", "#a4a9b6", "#383c46", "#56b4e9", "#f0a030", "#2fc79a"),
        on_series="#0d1117",
        free="#22272e",
        reserved="#4a505b",
    ),
)


@contextmanager
def rules() -> Iterator[None]:
    """Draw by matplotlib's defaults and RULES, whatever this machine's configuration says."""
    with style.context(["default", RULES]):
        yield


def svg(figure: Figure, theme: Theme, title: str, source: Any = None) -> bytes:
    """The file of a figure; source: what was drawn, as JSON has it, which goes with it for source_of()."""
    buffer = io.StringIO()
    metadata = {"Title": title, "Date": None, "Creator": None}
    if source is not None:
        metadata["Source"] = json.dumps(source)
    figure.savefig(buffer, format="svg", facecolor=theme.paper, metadata=metadata)
    head, end, drawing = buffer.getvalue().partition("</metadata>")
    return (head + end + re.sub(r'"[^"]*"', _rounded, drawing)).encode()


def _rounded(attribute: re.Match[str]) -> str:
    """Tenths of a point are enough, and the last digits are not those of another processor."""
    return re.sub(r"-?\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), attribute[0])


def source_of(svg: bytes) -> Any:
    """What was drawn in a file that svg() has made with a source."""
    return json.loads(ElementTree.fromstring(svg).findtext(f".//{SOURCE}", ""))
