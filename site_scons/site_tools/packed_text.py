"""SCons tool: env.Dataset packs a text file into a data set image."""

from pathlib import Path

from mgbuild.errors import reporting
from mgbuild.plan import build_folder, dataset
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _pack(target: list, source: list, env: SConsEnvironment) -> None:
    build_folder.write(Path(str(target[0])), dataset.pack(Path(str(source[0])), remark=print))


def _dataset(env: SConsEnvironment, image: str, text: str) -> list:
    """Node of the image made from a text file."""
    file = env.fs.File(text)  # not env.File, to which a $ in a name means a variable
    node = env.Command(image, file, Action(reporting(_pack), "pack $SOURCE into $TARGET"))
    return env.MadeBy(node, __file__)


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_dataset, "Dataset")


def exists(env: SConsEnvironment) -> bool:
    return True
