"""SCons tool: env.Run is a target that runs a command every time it is asked for."""

import subprocess

from mgbuild.errors import reporting
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _on_terminal(env: SConsEnvironment, alias: list) -> list:
    """Always run this alias's action, and never beside another that writes to the terminal (-j2)."""
    env.SideEffect("terminal", alias)
    return env.AlwaysBuild(alias)


def _run(env: SConsEnvironment, name: str, needs: list, command: list) -> list:
    """Target `name`: run the command, words or nodes, once its needs are built; its exit status decides."""
    words = [str(word) for word in command]

    def execute(target: list, source: list, env: SConsEnvironment) -> int:
        return subprocess.run(words, check=False).returncode

    return env.OnTerminal(env.Alias(name, needs, Action(reporting(execute), f"run {' '.join(words)}")))


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_on_terminal, "OnTerminal")
    env.AddMethod(_run, "Run")


def exists(env: SConsEnvironment) -> bool:
    return True
