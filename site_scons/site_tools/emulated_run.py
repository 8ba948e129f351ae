"""SCons tool: env.Emulate is a target that runs a program on the emulated core every time it is asked for."""

from pathlib import Path

from mgbuild.emulated import emulator
from mgbuild.errors import reporting
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _run(target: list, source: list, env: SConsEnvironment) -> int:
    firmware, dataset = (Path(str(node)) for node in source)
    return emulator.run(firmware, dataset)


def _emulate(env: SConsEnvironment, name: str, elf: object, dataset: list) -> list:
    """Target `name`: the console of the program comes on the terminal, its exit status decides."""
    action = Action(reporting(_run), "run ${SOURCES[0]} on the emulated core")
    return env.OnTerminal(env.Alias(name, [elf, dataset], action))


def generate(env: SConsEnvironment) -> None:
    env.Tool("terminal_run")
    env.AddMethod(_emulate, "Emulate")


def exists(env: SConsEnvironment) -> bool:
    return True
