"""The banks of the ESP32's RAM, to scale, and what the program and its model take of them."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mgbuild.firmware.memory_page import KB, Bank, Piece
from mgbuild.pictures.style import Theme, rules, source_of, svg

WIDE = 200  # KB across the picture, the largest bank
APART = 1.35  # of the banks' bars
HIGH = 0.78  # of one
ENLARGED = 1.3  # high is what is drawn enlarged
FONT = 9.5  # points of what is written in a bar
LETTER = 1.62  # KB that a letter of it takes, at most
LINE = 0.27  # high is a line of it
LABELS = {
    "model": "the model",
    "ours": "variables, constants, stacks",
    "code": "code",
    "free": "free",
    "reserved": "the caches and the ROM",
}


def draw(banks: Sequence[Bank], theme: Theme) -> bytes:
    """SVG of the banks, of which SRAM2 has the program's variables and the default model, which are drawn enlarged."""
    with rules():
        figure = Figure(figsize=(10.4, 5.3))
        axes = figure.add_axes((0.012, 0.01, 0.976, 0.865))
        axes.set_xlim(0, WIDE)
        axes.set_ylim(6.6, -0.6)
        axes.axis("off")
        total = sum(bank.bytes for bank in banks)
        title = f"The chip's {total // KB} KB of RAM, and what the program and its default model take"
        figure.text(0.012, 0.945, title, color=theme.ink, fontsize=13, fontweight="bold")
        _legend(axes, banks, theme)
        last = max(banks, key=lambda bank: sum(piece.kind == "model" for piece in bank.pieces))
        ordered = [*(bank for bank in banks if bank is not last), last]
        for row, bank in enumerate(ordered):
            _bank(axes, bank, 0.45 + APART * row, theme)
        _enlarged(axes, last, 0.45 + APART * (len(ordered) - 1), theme)
        return svg(figure, theme, title, [asdict(bank) for bank in banks])


def drawn(svg: bytes) -> list[Bank]:
    """The banks that draw() was given for a file."""
    return [
        Bank(bank["name"], bank["about"], tuple(Piece(**piece) for piece in bank["pieces"])) for bank in source_of(svg)
    ]


def _colours(kind: str, theme: Theme) -> tuple[str, str]:
    """Of what lies there, and of text on it."""
    return {
        "model": (theme.blue, theme.on_series),
        "ours": (theme.orange, theme.on_series),
        "code": (theme.green, theme.on_series),
        "reserved": (theme.reserved, theme.ink),
    }.get(kind, (theme.free, theme.ink))


def _kilobytes(size: int) -> str:
    return f"{size / KB:.1f} KB"


def _block(axes: Axes, x: float, y: float, width: float, height: float, kind: str, theme: Theme) -> None:
    """Free memory is empty and what is taken by others is hatched, so that colours are not all that tells."""
    fill, _ = _colours(kind, theme)
    block = Rectangle((x, y), width, height, facecolor=fill, linewidth=1.0, edgecolor=theme.paper)
    if kind in ("free", "reserved"):
        block.set_edgecolor(theme.soft)
        block.set_linestyle((0, (3, 2)) if kind == "free" else "-")
        block.set_hatch("///" if kind == "reserved" else "")
    axes.add_patch(block)


def _legend(axes: Axes, banks: Sequence[Bank], theme: Theme) -> None:
    x = 0.0
    for kind in ("model", "ours", "code", "free", "reserved"):
        size = sum(piece.bytes for bank in banks for piece in bank.pieces if piece.kind == kind)
        words = f"{LABELS[kind]}: {_kilobytes(size)}"
        _block(axes, x, -0.52, 2.6, 0.28, kind, theme)
        axes.text(x + 3.6, -0.38, words, va="center", fontsize=FONT, color=theme.ink)
        x += 8 + 1.36 * len(words)


def _bank(axes: Axes, bank: Bank, y: float, theme: Theme) -> None:
    axes.text(0, y - 0.12, bank.name, color=theme.ink, fontweight="bold")
    axes.text(14, y - 0.12, bank.about, color=theme.soft, fontsize=9.5)
    x = 0.0
    for kind, words, size in _merged(bank.pieces):
        _block(axes, x, y, size / KB, HIGH, kind, theme)
        _label(axes, x, y, size / KB, HIGH, kind, words, size, theme)
        x += size / KB


def _merged(pieces: Sequence[Piece]) -> list[tuple[str, str, int]]:
    """Kind, words and bytes in the order of addresses; the model is one piece, and so are the program's variables."""
    found: list[tuple[str, str, int]] = []
    for kind in ("reserved", "code", "ours", "model", "free"):
        alike = [piece for piece in pieces if piece.kind == kind]
        if kind in ("model", "ours") and alike:
            found.append((kind, LABELS[kind], sum(piece.bytes for piece in alike)))
        else:
            found += [(kind, piece.name, piece.bytes) for piece in alike]
    return found


def _enlarged(axes: Axes, bank: Bank, y: float, theme: Theme) -> None:
    """The program's part of a bank that is drawn at y, as wide as the picture, with lines from the one to the other."""
    before = sum(piece.bytes for piece in bank.pieces if piece.kind == "reserved") / KB
    parts = [("ours", LABELS["ours"], sum(piece.bytes for piece in bank.pieces if piece.kind == "ours"))]
    parts += [(piece.kind, piece.name, piece.bytes) for piece in bank.pieces if piece.kind == "model"]
    wide = sum(size for *_, size in parts) / KB
    top = y + HIGH + 0.42
    for small, large in ((before, 0), (before + wide, WIDE)):
        axes.plot([small, large], [y + HIGH, top], color=theme.soft, linewidth=0.9)
    x = 0.0
    for kind, words, size in parts:
        width = size / KB * WIDE / wide
        _block(axes, x, top, width, ENLARGED, kind, theme)
        if not _label(axes, x, top, width, ENLARGED, kind, words, size, theme):
            axes.plot([x + width / 2] * 2, [top + ENLARGED, top + ENLARGED + 0.2], color=theme.soft, linewidth=0.9)
            place = (x + width / 2, top + ENLARGED + 0.42)
            axes.text(*place, f"{words} {_kilobytes(size)}", ha="center", va="center", fontsize=FONT, color=theme.ink)
        x += width


def _label(
    axes: Axes, x: float, y: float, width: float, height: float, kind: str, words: str, size: int, theme: Theme
) -> bool:
    """Name and size of a block, in the middle of it; returns whether there is room for that."""
    lines = [*textwrap.wrap(words, max(1, int(width / LETTER)), break_long_words=False), _kilobytes(size)]
    if max(map(len, lines)) * LETTER > width or len(lines) * LINE > height:
        return False
    fill, ink = _colours(kind, theme)
    box = {"facecolor": fill, "edgecolor": "none", "pad": 1.5} if kind == "reserved" else None
    place = (x + width / 2, y + height / 2)
    axes.text(*place, "\n".join(lines), ha="center", va="center", fontsize=FONT, color=ink, bbox=box)
    return True
