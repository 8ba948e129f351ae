"""SCons tool: env.MadeBy makes products anew when the Python that makes them changes."""

from SCons.Script.SConscript import SConsEnvironment

IMPORTS = {"plan": [], "firmware": ["plan"], "device": ["plan", "firmware"], "emulated": ["plan", "firmware"]}


def _made_by(env: SConsEnvironment, nodes: list, package: str) -> list:
    """The nodes, depending on every module of that package of mgbuild and of those it imports."""
    for name in [".", package, *IMPORTS[package]]:
        env.Depends(nodes, env.Glob(f"#site_scons/mgbuild/{name}/*.py"))
    return nodes


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_made_by, "MadeBy")


def exists(env: SConsEnvironment) -> bool:
    return True
