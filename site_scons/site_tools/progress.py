"""SCons tool: what the build says while it works, one line a phase; with env["VERBOSE"] every file and its command."""

import atexit
import sys
from collections.abc import Callable
from pathlib import Path

from SCons.Action import CommandAction
from SCons.Script import Action, GetBuildFailures
from SCons.Script.SConscript import SConsEnvironment

# The phase that a step belongs to, by the first word of its message; a step without one is its own phase.
PHASES = {
    "configure": "configure the program in",
    "compile": "compile for",
    "preprocess": "compile for",
    "expand": "compile for",
    "assemble": "compile for",
    "link": "link",
    "make": "make the images in",
}


def _every_command(message: str, target: list, source: list, env: SConsEnvironment) -> None:
    lines = [message]
    for action in target[0].get_executor().get_action_list():
        if hasattr(action, "cmd_list"):  # a command, not a function
            commands, *_ = action.process(target, source, env)
            lines += ["  " + " ".join(map(str, command)) for command in commands]
    sys.stdout.write("\n".join(lines) + "\n")


def _phases(build: Path) -> Callable[..., None]:
    said: set[str] = set()

    def show(message: str, target: list, source: list, env: SConsEnvironment) -> None:
        phase = PHASES.get(message.partition(" ")[0])
        if phase:
            inside = Path(str(target[0])).relative_to(build)
            message = f"{phase} {build / inside.parts[0]}"
        if message not in said:
            said.add(message)
            sys.stdout.write(message + "\n")

    return show


def _outcome(env: SConsEnvironment, name: str, needs: list, sentence: str) -> list:
    """Target `name`: its needs and, once they are built, a last line that says what came out and what to do next."""

    def execute(target: list, source: list, env: SConsEnvironment) -> None:
        print(sentence)

    return env.AlwaysBuild(env.Alias(name, needs, Action(execute, None)))


def _name_failed_commands() -> None:
    """Say which programs failed, for they may have said nothing themselves."""
    for failure in GetBuildFailures():
        if isinstance(failure.action, CommandAction):
            sys.stdout.flush()
            print(
                f"error: {failure.command[0]} ended with status {failure.status}, making {failure.node}; "
                "with verbose=1 the build shows the whole command",
                file=sys.stderr,
            )


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_outcome, "Outcome")
    if not env["VERBOSE"]:
        atexit.register(_name_failed_commands)
    env["PRINT_CMD_LINE_FUNC"] = _every_command if env["VERBOSE"] else _phases(env["BUILD"])


def exists(env: SConsEnvironment) -> bool:
    return True
