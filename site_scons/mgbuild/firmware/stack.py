"""The most stack that a firmware can use, from its machine code: frames along the longest chain of calls.

Frames and calls are read from the code itself, compiled or hand-written, so the answer needs no trust in either
compiler. Source of the windowed calling convention: Xtensa ISA reference manual.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from mgbuild.errors import UserError
from mgbuild.firmware import isa
from mgbuild.firmware.elf import absolute_symbols
from mgbuild.firmware.machine_code import Function, MachineCode, successors

# Below the stack pointer of the function that is called last, for the registers a0 to a3 of its caller.
SAVE_AREA = 16

# Functions in ROM and the stack that each takes, read from the ROM of revision 3 in the same way. The last one calls
# through a table in RAM; its figure is a guess on the high side.
ROM_STACK = {
    "rom_cache_flash_mmu_set": 48,
    "rom_cache_flush": 48,
    "rom_cache_read_disable": 48,
    "rom_cache_read_enable": 48,
    "rom_delay_us": 64,
    "rom_software_reset": 48,
    "rom_update_cpu_frequency": 48,
    "rom_i2c_writeReg": 256,
    "rom_spiflash_config_param": 32,
    "rom_spiflash_erase_sector": 208,
    "rom_spiflash_read_status": 64,
    "rom_spiflash_write": 256,
}

# Functions of the firmware that call through a pointer which they read from a table, and the table's name: they may
# call every function that it names.
INDIRECT = {"command_run": "commands", "command_turn": "commands"}

# What the stacks of the program begin with, on the first and on the second core, and that of a panic, which has none of
# its own for each core; and the guard below those of the program (src_c/board/xtensa).
ROOT, SECOND_ROOT, PANIC_ROOT = "_start", "start_second", "panic_entry"
GUARD = 64
MARGIN = 64  # beyond the bound, for the chain of calls that nobody thought of
PANIC_STACK_SYMBOL = "panic_stack_size"  # linker/esp32.ld

_NAMES = ("stack", "second_stack", "panic_stack")  # in JSON
_STACK_POINTER = "a1"
_FRAME = -1  # the value of a register that points to the frame
_State = dict  # what registers (by name) and words of the frame (by number) may hold: sets of constants, if known


class Frame(NamedTuple):
    """A function in a chain of calls, and the bytes of stack that are its own."""

    function: str
    frame: int


@dataclass(frozen=True)
class Bound:
    """The most that can lie on a stack below where a root begins, and the chain of calls that needs it."""

    bytes: int
    chain: tuple[Frame, ...]  # outermost first

    def __str__(self) -> str:
        return " > ".join(f"{function} {frame}" for function, frame in self.chain)


@dataclass(frozen=True)
class Stack:
    """The stacks of a firmware: what its code can use of each, and what the program is given; sizes in bytes."""

    program: Bound
    second: Bound  # the program on the second core
    panic: Bound
    size: int  # of the program's stack, with guard and margin
    second_size: int

    @property
    def linker_flags(self) -> tuple[str, ...]:
        return f"--defsym=stack_size={self.size}", f"--defsym=second_stack_size={self.second_size}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` reads it."""
        found: dict[str, Any] = {"stack_size": self.size, "second_stack_size": self.second_size}
        for name, bound in zip(_NAMES, (self.program, self.second, self.panic), strict=True):
            found[f"{name}_bound"] = bound.bytes
            found[f"{name}_chain"] = [step._asdict() for step in bound.chain]
        return found

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """What `as_dict` has made; raises KeyError, TypeError or ValueError for anything else."""
        program, second, panic = (
            Bound(int(document[f"{name}_bound"]), tuple(Frame(**step) for step in document[f"{name}_chain"]))
            for name in _NAMES
        )
        return cls(program, second, panic, int(document["stack_size"]), int(document["second_stack_size"]))

    def as_json(self) -> str:
        return json.dumps(self.as_dict(), indent=1) + "\n"


def read(path: Path) -> Stack:
    """The stacks that a file holds as JSON; raises UserError for any other file."""
    try:
        return Stack.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} says nothing of a stack; remove it and build again") from None


@dataclass
class _Scan:
    """What the code of a function says of its stack."""

    frame: int = 0
    calls: set[int] = field(default_factory=set)  # addresses


def bound(elf: Path, root: str, indirect: Mapping[str, str] | None = None) -> Bound:
    """The most stack that the function `root` and everything it calls can use.

    `indirect` names, for a function that calls through pointers, the table in which it finds them. Raises UserError,
    with the chain of calls, for recursion, for an indirect call that is not declared, and for code that moves the stack
    pointer in another way than by a fixed frame.
    """
    program = _Program(elf, indirect or {})
    return program.deepest(program.named(root), ())


def of_firmware(elf: Path) -> Stack:
    """The stacks of a linked firmware; raises UserError as `bound`, or when a panic needs more stack than it has."""
    program, second, panic = (bound(elf, root, INDIRECT) for root in (ROOT, SECOND_ROOT, PANIC_ROOT))
    panic_stack = absolute_symbols(elf)[PANIC_STACK_SYMBOL]
    if panic.bytes > panic_stack:
        raise UserError(f"a panic can use {panic.bytes:,} bytes of stack and has {panic_stack:,}: {panic}")
    size = _whole(program.bytes + GUARD + MARGIN, GUARD)  # behind it the second's guard lies, aligned to its length
    second_size = _whole(second.bytes + GUARD + MARGIN, 16)
    return Stack(program, second, panic, size, second_size)


def _whole(length: int, unit: int) -> int:
    return -(-length // unit) * unit


class _Program:
    """The functions of an ELF, read as far as calls reach."""

    def __init__(self, elf: Path, indirect: Mapping[str, str]) -> None:
        self._indirect = indirect
        self._code = MachineCode(elf)
        self._known: dict[int, Bound] = {}

    def named(self, name: str) -> int:
        """Address of a function."""
        for function in self._code.functions.values():
            if function.name == name:
                return function.start
        raise UserError(f"there is no function {name}, whose stack was to be bounded")

    def deepest(self, address: int, callers: tuple[str, ...]) -> Bound:
        """Bound for the function at an address, called by these."""
        if address in self._known:
            return self._known[address]
        rom = self._code.absolute.get(address)
        if rom in ROM_STACK:
            return Bound(ROM_STACK[rom], (Frame(rom, ROM_STACK[rom]),))
        function = self._code.functions.get(address)
        if function is None:
            raise UserError(f"{' > '.join(callers)} calls {address:#010x}, where no function begins")
        chain = (*callers, function.name)
        if function.name in callers:
            circle = " > ".join(chain[chain.index(function.name) :])
            raise UserError(f"recursion: {circle}; its depth, and so its stack, has no bound that the code tells")
        found = self._scan(function, chain)
        below = [self.deepest(callee, chain) for callee in sorted(found.calls)]
        worst = max(below, key=lambda one: one.bytes, default=Bound(SAVE_AREA, ()))
        result = Bound(found.frame + worst.bytes, (Frame(function.name, found.frame), *worst.chain))
        self._known[address] = result
        return result

    def _scan(self, function: Function, chain: tuple[str, ...]) -> _Scan:
        """Read a function's frame and its calls, along every path through its code."""
        found = _Scan()
        if function.name in self._indirect:
            found.calls |= self._code.functions_in(self._indirect[function.name])
        states: dict[int, _State] = {}
        back: dict[int, int] = {}  # from the end of a zero-overhead loop to its beginning
        paths: list[tuple[int, _State]] = [(function.start, {})]
        while paths:
            address, state = paths.pop()
            merged = _merge(states.get(address), state)
            if address in states and merged == states[address]:
                continue
            states[address] = merged
            try:
                op = self._code.instruction(address)
            except UserError as error:
                raise UserError(f"{' > '.join(chain)} runs out of its code: {error}") from None
            after = self._step(function, found, chain, op, merged)
            if op.name in isa.LOOPS and op.target is not None:
                back[op.target] = op.end
            following = successors(op)
            if op.end in back:
                following.append(back[op.end])
            paths += [(target, after) for target in following if target in function]
        return found

    def _step(
        self, function: Function, found: _Scan, chain: tuple[str, ...], op: isa.Instruction, before: _State
    ) -> _State:
        """Note what an instruction says about the function; returns what is known behind it."""
        state = dict(before)
        if op.name == "entry":
            found.frame = 8 * op.immediate
            return {_STACK_POINTER: frozenset([_FRAME])}
        if op.name in (*isa.CALLS_OF_REGISTERS, "jx"):
            targets = state.get(op.registers[0])
            if targets is not None:
                found.calls |= targets
            elif function.name not in self._indirect:
                raise UserError(
                    f"{' > '.join(chain)} calls through a pointer at {op.address:#010x}; declare the "
                    "table of what it may call, in INDIRECT of site_scons/mgbuild/firmware/stack.py"
                )
        elif op.target is not None and (op.name in isa.CALLS or op.target not in function):
            found.calls.add(op.target)
        elif _STACK_POINTER in op.results and found.frame:
            raise UserError(
                f"{' > '.join(chain)} moves the stack pointer at {op.address:#010x} (alloca, or an array of variable "
                "length?); its stack has no bound that the code tells"
            )
        if op.name in (*isa.CALLS, *isa.CALLS_OF_REGISTERS):  # the callee's registers are new
            window = int(op.name.removeprefix("callx").removeprefix("call"))
            state = {key: value for key, value in state.items() if isinstance(key, int) or int(key[1:]) < window}
        if op.name in ("s32i", "s32i.n") and state.get(op.registers[1]) == frozenset([_FRAME]):
            _set(state, op.immediate, state.get(op.registers[0]))
        value = self._value(op, state)
        for register in op.results:
            _set(state, register, value)
        return state

    def _value(self, op: isa.Instruction, state: _State) -> frozenset | None:
        """What an instruction puts into the register that it sets, if the code tells."""
        if op.literal is not None:
            return frozenset([self._code.word(op.literal)])
        if op.name in ("mov.n", "movsp") or (op.name == "or" and op.registers[1] == op.registers[2]):
            return state.get(op.registers[1])
        if op.name in ("l32i", "l32i.n") and state.get(op.registers[1]) == frozenset([_FRAME]):
            return state.get(op.immediate)
        return None


def _set(state: _State, key: object, value: frozenset | None) -> None:
    if value is None:
        state.pop(key, None)
    else:
        state[key] = value


def _merge(one: _State | None, other: _State) -> _State:
    if one is None:
        return other
    return {key: one[key] | other[key] for key in one.keys() & other.keys()}
