"""The memory report as one HTML page: the verdict, and the chip's banks of RAM, in which 520 KB add up, and flash."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mgbuild.firmware.memory import Report

KB = 1024


@dataclass(frozen=True)
class Piece:
    """A part of a bank."""

    name: str
    bytes: int
    kind: str  # of KINDS


@dataclass(frozen=True)
class Bank:
    """One bank of the chip's RAM (Technical Reference Manual, "System and Memory"), or the flash."""

    name: str
    about: str
    pieces: tuple[Piece, ...]

    @property
    def bytes(self) -> int:
        """Size of what is there, and so of the bank, unless too much is asked of it."""
        return sum(piece.bytes for piece in self.pieces if piece.kind != "excess")


KINDS = {
    "model": "the model",
    "ours": "variables, constants and stack of this program",
    "code": "its code",
    "free": "free",
    "reserved": "taken by the caches and the ROM",
    "excess": "too many",
}


def banks(report: "Report") -> tuple[Bank, ...]:
    """What lies in each bank of RAM; they add up to the chip's 520 KB."""
    used = {region.name: region.used for region in report.regions}
    capacity = {region.name: region.capacity for region in report.regions}
    of_model = {name: bank for name, bank in report.plan.get("place", {}).items()}
    inside: dict[str, list[Piece]] = {"dram": [], "sram1": []}
    for name, size in report.purposes:
        inside[of_model.get(name, "dram")].append(Piece(name, size, "model" if name in of_model else "ours"))
    for bank, pieces in inside.items():
        rest = used.get(bank, 0) - sum(piece.bytes for piece in pieces)
        if rest > 0:
            pieces.append(Piece("padding" if report.purposes else "variables and stack", rest, "ours"))
    reserved = 128 * KB - capacity["sram1"]
    return (
        Bank(
            "SRAM0",
            "192 KB for instructions; only whole words can be read or written",
            (
                Piece("cache of core 0", 32 * KB, "reserved"),
                Piece("cache of core 1", 32 * KB, "reserved"),
                *_filling([Piece("code", used["iram"], "code")], capacity["iram"], "free for code"),
            ),
        ),
        Bank(
            "SRAM2",
            "200 KB for data; what the program leaves is memory for the model",
            (
                Piece("variables of the ROM, and its Bluetooth part", 200 * KB - capacity["dram"], "reserved"),
                *_filling(inside["dram"], capacity["dram"], "free for larger models"),
            ),
        ),
        Bank(
            "SRAM1",
            "128 KB for data; memory for the model once the program runs",
            (
                Piece("variables of the ROM", reserved, "reserved"),
                *_filling(inside["sram1"], capacity["sram1"], "free for larger models"),
            ),
        ),
    )


def flash(report: "Report") -> Bank:
    """What lies in flash."""
    layout = report.flash
    firmware = [Piece("firmware image", layout["firmware_image_bytes"], "code")]
    text = [Piece("data set", layout["data_set_bytes"], "ours")]
    return Bank(
        "Flash",
        f"{layout['capacity'] // KB:,} KB; the text is read in place",
        (
            Piece("not used by the ROM", layout["firmware"], "reserved"),
            *_filling(firmware, layout["dataset"] - layout["firmware"], "free for the firmware image"),
            *_filling(text, layout["dataset_end"] - layout["dataset"], "free for the data set"),
            *_filling([], layout["capacity"] - layout["dataset_end"], "beyond what the chip reads at once"),
        ),
    )


def _filling(pieces: Sequence[Piece], capacity: int, rest: str) -> list[Piece]:
    """The pieces as they fill a place: what finds no room there becomes excess, and what is left over is free."""
    filling, room = [], capacity
    for piece in pieces:
        inside = min(piece.bytes, room)
        room -= inside
        filling += [replace(piece, bytes=inside)] if inside else []
        filling += [replace(piece, bytes=piece.bytes - inside, kind="excess")] if inside < piece.bytes else []
    return [*filling, Piece(rest, room, "free")] if room else filling


def page(report: "Report", problems: Sequence[str]) -> str:
    """The whole page, with nothing to load from elsewhere; problems: for which the firmware is refused."""
    chip = banks(report)
    by_kind = {kind: sum(p.bytes for b in chip for p in b.pieces if p.kind == kind) for kind in KINDS}
    rows = [(_chip(kind) + escape(about), by_kind[kind]) for kind, about in KINDS.items() if by_kind[kind]]
    total = sum(bank.bytes for bank in chip)
    body = ["<h1>Memory of the firmware</h1>", _verdict(problems), _made_from(report)]
    body.append(
        f"<p>Static RAM {report.static_ram:,} bytes of a budget of {report.static_ram_budget:,}; "
        f"code {report.code:,}; flash {_flash(report):,}.</p>",
    )
    if report.stack:
        stack = report.stack
        for name, bound, size in (
            ("Stack", stack.program, stack.size),
            ("Stack of the second core", stack.second, stack.second_size),
        ):
            chain = " → ".join(f"{function} {frame}" for function, frame in bound.chain)
            body.append(
                f"<p>{name}: at most {bound.bytes:,} bytes, by the longest chain of calls "
                f"({escape(chain)}); {size:,} are set aside.</p>"
            )
    body += [_table(("RAM of the chip", "bytes"), [*rows, (f"of the chip, {total / KB:g} KB", total)])]
    for bank in (*chip, flash(report)):
        body.append(f"<h2>{bank.name}</h2><p>{escape(bank.about)}</p>{_drawing(bank)}")
        numbered = [(f"{number} {_chip(p.kind)}{escape(p.name)}", p.bytes) for number, p in enumerate(bank.pieces, 1)]
        body.append(_table(("what lies there", "bytes"), numbered))
    largest = [(escape(f"{symbol.name} ({symbol.region})"), symbol.bytes) for symbol in report.symbols[:20]]
    body += ["<h2>Largest objects</h2>", _table(("object", "bytes"), largest)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Memory of the firmware</title><style>{STYLE}</style></head>\n<body>"
        + "\n".join(body)
        + "</body></html>\n"
    )


STYLE = """
:root { color-scheme: light dark; --model: #7b4fd0; --ours: #2f6fdb; --code: #2e9e5b; --free: #d7dce3;
  --reserved: #8a929e; --excess: #d32f2f; }
@media (prefers-color-scheme: dark) { :root { --free: #3a404a; --reserved: #6b7280; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin: 2rem 0 0; } h2 + p { margin-top: 0; }
.bar { display: flex; height: 3rem; border-radius: 4px; overflow: hidden; }
.bar div { min-width: 0; overflow: hidden; white-space: nowrap; font-size: .75rem; padding-top: .9rem;
  text-align: center; border-right: 1px solid Canvas; box-sizing: border-box; }
.model { background: var(--model); color: #fff; }
.ours { background: var(--ours); color: #fff; } .code { background: var(--code); color: #fff; }
.free { background: var(--free); } .reserved { background: var(--reserved); color: #fff; }
.excess { background: var(--excess); color: #fff; }
.refused { border: 2px solid var(--excess); padding: .5rem 1rem; border-radius: 4px; }
.refused strong { color: var(--excess); }
i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em; }
table { border-collapse: collapse; margin: .5rem 0; } th { text-align: left; }
td, th { padding: .1rem 1.5rem .1rem 0; } td:last-child, th:last-child { text-align: right; }
"""


def _verdict(problems: Sequence[str]) -> str:
    if not problems:
        return "<p>It fits.</p>"
    items = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    return f'<div class="refused"><strong>This firmware is refused.</strong><ul>{items}</ul></div>'


def _made_from(report: "Report") -> str:
    if not report.made_from:
        return ""
    options = " ".join(f"{name}={value}" for name, value in report.made_from["options"].items())
    text = report.made_from.get("text", {})
    learned = f"; {text['documents']:,} documents, vocabulary of {text['vocab_size']}" if text else ""
    date = report.made_from.get("date", "")
    version = report.made_from["version"] + (f" of {date}" if date else "")
    return f"<p>Version {escape(version)}: {escape(options)}{learned}.</p>"


def _flash(report: "Report") -> int:
    return next(region.used for region in report.regions if region.name == "flash")


def _drawing(bank: Bank) -> str:
    """A bar of the bank's pieces, to scale, each with its name where there is room, and its number in the table."""
    total = sum(piece.bytes for piece in bank.pieces)
    parts = []
    for number, piece in enumerate(bank.pieces, 1):
        share = 100 * piece.bytes / total
        label = f"{number} {piece.name}" if share > 1.5 * len(piece.name) else str(number) if share > 2 else ""
        hover = escape(f"{piece.name}: {piece.bytes:,} bytes")
        parts.append(f'<div class="{piece.kind}" style="width:{share:.3f}%" title="{hover}">{escape(label)}</div>')
    return f'<div class="bar" role="img" aria-label="{bank.name}">{"".join(parts)}</div>'


def _chip(kind: str) -> str:
    return f'<i class="{kind}"></i>'


def _table(head: tuple[str, str], rows: Sequence[tuple[str, int]]) -> str:
    lines = [f"<tr><th>{head[0]}</th><th>{head[1]}</th></tr>"]
    lines += [f"<tr><td>{name}</td><td>{size:,}</td></tr>" for name, size in rows]
    return f"<table>{''.join(lines)}</table>"
