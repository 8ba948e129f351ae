"""Small programs for the ESP32's cores, built by the toolchain that is here as scons builds the firmware."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from mgbuild.plan import toolchain


def program(body: str, second_core: str = "") -> str:
    """C of a program for a board that is over with its first turn: a body that returns the exit status.

    second_core: what the second core does, if it is started, until it only waits for the first.
    """
    return f"""
void app_begin(void) {{}}
enum app_state app_turn(void) {{ return APP_ENDED; }}
__attribute__((noinline)) static void team_wait(void) {{ for (;;) {{ __asm__ volatile(""); }} }}
_Noreturn void app_second_core(void) {{
{second_core}
    for (;;) {{ team_wait(); }}
}}
int app_status(void) {{
{body}
}}
"""


class Cross:
    """The toolchain that `toolchain=auto` would take. Raises UserError when there is none."""

    def __init__(self) -> None:
        self._tools = toolchain.find_xtensa()

    def object(self, source: Path, part: Path, *flags: str) -> Path:
        """Compile or assemble a source (.c, .S or .s) into `part`; flags are for the compiler."""
        if isinstance(self._tools, toolchain.EspIdf):
            self._run(*self._tools.compile, *flags, "-c", "-o", part, source)
            return part
        listing = source
        if source.suffix != ".s":
            listing = part.with_suffix(".s")
            translate = self._tools.compile if source.suffix == ".c" else self._tools.preprocess
            self._run(*translate, *flags, "-o", listing, source)
        self._run(*self._tools.assemble, "-o", part, listing)
        return part

    def link(self, elf: Path, script: str, parts: Sequence[Path], *flags: str) -> Path:
        """Link objects as a script says; flags are for the linker."""
        words = [word for flag in flags for word in self._tools.for_linker(flag)]
        self._run(*self._tools.link, *words, "-T", script, "-o", elf, *parts, *self._tools.libraries)
        return elf

    @staticmethod
    def _run(*words: str | Path) -> None:
        result = subprocess.run(words, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
