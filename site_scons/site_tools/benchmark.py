"""SCons tool: env.Bench is a target that measures firmwares on the emulated core and the library on this machine."""

import sys
from pathlib import Path

from mgbuild.errors import reporting
from mgbuild.plan import configure
from mgbuild.plan.options import Settings
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _measure(target: list, source: list, env: SConsEnvironment) -> None:
    sys.path.append(env.Dir("#").abspath)  # for python_ref
    from mgbuild.emulated import bench  # here, so that building for the host takes no package but SCons

    plugin, asm, plain, library, image, text, *modules = (Path(str(node)) for node in source)
    module = modules[0] if modules else None
    settings = env["BENCH_SETTINGS"]
    record = configure.with_text(configure.made_from(settings, env["VERSION"]), image)
    bench.main(plugin, asm, plain, library, image, text, module, settings, record, Path(env["BENCH_JSON"]))


def _plugin(env: SConsEnvironment, target: str) -> list:
    """Node of the emulator's plugin that counts instructions."""
    flags = "-std=c17 -O2 -Wall -Wextra -Wpedantic -Werror -shared -fPIC -fvisibility=hidden"
    command = f"$HOST_CC {flags} -o $TARGET $SOURCE"
    return env.Command(target, "#site_scons/mgbuild/emulated/profile_plugin.c", Action(command, "compile $SOURCE"))


def _bench(env: SConsEnvironment, name: str, sources: list, output: str, settings: Settings) -> list:
    """Target `name`: sources are plugin, two firmwares, library, data set image and its text, built with `settings`.

    The program as WebAssembly is the last, where it can be built."""
    bench_env = env.Clone(BENCH_JSON=output, BENCH_SETTINGS=settings)
    nodes = [env.fs.File(each) if isinstance(each, str) else each for each in sources]  # a name may have a $ in it
    return env.OnTerminal(bench_env.Alias(name, nodes, Action(reporting(_measure), "measure")))


def generate(env: SConsEnvironment) -> None:
    env.Tool("terminal_run")
    env.AddMethod(_plugin, "ProfilePlugin")
    env.AddMethod(_bench, "Bench")


def exists(env: SConsEnvironment) -> bool:
    return True
