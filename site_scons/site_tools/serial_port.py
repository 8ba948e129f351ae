"""SCons tool: env.Flash, env.FlashDataset, env.Monitor and env.Erase are targets for a board on a serial port."""

import sys
from collections.abc import Callable
from pathlib import Path

from mgbuild.errors import UserError, reporting
from mgbuild.plan.options import Settings
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _target(env: SConsEnvironment, name: str, needs: list, function: Callable[[], int | None]) -> list:
    def execute(target: list, source: list, env: SConsEnvironment) -> int | None:
        return function()

    return env.OnTerminal(env.Alias(name, needs, Action(reporting(execute), None)))


def _flash(env: SConsEnvironment, elf: object, image: list, dataset: list, settings: Settings) -> list:
    """Target `flash`: write what differs."""

    def execute() -> None:
        from mgbuild.device import flash, ports  # here, so that building takes no package for serial ports
        from mgbuild.firmware.image import flash_layout

        layout = flash_layout(Path(str(elf)))
        parts = [
            flash.Part("firmware", layout.firmware, Path(str(image[0]))),
            flash.Part("data set", layout.dataset, Path(str(dataset[0]))),
        ]
        flash.write(parts, ports.find(settings.port), settings.flash_baud, layout.capacity)

    return _target(env, "flash", [elf, image, dataset], execute)


def _flash_dataset(env: SConsEnvironment, dataset: list, library: list, settings: Settings) -> list:
    """Target `flash-dataset`: write the data set alone, after a look at the firmware on the board."""

    def execute() -> None:
        from mgbuild.device import flash, ports

        text, planner = Path(str(dataset[0])), Path(str(library[0]))
        flash.write_dataset(text, ports.find(settings.port), settings.flash_baud, planner)

    return _target(env, "flash-dataset", [*dataset, *library], execute)


def _monitor(env: SConsEnvironment, elf: str, settings: Settings) -> list:
    """Target `monitor`: the console, decoded with the firmware that was built last, if any; its status is scons's."""

    def execute(target: list, source: list, env: SConsEnvironment) -> None:
        from mgbuild.device import monitor, ports

        status = monitor.monitor(
            ports.find(settings.port),
            Path(elf) if Path(elf).is_file() else None,
            baud=settings.baud,
            sends=settings.send,
            until=settings.until,
            timeout=settings.timeout,
            log=Path(settings.log) if settings.log else None,
        )
        if status:  # else scons would end with 2, whatever has happened
            sys.exit(status)

    return env.OnTerminal(env.Alias("monitor", [], Action(reporting(env.LeavingFolder(execute)), None)))


def _named(settings: Settings) -> Path:
    if settings.file is None:
        raise UserError("which checkpoint? name it: file=run.ckpt")
    return settings.file


def _pull(env: SConsEnvironment, settings: Settings) -> list:
    """Target `pull`: a checkpoint from a board, over its console."""

    def execute(target: list, source: list, env: SConsEnvironment) -> None:
        from mgbuild.device import ports, transfer

        transfer.pull(ports.find(settings.port), settings.baud, _named(settings))

    return env.OnTerminal(env.Alias("pull", [], Action(reporting(env.LeavingFolder(execute)), None)))


def _push(env: SConsEnvironment, library: list, settings: Settings) -> list:
    """Target `push`: a checkpoint to a board's flash."""

    def execute() -> None:
        from mgbuild.device import ports, transfer

        transfer.push(_named(settings), ports.find(settings.port), settings.flash_baud, Path(str(library[0])))

    return _target(env, "push", library, execute)


def _erase(env: SConsEnvironment, settings: Settings) -> list:
    """Target `erase`: the whole flash."""

    def execute() -> None:
        from mgbuild.device import flash, ports

        flash.erase(ports.find(settings.port), settings.flash_baud)

    return _target(env, "erase", [], execute)


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_flash, "Flash")
    env.AddMethod(_flash_dataset, "FlashDataset")
    env.AddMethod(_monitor, "Monitor")
    env.AddMethod(_pull, "Pull")
    env.AddMethod(_push, "Push")
    env.AddMethod(_erase, "Erase")


def exists(env: SConsEnvironment) -> bool:
    return True
