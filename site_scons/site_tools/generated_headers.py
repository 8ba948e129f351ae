"""SCons tool: env.SettingsTable, env.RunConfig and env.VersionHeader write what the build decides."""

from pathlib import Path

from mgbuild.errors import reporting
from mgbuild.plan import build_folder, configure, settings_table
from mgbuild.plan.options import Settings
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _write_table(target: list, source: list, env: SConsEnvironment) -> None:
    build_folder.write(Path(str(target[0])), bytes.fromhex(source[0].read()))


def _write_text(target: list, source: list, env: SConsEnvironment) -> None:
    build_folder.write(Path(str(target[0])), source[0].read().encode("ascii"))


def _settings_table(env: SConsEnvironment, target: str, settings: Settings) -> list:
    """Node of the table of options; the bytes themselves are the dependency."""
    table = env.Value(settings_table.pack(settings).hex())
    return env.MadeBy(env.Command(target, table, Action(reporting(_write_table), "write $TARGET")), __file__)


def _run_config(env: SConsEnvironment, header: str, settings: Settings) -> list:
    """Node of run_config.h; its text itself is the dependency."""
    text = env.Value(configure.run_config(settings))
    return env.MadeBy(env.Command(header, text, Action(reporting(_write_text), "configure $TARGET")), __file__)


def _version_header(env: SConsEnvironment, header: str) -> list:
    """Node of version.h."""
    text = env.Value(configure.version_header(env["VERSION"]))
    return env.MadeBy(env.Command(header, text, Action(reporting(_write_text), "configure $TARGET")), __file__)


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_settings_table, "SettingsTable")
    env.AddMethod(_run_config, "RunConfig")
    env.AddMethod(_version_header, "VersionHeader")


def exists(env: SConsEnvironment) -> bool:
    return True
