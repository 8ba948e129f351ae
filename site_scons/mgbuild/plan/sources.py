"""Which files of src_c a program is made of, and where their objects go."""

import re
from pathlib import Path

ROOT = Path("src_c")

# Parts with the kernels: of the chip and the emulated core, by the option kernels=; and of this machine, for which
# compilers vectorise these plain loops as they are.
KERNELS = {"asm": "kernels/xtensa", "plain": "kernels/plain"}
HOST_KERNELS = ("kernels/host", "kernels/plain/elementwise.c", "kernels/plain/softmax.c")


def sources(*parts: str) -> list[Path]:
    """Sorted C and assembly files of src_c: those named, and every one that is directly in a folder named."""
    paths = [ROOT / part for part in parts]
    files = [file for path in paths for file in (path.glob("*") if path.is_dir() else [path])]
    return sorted(file for file in files if file.suffix in (".c", ".S"))


def kernel_names() -> list[str]:
    """Every kernel of kernels/kernels.h."""
    return re.findall(r"^KERNEL\((\w+)\)$", (ROOT / "kernels/kernels.inc").read_text(encoding="utf-8"), re.MULTILINE)


def product(folder: str | Path, source: str | Path, suffix: str) -> str:
    """Path under `folder` for what is made from a source, in the layout of src_c."""
    return str(Path(folder) / Path(source).relative_to(ROOT).with_suffix(suffix))
