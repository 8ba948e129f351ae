"""SCons tool: env.Dataset packs a text file into a data set image."""

from pathlib import Path

from mgbuild import dataset
from mgbuild.errors import reporting
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _pack(target: list, source: list, env: SConsEnvironment) -> None:
    Path(str(target[0])).write_bytes(dataset.pack(Path(str(source[0]))))


def _dataset(env: SConsEnvironment, image: str, text: str) -> list:
    """Node of the image made from a text file."""
    node = env.Command(image, text, Action(reporting(_pack), "pack $SOURCE into $TARGET"))
    env.Depends(node, env.File("#site_scons/mgbuild/dataset.py"))
    return node


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_dataset, "Dataset")


def exists(env: SConsEnvironment) -> bool:
    return True
