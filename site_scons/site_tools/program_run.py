"""SCons tool: env.RunHere and env.Emulate are targets that run the program every time they are asked for."""

from collections.abc import Callable, Sequence
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
    settings: Settings,
    following: str,
) -> list:
    output = settings.build / name / "result.json"

    def execute(target: list, source: list, env: SConsEnvironment) -> None:
        record = configure.with_text(configure.made_from(settings, env["VERSION"]), Path(str(dataset[0])))
        run_result.run(command(), output, record, settings.console)
        print(f"# as data: {output}; next: {following}")

    return env.OnTerminal(env.Alias(name, needs, Action(reporting(execute), f"run {needs[0]}")))


def _run_here(env: SConsEnvironment, name: str, needs: list, dataset: list, settings: Settings) -> list:
    """Target `name`: run the first of `needs`, a program for this machine that holds the data set."""
    program = str(Path(str(needs[0])).absolute())
    return _target(env, name, needs, dataset, lambda: [program], settings, "scons sim")


def _emulate(env: SConsEnvironment, name: str, elf: object, dataset: list, settings: Settings) -> list:
    """Target `name`: run an ELF on the emulated core."""

    def command() -> list[str]:
        program = Path(str(elf))
        cores = emulator.useful_cores(program)
        if cores < settings.cores:
            print("# one core is emulated, for this process may use one CPU", flush=True)
        return emulator.command(emulator.find(), program, Path(str(dataset[0])), cores)

    return _target(env, name, [elf, *dataset], dataset, command, settings, "scons flash monitor, with a board")


def generate(env: SConsEnvironment) -> None:
    env.Tool("terminal_run")
    env.AddMethod(_run_here, "RunHere")
    env.AddMethod(_emulate, "Emulate")


def exists(env: SConsEnvironment) -> bool:
    return True
