"""Assembly text for llvm-mc, finished as GNU as does by itself: short instructions and aligned loops.

The LX6 has two-byte forms of its most frequent instructions, and demands that the first instruction of a zero-overhead
loop does not cross a 4-byte word, so LOOP and its kind must begin one or two bytes behind a word (GNU as manual, Xtensa
Automatic Alignment). llvm-mc takes every line as it is written. So each instruction that has a short form gets it here,
but for those that must stay long to place a loop; that costs no instruction. loops.py checks the result.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from mgbuild.firmware.isa import LOOPS

_LINE = re.compile(r"\t(?P<name>[a-z_.][\w.]*)(?:[ \t]+(?P<operands>[^#]*?))?\s*(?:#.*)?$")
_LOCATION = re.compile(r"\t\.loc\t(\d+) (\d+) ")
_FILE = re.compile(r'\t\.file\t(\d+) "(.*)" "(.*)"$')
_LOOP_PLACES = (1, 2)  # modulo 4
_DATA_BYTES = {".byte": 1, ".short": 2, ".2byte": 2, ".long": 4, ".4byte": 4}  # in code: constants for l32r


_Way = list[tuple[int, bool]]  # for each stretch, by how many bytes it grows and whether by a nop


@dataclass
class _Stretch:
    """Instructions from a place in a section that is known, or from behind a loop, to the next loop."""

    bytes: int = 0  # with all short forms
    long_forms: list[tuple[int, str]] = field(default_factory=list)  # of shortened lines, by the number of the line
    loop: int = 0  # number of its line


@dataclass
class _Code:
    """A section of code so far, from the last place that is known."""

    start: int = 0  # that place, modulo 4
    loops: list[_Stretch] = field(default_factory=list)
    rest: _Stretch = field(default_factory=_Stretch)

    def begin(self, start: int) -> None:
        self.start, self.loops, self.rest = start % 4, [], _Stretch()


def finish(lines: Iterable[str]) -> list[str]:
    """A listing, without macros, for llvm-mc.

    Without the directives for unwinding, too, whose register names llvm-mc does not know; those for debuggers stay.
    """
    finished: list[str] = []
    sections: dict[str, _Code] = defaultdict(_Code)
    code: _Code | None = sections[".text"]
    for line in lines:
        match = _LINE.match(line)
        name = match["name"] if match else ""
        operands = [word.strip() for word in (match["operands"] or "").split(",")] if match else []
        if name.startswith(".cfi_"):
            continue
        if name in (".text", ".section"):
            section = operands[0] if name == ".section" else name
            code = sections[section] if name == ".text" or '"ax"' in operands[1:2] else None
        elif code is None or not name:
            pass
        elif name in (".p2align", ".balign", ".org"):  # an alignment is to 4 bytes or more, an origin absolute
            _align(finished, code)
            code.begin(int(operands[0], 0) if name == ".org" else 0)
        elif name in _DATA_BYTES:
            code.rest.bytes += _DATA_BYTES[name] * len(operands)
        elif name.startswith("."):
            pass
        elif name in LOOPS:
            code.rest.loop = len(finished)
            code.loops.append(code.rest)
            code.rest = _Stretch(bytes=3)
        else:
            short = _short(name, operands)
            if short:
                code.rest.long_forms.append((len(finished), line))
                line = short
            code.rest.bytes += 2 if short or name.endswith(".n") else 3
        finished.append(line)
    for code in sections.values():
        _align(finished, code)
    return finished


def _align(finished: list[str], code: _Code) -> None:
    """Place the loops of a section, with as few nops as can be, by instructions that stay long."""
    ways: dict[int, _Way] = {code.start: []}  # the best to each place, modulo 4
    for stretch in code.loops:
        options = [(growth, False) for growth in range(min(len(stretch.long_forms), 3) + 1)] + [(2, True)]
        reached: dict[int, _Way] = {}
        for place, way in ways.items():
            for growth, nop in options:
                at = (place + stretch.bytes + growth) % 4
                longer = [*way, (growth, nop)]
                if at in _LOOP_PLACES and (at not in reached or _cost(longer) < _cost(reached[at])):
                    reached[at] = longer
        ways = reached
    cheapest: _Way = min(ways.values(), key=_cost)
    for stretch, (growth, nop) in zip(code.loops, cheapest, strict=True):
        if nop:
            finished[stretch.loop] = f"\tnop.n\n{finished[stretch.loop]}"
            continue
        for number, long_form in stretch.long_forms[len(stretch.long_forms) - growth :]:
            finished[number] = long_form


def _cost(way: _Way) -> tuple[int, int]:
    """Nops and bytes."""
    return sum(nop for _, nop in way), sum(growth for growth, _ in way)


def _short(name: str, operands: list[str]) -> str:
    """The two-byte form of an instruction, or nothing."""
    try:
        number = int(operands[-1], 0)
    except ValueError:
        number = None
    rest = ", ".join(operands[:-1])
    if name in ("ret", "retw", "nop"):
        return f"\t{name}.n"
    if name == "mov" or (name == "or" and operands[1] == operands[2]):
        return f"\tmov.n\t{operands[0]}, {operands[1]}"
    if name == "add":
        return f"\tadd.n\t{', '.join(operands)}"
    if number is None:
        return ""
    if name == "addi" and number in (-1, *range(1, 16)):
        return f"\taddi.n\t{rest}, {number}"
    if name == "movi" and -32 <= number <= 95:
        return f"\tmovi.n\t{rest}, {number}"
    if name in ("l32i", "s32i") and number in range(0, 64, 4):
        return f"\t{name}.n\t{rest}, {number}"
    return ""


def without_macros(expanded: Iterable[str]) -> list[str]:
    """What llvm-mc -g writes as text for a hand-written source, as a listing that it reads again.

    It cannot read what it writes for debuggers; lines of the source go into markers instead, as a preprocessor's do.
    """
    files: dict[str, str] = {}
    listing: list[str] = []
    for line in expanded:
        file, location = _FILE.match(line), _LOCATION.match(line)
        if file:
            files[file[1]] = f"{file[2]}/{file[3]}"
        elif location:
            listing.append(f'# {location[2]} "{files[location[1]]}"')
        elif line.startswith("\t.section\t.debug_"):
            break
        elif line:
            listing.append(line)
    return [*listing, ""]
