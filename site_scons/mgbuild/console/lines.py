"""Bytes of a console as lines of text, and what of a line may reach a terminal."""

import codecs
import re

PROMPT = "> "
LINE_LIMIT = 1000  # characters; what is longer is broken up

# Control characters would let noise on the line set up the user's terminal anew; shown as their pictures.
_PICTURES = {code: 0x2400 + code for code in range(32) if code != ord("\t")} | {0x7F: 0x2421}
_PICTURES |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
# What a program edits its prompt's line with: bell, backspace, return; cursor left and right, to a column; erase to
# the line's end; delete, insert.
_EDITING = re.compile(r"\x1b\[([0-9]*)([CDGKP@])|[\a\b\r]")
_CUT_ESCAPE = re.compile(r"\x1b(\[[0-9]*)?$")


class Lines:
    """The lines in a stream of bytes, which may be cut anywhere and be no UTF-8; none is longer than LINE_LIMIT."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.pending = ""  # what has come of a line that is not complete

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete, without their ends."""
        *complete, self.pending = (self.pending + self._decoder.decode(data)).split("\n")
        lines = [part for line in complete for part in _broken(line)]
        *long, self.pending = _broken(self.pending)
        return [line.rstrip("\r") for line in lines + long]

    def rest(self) -> str:
        """What has come of a line that is not complete; it is not given out again."""
        rest, self.pending = self.pending + self._decoder.decode(b"", final=True), ""
        return rest.rstrip("\r")


def _broken(line: str) -> list[str]:
    return [line[start : start + LINE_LIMIT] for start in range(0, len(line), LINE_LIMIT)] or [""]


def readable(line: str) -> str:
    """A complete line as its reader saw it in the end: editing done, other control characters as pictures."""
    edited = line.startswith(PROMPT) and _EDITING.search(line)
    return (_edited(line) if edited else line).translate(_PICTURES)


def displayable(text: str, of_prompt: bool) -> str:
    """Text as a terminal may have it: control characters as pictures, but for those that edit a prompt's line."""
    if not of_prompt:
        return text.translate(_PICTURES)
    shown, at = "", 0
    for found in _EDITING.finditer(text):
        shown += text[at : found.start()].translate(_PICTURES) + found[0]
        at = found.end()
    return shown + text[at:].translate(_PICTURES)


def without_cut_escape(text: str) -> str:
    """Text without an escape sequence at its end of which more may come."""
    return _CUT_ESCAPE.sub("", text)


def _edited(line: str) -> str:
    """What is left of a line after its backspaces and the like, each character in one column."""
    cells: list[str] = []
    column = at = 0
    while at < len(line):
        found = _EDITING.match(line, at)
        at = found.end() if found else at + 1
        if not found:
            cells += [" "] * (column - len(cells))
            cells[column : column + 1] = [line[at - 1]]
            column += 1
            continue
        count = min(int(found[1] or 1), LINE_LIMIT) if found[2] else 1
        match found[2] or found[0]:
            case "\b" | "D":
                column = max(column - count, 0)
            case "C":
                column = min(column + count, LINE_LIMIT)
            case "\r":
                column = 0
            case "G":
                column = max(count - 1, 0)
            case "K":
                del cells[column:]
            case "P":
                del cells[column : column + count]
            case "@":
                cells[column:column] = [" "] * count
    return "".join(cells).rstrip(" ")
