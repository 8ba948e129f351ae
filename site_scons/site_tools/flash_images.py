"""SCons tool: env.FirmwareImage, env.FactoryImage and env.Duplicate make the files that are flashed."""

import shutil
from pathlib import Path

from mgbuild.errors import reporting
from mgbuild.plan.options import Settings
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _firmware(target: list, source: list, env: SConsEnvironment) -> None:
    from mgbuild.firmware import image  # here, so that building for the host takes no package but SCons

    mode, frequency = source[1].read().split()
    image.firmware(Path(str(source[0])), Path(str(target[0])), image.FlashWiring(mode, frequency))


def _factory(target: list, source: list, env: SConsEnvironment) -> None:
    from mgbuild.firmware import image

    elf, firmware, dataset = (Path(str(node)) for node in source)
    image.factory(elf, firmware, dataset, Path(str(target[0])))


def _copy(target: list, source: list, env: SConsEnvironment) -> None:
    shutil.copyfile(str(source[0]), str(target[0]))


def _firmware_image(env: SConsEnvironment, target: str, elf: object, report: list, settings: Settings) -> list:
    """Node of the image that the ROM loads; only an ELF whose memory report passed becomes one."""
    wiring = env.Value(f"{settings.flash_mode} {settings.flash_freq}")
    node = env.Command(target, [elf, wiring], Action(reporting(_firmware), "make $TARGET"))
    env.Depends(node, report)
    return env.MadeBy(node, "firmware")


def _factory_image(env: SConsEnvironment, target: str, elf: object, firmware: list, dataset: list) -> list:
    """Node of the image of the whole flash."""
    node = env.Command(target, [elf, firmware, dataset], Action(reporting(_factory), "make $TARGET"))
    return env.MadeBy(node, "firmware")


def _duplicate(env: SConsEnvironment, target: str, source: list) -> list:
    """Node of a copy of a file."""
    return env.Command(target, source, Action(reporting(_copy), "copy $SOURCE to $TARGET"))


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_firmware_image, "FirmwareImage")
    env.AddMethod(_factory_image, "FactoryImage")
    env.AddMethod(_duplicate, "Duplicate")


def exists(env: SConsEnvironment) -> bool:
    return True
