"""SCons tool: env.FirmwareImage makes the image that the ROM loads; env.AcceptedFirmware the files that are flashed."""

import sys
from pathlib import Path

import SCons.Errors
from mgbuild.errors import reporting
from mgbuild.plan import build_folder
from mgbuild.plan.options import Settings
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment

ACCEPTED = ("firmware.elf", "firmware.bin", "dataset.bin", "stack.json", "memory.json", "memory.html", "factory.bin")


def _firmware(target: list, source: list, env: SConsEnvironment) -> None:
    from mgbuild.firmware import image  # here, so that the host's program takes no package but SCons

    mode, frequency = source[1].read().split()
    content = image.firmware_image(Path(str(source[0])), image.FlashWiring(mode, frequency))
    build_folder.write(Path(str(target[0])), content)


def _firmware_image(env: SConsEnvironment, target: str, elf: object, settings: Settings) -> list:
    """Node of the image of an ELF."""
    wiring = env.Value(f"{settings.flash_mode} {settings.flash_freq}")
    node = env.Command(target, [elf, wiring], Action(reporting(_firmware), "make $TARGET"))
    return env.MadeBy(node, __file__)


def _accept(target: list, source: list, env: SConsEnvironment) -> None:
    from mgbuild.firmware import fit, image, memory

    elf, firmware, dataset, _, json, html = copied = [Path(str(node)) for node in source]
    accepted = dict(zip(ACCEPTED, (Path(str(node)) for node in target), strict=True))
    report = memory.read(json)
    try:
        memory.judge(report, fit.nearest)
    except memory.BudgetExceeded as refusal:
        held = "what was accepted before" if accepted["factory.bin"].exists() else "nothing to flash"
        lines = f"{refusal}\nthe report is {html}\n{accepted['factory.bin'].parent} holds {held}"
        print(f"error: {lines}", file=sys.stderr, flush=True)
        raise SCons.Errors.UserError("this firmware is refused") from None  # the last line, in SCons's words
    print(memory.text(report, memory.read_if_any(accepted["memory.json"])))
    contents = {path: one.read_bytes() for path, one in zip(accepted.values(), copied, strict=False)}
    contents[accepted["factory.bin"]] = image.factory_image(image.flash_layout(elf), firmware, dataset)
    build_folder.replace(contents)


def _accepted_firmware(
    env: SConsEnvironment, folder: str, elf: object, image: list, dataset: list, stack: object, report: list
) -> list:
    """Nodes of ACCEPTED in a folder, which come together, and only when the memory report has no objection.

    Until then those of the firmware that was accepted before stay, so that they always belong together.
    """
    targets = [f"{folder}/{name}" for name in ACCEPTED]
    sources = [elf, image, dataset, stack, *report]
    nodes = env.Command(targets, sources, Action(reporting(_accept), "judge $SOURCE"))
    env.Precious(nodes)
    return env.MadeBy(nodes, __file__)


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_firmware_image, "FirmwareImage")
    env.AddMethod(_accepted_firmware, "AcceptedFirmware")


def exists(env: SConsEnvironment) -> bool:
    return True
