"""SCons tool: env.ModelConfig, env.RunConfig and env.VersionHeader write the generated headers."""

from pathlib import Path

from mgbuild.errors import reporting
from mgbuild.plan import build_folder, configure
from mgbuild.plan.options import Settings
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _write_model_config(target: list, source: list, env: SConsEnvironment) -> None:
    image, sizes = source
    shape, documents = configure.model(sizes.read(), Path(str(image)))
    build_folder.write(Path(str(target[0])), configure.model_config(shape, documents).encode("ascii"))


def _write_text(target: list, source: list, env: SConsEnvironment) -> None:
    build_folder.write(Path(str(target[0])), source[0].read().encode("ascii"))


def _model_config(env: SConsEnvironment, header: str, image: list, settings: Settings) -> list:
    """Node of model_config.h; it depends on the shape and on what the data set image counts."""
    sizes = env.Value(configure.sizes(settings))
    node = env.Command(header, [image, sizes], Action(reporting(_write_model_config), "configure $TARGET"))
    return env.MadeBy(node, __file__)


def _run_config(env: SConsEnvironment, header: str, settings: Settings) -> list:
    """Node of run_config.h; its text itself is the dependency."""
    text = env.Value(configure.run_config(settings))
    return env.MadeBy(env.Command(header, text, Action(reporting(_write_text), "configure $TARGET")), __file__)


def _version_header(env: SConsEnvironment, header: str) -> list:
    """Node of version.h."""
    text = env.Value(configure.version_header(env["VERSION"]))
    return env.MadeBy(env.Command(header, text, Action(reporting(_write_text), "configure $TARGET")), __file__)


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_model_config, "ModelConfig")
    env.AddMethod(_run_config, "RunConfig")
    env.AddMethod(_version_header, "VersionHeader")


def exists(env: SConsEnvironment) -> bool:
    return True
