"""SCons tool: env.MemoryReport measures an ELF against the budget, printed and as JSON; env.Fit says what fits."""

from pathlib import Path

from mgbuild.errors import reporting
from mgbuild.plan import configure
from mgbuild.plan.options import Settings
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _check(target: list, source: list, env: SConsEnvironment) -> None:
    from mgbuild.firmware import fit, memory  # here, so that building for the host takes no package but SCons

    elf, budget, image, stack = (Path(str(node)) for node in source[:4])
    shape, documents = configure.model(source[5].read(), image)
    print(
        memory.check(
            *(elf, budget, image, Path(str(target[0])), source[4].read(), stack),
            what_fits=lambda report: fit.nearest(shape, documents, report),
            against=Path(source[6].read()) if source[6].read() else None,
        )
    )


def _fit(env: SConsEnvironment, elf: object, budget: str, image: list, settings: Settings) -> list:
    """Target `fit`: print which shapes fit."""

    def execute(target: list, source: list, env: SConsEnvironment) -> None:
        from mgbuild.firmware import fit, memory

        report = memory.analyse(*(Path(str(node)) for node in source[:3]))
        print(fit.text(*configure.model(configure.sizes(settings), Path(str(source[2]))), report))

    return env.OnTerminal(env.Alias("fit", [elf, budget, image], Action(reporting(execute), None)))


def _memory_report(
    env: SConsEnvironment,
    json: str,
    elf: object,
    budget: str,
    dataset: list,
    stack: object,
    default_firmware: bool,
    settings: Settings,
) -> list:
    """Node of the JSON; making it fails when the firmware is over budget or breaks a rule of the chip."""
    inputs = [
        elf,
        budget,
        dataset,
        stack,
        env.Value(default_firmware),
        env.Value(configure.sizes(settings)),
        env.Value(settings.against),
    ]
    node = env.Command(json, inputs, Action(reporting(_check), "measure ${SOURCES[0]}"))
    env.Precious(node)  # the last report is what the next one is compared with
    return env.MadeBy(node, "firmware")


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_memory_report, "MemoryReport")
    env.AddMethod(_fit, "Fit")


def exists(env: SConsEnvironment) -> bool:
    return True
