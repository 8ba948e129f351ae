"""SCons tool: env.MemoryReport measures an ELF against the budget: a printed report, and JSON."""

from pathlib import Path

from mgbuild.errors import reporting
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _check(target: list, source: list, env: SConsEnvironment) -> None:
    from mgbuild import memory  # here, so that building for the host takes no package but SCons

    elf, budget, dataset, stack = (Path(str(node)) for node in source[:4])
    print(memory.check(elf, budget, dataset, Path(str(target[0])), source[4].read(), stack))


def _memory_report(
    env: SConsEnvironment,
    json: str,
    elf: object,
    budget: str,
    dataset: list,
    stack: object,
    default_firmware: bool,
) -> list:
    """Node of the JSON; making it fails when the firmware is over budget or breaks a rule of the chip."""
    inputs = [elf, budget, dataset, stack, env.Value(default_firmware)]
    node = env.Command(json, inputs, Action(reporting(_check), "measure ${SOURCES[0]}"))
    env.Depends(node, [env.File(f"#site_scons/mgbuild/{name}.py") for name in ("memory", "image", "elf")])
    return node


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_memory_report, "MemoryReport")


def exists(env: SConsEnvironment) -> bool:
    return True
