"""The memory report as one HTML page: the chip's banks of RAM, drawn to scale, in which 520 KB add up."""

from collections.abc import Sequence
from dataclasses import dataclass
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
    kind: str  # ours, code, free, or reserved


@dataclass(frozen=True)
class Bank:
    """One bank of the chip's RAM (Technical Reference Manual, "System and Memory")."""

    name: str
    about: str
    pieces: tuple[Piece, ...]

    @property
    def bytes(self) -> int:
        return sum(piece.bytes for piece in self.pieces)


def banks(report: "Report") -> tuple[Bank, ...]:
    """What lies in each bank; they add up to the chip's 520 KB, unless the firmware is too large for it."""
    used = {region.name: region.used for region in report.regions}
    capacity = {region.name: region.capacity for region in report.regions}
    ours = [Piece(name, size, "ours") for name, size in report.purposes if size]
    padding = used["dram"] - sum(piece.bytes for piece in ours)
    if padding > 0:
        ours.append(Piece("padding" if report.purposes else "variables and stack", padding, "ours"))
    return (
        Bank(
            "SRAM0",
            "192 KB for instructions; only whole words can be read or written",
            (
                Piece("cache of core 0", 32 * KB, "reserved"),
                Piece("cache of core 1", 32 * KB, "reserved"),
                Piece("code", used["iram"], "code"),
                Piece("free for code", max(0, capacity["iram"] - used["iram"]), "free"),
            ),
        ),
        Bank(
            "SRAM2",
            "200 KB for data",
            (
                Piece("variables of the ROM, and its Bluetooth part", 200 * KB - capacity["dram"], "reserved"),
                *ours,
                Piece("free for data", max(0, capacity["dram"] - used["dram"]), "free"),
            ),
        ),
        Bank(
            "SRAM1",
            "128 KB for data; this program leaves it alone",
            (
                Piece("variables and stacks of the ROM, for both cores", 0x7E30, "reserved"),
                Piece("free", 128 * KB - 0x7E30, "free"),
            ),
        ),
    )


def page(report: "Report") -> str:
    """The whole page, with nothing to load from elsewhere."""
    chip = banks(report)
    total = sum(bank.bytes for bank in chip)
    by_kind = {kind: sum(p.bytes for b in chip for p in b.pieces if p.kind == kind) for kind in KINDS}
    rows = [(f'<i class="{kind}"></i> {escape(about)}', by_kind[kind]) for kind, about in KINDS.items()]
    body = [
        "<h1>Memory of the firmware</h1>",
        f"<p>Static RAM {report.static_ram:,} bytes of a budget of {report.static_ram_budget:,}; "
        f"code {report.code:,}; flash {_flash(report):,}.</p>",
    ]
    if report.stack:
        chain = " → ".join(f"{step['function']} {step['frame']}" for step in report.stack["stack_chain"])
        body.append(
            f"<p>Stack: at most {report.stack['stack_bound']:,} bytes, by the longest chain of calls "
            f"({escape(chain)}); {report.stack['stack_size']:,} are set aside.</p>"
        )
    body += [_table(("RAM of the chip", "bytes"), [*rows, (f"together, {total / KB:g} KB", total)])]
    for bank in chip:
        body.append(f"<h2>{bank.name}</h2><p>{escape(bank.about)}</p>{_drawing(bank)}")
        body.append(_table(("what lies there", "bytes"), [(escape(p.name), p.bytes) for p in bank.pieces]))
    largest = [(escape(f"{symbol.name} ({symbol.region})"), symbol.bytes) for symbol in report.symbols[:20]]
    body += ["<h2>Largest objects</h2>", _table(("object", "bytes"), largest)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Memory of the firmware</title><style>{STYLE}</style></head>\n<body>"
        + "\n".join(body)
        + "</body></html>\n"
    )


KINDS = {
    "ours": "variables, constants and stack of this program",
    "code": "its code",
    "free": "free",
    "reserved": "taken by the caches and the ROM",
}

STYLE = """
:root { color-scheme: light dark; --ours: #2f6fdb; --code: #2e9e5b; --free: #d7dce3; --reserved: #8a929e; }
@media (prefers-color-scheme: dark) { :root { --free: #3a404a; --reserved: #6b7280; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin: 2rem 0 0; } h2 + p { margin-top: 0; }
svg { width: 100%; height: 3.5rem; display: block; border-radius: 4px; }
rect { stroke: Canvas; stroke-width: 1; vector-effect: non-scaling-stroke; }
.ours { fill: var(--ours); background: var(--ours); } .code { fill: var(--code); background: var(--code); }
.free { fill: var(--free); background: var(--free); } .reserved { fill: var(--reserved); background: var(--reserved); }
i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; }
table { border-collapse: collapse; margin: .5rem 0; } th { text-align: left; }
td, th { padding: .1rem 1.5rem .1rem 0; } td:last-child, th:last-child { text-align: right; }
"""


def _flash(report: "Report") -> int:
    return next(region.used for region in report.regions if region.name == "flash")


def _drawing(bank: Bank) -> str:
    """A bar as long as the bank; 200 KB are the full width."""
    scale = 1000 / (200 * KB)
    at, shapes = 0.0, []
    for piece in bank.pieces:
        width = piece.bytes * scale
        label = f"{piece.name}: {piece.bytes:,} bytes"
        shapes.append(
            f'<rect class="{piece.kind}" x="{at:.2f}" y="0" width="{width:.2f}" height="60">'
            f"<title>{escape(label)}</title></rect>"
        )
        at += width
    return (
        f'<svg viewBox="0 0 1000 60" preserveAspectRatio="none" role="img" aria-label="{bank.name}">'
        f"{''.join(shapes)}</svg>"
    )


def _table(head: tuple[str, str], rows: Sequence[tuple[str, int]]) -> str:
    lines = [f"<tr><th>{head[0]}</th><th>{head[1]}</th></tr>"]
    lines += [f"<tr><td>{name}</td><td>{size:,}</td></tr>" for name, size in rows]
    return f"<table>{''.join(lines)}</table>"
