"""SCons tool: env.MemoryReport measures a firmware, as JSON and as a page; env.Memory and env.Fit print of it."""

from pathlib import Path

from mgbuild.errors import reporting
from mgbuild.plan import build_folder, configure
from mgbuild.plan.options import Settings
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _measure(target: list, source: list, env: SConsEnvironment) -> None:
    # Here, so that the program of the host takes no package but SCons.
    from mgbuild.firmware import memory, memory_page, stack

    elf, firmware, dataset, budget, bounds, library = (Path(str(node)) for node in source[:6])
    record = configure.with_text(source[6].read(), dataset)
    report = memory.analyse(elf, firmware, dataset, budget, record, stack.read(bounds), library)
    contents = memory.as_json(report), memory_page.page(report, memory.problems(report))
    for node, content in zip(target, contents, strict=True):
        build_folder.write(Path(str(node)), content.encode())


def _memory_report(
    env: SConsEnvironment,
    json: str,
    elf: object,
    image: object,
    dataset: list,
    stack: object,
    library: list,
    settings: Settings,
) -> list:
    """Nodes of JSON and page: what a firmware takes and what is wrong with it, which is no failure here."""
    record = env.Value(configure.made_from(settings, env["VERSION"]))
    targets = [json, str(Path(json).with_suffix(".html"))]
    inputs = [elf, image, dataset, "linker/budget.toml", stack, library, record]
    return env.MadeBy(env.Command(targets, inputs, Action(reporting(_measure), "measure $SOURCE")), __file__)


def _memory(env: SConsEnvironment, report: list, accepted: str, settings: Settings) -> list:
    """Target `memory`: print the report, and what differs from another: `against`, or what was accepted last."""

    def execute(target: list, source: list, env: SConsEnvironment) -> None:
        from mgbuild.firmware import fit, memory

        before = memory.read(Path(settings.against)) if settings.against else memory.read_if_any(Path(accepted))
        found = memory.read(Path(str(report[0])))
        print(memory.text(found, before))
        memory.judge(found, fit.nearest)

    return env.OnTerminal(env.Alias("memory", report, Action(reporting(execute), None)))


def _fit(env: SConsEnvironment, report: list, library: list, dataset: list) -> list:
    """Target `fit`: print which shapes fit, and how long their training takes."""

    def execute(target: list, source: list, env: SConsEnvironment) -> None:
        from mgbuild.firmware import fit, memory
        from mgbuild.plan.training_time import TextLengths

        lengths = TextLengths.of_image(Path(str(dataset[0])).read_bytes())
        print(fit.text(memory.read(Path(str(report[0]))), Path(str(library[0])), lengths))

    return env.OnTerminal(env.Alias("fit", report, Action(reporting(execute), None)))


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_memory_report, "MemoryReport")
    env.AddMethod(_memory, "Memory")
    env.AddMethod(_fit, "Fit")


def exists(env: SConsEnvironment) -> bool:
    return True
