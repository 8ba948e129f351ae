"""SCons tool: env.Tune is a target that searches the best model that fits the chip."""

import sys
from collections.abc import Mapping
from pathlib import Path

from mgbuild.errors import reporting
from mgbuild.plan.options import Settings
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _tune(
    env: SConsEnvironment, report: list, library: list, dataset: list, settings: Settings, given: Mapping[str, str]
) -> list:
    """Target `tune`: search with `settings`; report: of the firmware's memory; given: the options that were typed."""

    def execute(target: list, source: list, env: SConsEnvironment) -> None:
        from mgbuild.firmware import memory  # here, so that other targets take no package but SCons
        from mgbuild.tune import tune

        found, image, shared = (Path(str(node[0])) for node in (report, dataset, library))
        status = tune.main(settings, given, memory.read(found), image, shared)
        if status:  # else scons would end with 2
            sys.exit(status)

    needs = [*report, *library, *dataset]
    return env.OnTerminal(env.Alias("tune", needs, Action(reporting(env.LeavingFolder(execute)), None)))


def generate(env: SConsEnvironment) -> None:
    env.Tool("terminal_run")
    env.AddMethod(_tune, "Tune")


def exists(env: SConsEnvironment) -> bool:
    return True
