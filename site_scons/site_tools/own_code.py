"""SCons tool: env.MadeBy makes products anew when the Python that makes them changes, or a library that it uses.

What a file imports, and what that imports in turn, is read from the code itself.
"""

import ast
import functools
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

from SCons.Script.SConscript import SConsEnvironment

HERE = Path(__file__).resolve().parent.parent  # site_scons


def _made_by(env: SConsEnvironment, nodes: object, file: str) -> object:
    """The nodes, depending on a Python file, usually the caller's, and on all that it imports."""
    modules, libraries = _needs(Path(file).resolve())
    env.Depends(nodes, [env.File(str(path)) for path in sorted(modules)])
    env.Depends(nodes, [env.Value(f"{name} {_version(name)}") for name in sorted(libraries)])
    return nodes


@functools.cache
def _needs(file: Path) -> tuple[set[Path], set[str]]:
    """A file and the modules of the build that it needs, and the names of other packages that these import."""
    modules, libraries, unread = set(), set(), [file]
    while unread:
        path = unread.pop()
        if path in modules:
            continue
        modules.add(path)
        for name in _imports(path):
            own = [HERE / f"{name.replace('.', '/')}{end}" for end in (".py", "/__init__.py")]
            found = [candidate for candidate in own if candidate.is_file()]
            unread += found
            top = name.partition(".")[0]
            if not found and not (HERE / top).is_dir() and top not in sys.stdlib_module_names:
                libraries.add(top)
    return modules, libraries


@functools.cache
def _imports(path: Path) -> frozenset[str]:
    """Names that may be modules: what is imported, and from where."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


@functools.cache
def _version(package: str) -> str:
    """Versions of what is installed under an importable name."""
    return " ".join(version(distribution) for distribution in sorted(set(_distributions().get(package, ()))))


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def generate(env: SConsEnvironment) -> None:
    env.AddMethod(_made_by, "MadeBy")


def exists(env: SConsEnvironment) -> bool:
    return True
