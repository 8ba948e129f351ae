"""SCons tool: env.RunHere and env.Emulate are targets that run the program every time they are asked for."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from mgbuild import run_result
from mgbuild.emulated import emulator
from mgbuild.errors import reporting
from mgbuild.plan import configure
from mgbuild.plan.options import Settings
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _target(
    env: SConsEnvironment,
    name: str,
    needs: list,
    dataset: list,
    command: Callable[[], Sequence[str]],
    folder: Callable[[], AbstractContextManager[Path | None]],
    settings: Settings,
    following: str,
) -> list:
    output = settings.build / name / "result.json"

    def execute(target: list, source: list, env: SConsEnvironment) -> None:
        record = configure.made_from(configure.resumed(settings), env["VERSION"])
        record = configure.with_text(record, Path(str(dataset[0])))
        with folder() as cwd:
            run_result.run(command(), output, record, settings.console, cwd)
        print(f"# as data: {output}; next: {following}")

    return env.OnTerminal(env.Alias(name, needs, Action(reporting(execute), f"run {needs[0]}")))


def _run_here(env: SConsEnvironment, name: str, needs: list, dataset: list, settings: Settings) -> list:
    """Target `name`: run the first of `needs`, a program for this machine that holds the data set."""
    words = [str(Path(str(needs[0])).absolute())]
    words += [f"resume={settings.resume.absolute()}"] if settings.resume else []
    words += [f"checkpoint={settings.checkpoint.absolute()}"] if settings.checkpoint else []
    return _target(env, name, needs, dataset, lambda: words, nullcontext, settings, "scons sim")


def _emulate(env: SConsEnvironment, name: str, elf: object, dataset: list, settings: Settings) -> list:
    """Target `name`: run an ELF on the emulated core."""

    def command() -> list[str]:
        program = Path(str(elf)).absolute()
        cores = emulator.useful_cores(program)
        if cores < settings.cores:
            print("# one core is emulated, for this process may use one CPU", flush=True)
        return emulator.command(emulator.find(), program, Path(str(dataset[0])).absolute(), cores)

    def folder() -> AbstractContextManager[Path | None]:
        files = (settings.resume, settings.checkpoint)
        return emulator.folder(*files) if any(files) else nullcontext()

    return _target(env, name, [elf, *dataset], dataset, command, folder, settings, "scons flash monitor, with a board")


def generate(env: SConsEnvironment) -> None:
    env.Tool("terminal_run")
    env.AddMethod(_run_here, "RunHere")
    env.AddMethod(_emulate, "Emulate")


def exists(env: SConsEnvironment) -> bool:
    return True
