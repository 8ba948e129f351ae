"""SCons tool: env.Run is a target that runs a command every time it is asked for."""

import subprocess
from collections.abc import Callable

from mgbuild.errors import reporting
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _on_terminal(env: SConsEnvironment, alias: list) -> list:
    """Always run this alias's action, and never beside another that writes to the terminal (-j2)."""
    env.SideEffect("terminal", alias)
    return env.AlwaysBuild(alias)


def _leaving_folder(env: SConsEnvironment, function: Callable[..., int | None]) -> Callable[..., int | None]:
    """The action `function`, for a target that comes last: others may work in the build folder meanwhile."""

    def execute(target: list, source: list, env: SConsEnvironment) -> int | None:
        with env["LOCK"].released():
            return function(target, source, env)

    return execute


def _run(env: SConsEnvironment, name: str, command: list[str]) -> list:
    """Target `name`: run the command, which needs nothing of the build folder; its exit status decides."""

    def execute(target: list, source: list, env: SConsEnvironment) -> int:
        return subprocess.run(command, check=False).returncode

    action = Action(reporting(env.LeavingFolder(execute)), f"run {' '.join(command)}")
    return env.OnTerminal(env.Alias(name, [], action))


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_on_terminal, "OnTerminal")
    env.AddMethod(_leaving_folder, "LeavingFolder")
    env.AddMethod(_run, "Run")


def exists(env: SConsEnvironment) -> bool:
    return True
