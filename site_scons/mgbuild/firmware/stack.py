"""The most stack that a firmware can use, from its machine code: frames along the longest chain of calls.

Frames and calls are read from the code itself, compiled or hand-written, so the answer needs no trust in either
compiler. Source of the encodings and of the windowed calling convention: Xtensa ISA reference manual.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from elftools.elf.elffile import ELFFile

from mgbuild.errors import UserError
from mgbuild.firmware.elf import absolute_symbols, opened

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
}

# Functions of the firmware that call through a pointer which the code alone does not tell, each with all that it may
# call. There are none.
INDIRECT: dict[str, tuple[str, ...]] = {}

# What the stack of the program and that of a panic begin with, and the guard below the first (src_c/board/xtensa).
ROOT, PANIC_ROOT = "_start", "panic_entry"
GUARD = 64
MARGIN = 64  # beyond the bound, for the chain of calls that nobody thought of
PANIC_STACK_SYMBOL = "panic_stack_size"  # linker/esp32.ld

_NARROW = range(0x8, 0xE)  # first nibbles of two-byte instructions
_STACK_POINTER = 1


_FRAME = -1  # the value of a register that points to the frame
_State = dict  # what registers (numbers) and slots of the frame hold: sets of possible constants; nothing if unknown


@dataclass(frozen=True)
class Bound:
    """The most that can lie on a stack below where a root begins, and the chain of calls that needs it."""

    bytes: int
    chain: tuple[tuple[str, int], ...]  # functions, outermost first, each with its frame in bytes

    def __str__(self) -> str:
        return " > ".join(f"{name} {frame}" for name, frame in self.chain)


@dataclass
class _Function:
    name: str
    start: int
    end: int
    frame: int = 0
    calls: set[int] = field(default_factory=set)  # addresses


def bound(elf: Path, root: str, indirect: Mapping[str, tuple[str, ...]] | None = None) -> Bound:
    """The most stack that the function `root` and everything it calls can use.

    `indirect` names, for a function that calls through pointers, every function that it may call. Raises UserError,
    with the chain of calls, for recursion, for an indirect call that is not declared, and for code that moves the stack
    pointer in another way than by a fixed frame.
    """
    program = _Program(elf, indirect or {})
    return program.deepest(program.named(root), ())


def size(elf: Path, output: Path, flags: Path, for_linker: Callable[[str], list[str]]) -> Bound:
    """Write the stack that a firmware needs as a linker flag, and its bound as JSON; returns the bound of the program.

    for_linker: the words that hand a flag to the linker.

    Raises UserError as `bound`, or when a panic needs more stack than it has.
    """
    program, panic = bound(elf, ROOT, INDIRECT), bound(elf, PANIC_ROOT, INDIRECT)
    panic_stack = absolute_symbols(elf)[PANIC_STACK_SYMBOL]
    if panic.bytes > panic_stack:
        raise UserError(f"a panic can use {panic.bytes:,} bytes of stack and has {panic_stack:,}: {panic}")
    stack_size = -(-(program.bytes + GUARD + MARGIN) // 16) * 16
    flags.write_text("\n".join(for_linker(f"--defsym=stack_size={stack_size}")) + "\n")
    report = {
        "stack_bound": program.bytes,
        "stack_size": stack_size,
        "stack_chain": [{"function": name, "frame": frame} for name, frame in program.chain],
        "panic_stack_bound": panic.bytes,
    }
    output.write_text(json.dumps(report, indent=1) + "\n")
    return program


class _Program:
    """The functions of an ELF, read as far as calls reach."""

    def __init__(self, elf: Path, indirect: Mapping[str, tuple[str, ...]]) -> None:
        self._indirect = indirect
        self._known: dict[int, Bound] = {}
        self._sections: list[tuple[int, bytes]] = []
        self._functions: dict[int, _Function] = {}
        self._rom: dict[int, str] = {}
        with opened(elf) as file:
            self._read(file)

    def named(self, name: str) -> int:
        """Address of a function."""
        for function in self._functions.values():
            if function.name == name:
                return function.start
        raise UserError(f"there is no function {name}, whose stack was to be bounded")

    def deepest(self, address: int, callers: tuple[str, ...]) -> Bound:
        """Bound for the function at an address, called by these."""
        if address in self._known:
            return self._known[address]
        if address in self._rom:
            return Bound(ROM_STACK[self._rom[address]], ((self._rom[address], ROM_STACK[self._rom[address]]),))
        function = self._functions.get(address)
        if function is None:
            raise UserError(f"{' > '.join(callers)} calls {address:#010x}, where no function begins")
        chain = (*callers, function.name)
        if function.name in callers:
            circle = " > ".join(chain[chain.index(function.name) :])
            raise UserError(f"recursion: {circle}; its depth, and so its stack, has no bound that the code tells")
        self._scan(function, chain)
        below = [self.deepest(callee, chain) for callee in sorted(function.calls)]
        worst = max(below, key=lambda one: one.bytes, default=Bound(SAVE_AREA, ()))
        result = Bound(function.frame + worst.bytes, ((function.name, function.frame), *worst.chain))
        self._known[address] = result
        return result

    def _read(self, elf: ELFFile) -> None:
        table = elf.get_section_by_name(".symtab")
        for symbol in table.iter_symbols() if table else ():
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_size"]:
                start = symbol["st_value"]
                self._functions[start] = _Function(symbol.name, start, start + symbol["st_size"])
            elif symbol.name in ROM_STACK:
                self._rom[symbol["st_value"]] = symbol.name
        for section in elf.iter_sections():
            if section["sh_type"] == "SHT_PROGBITS" and section["sh_addr"]:
                self._sections.append((section["sh_addr"], section.data()))

    def _bytes(self, address: int, length: int) -> bytes:
        for start, data in self._sections:
            if start <= address and address + length <= start + len(data):
                return data[address - start : address - start + length]
        return b""

    def _scan(self, function: _Function, chain: tuple[str, ...]) -> None:
        """Read a function's frame and its calls, along every path through its code."""
        if function.name in self._indirect:
            function.calls |= {self.named(name) for name in self._indirect[function.name]}
        states: dict[int, _State] = {}
        back: dict[int, int] = {}  # from the end of a zero-overhead loop to its beginning
        paths: list[tuple[int, _State]] = [(function.start, {})]
        while paths:
            pc, state = paths.pop()
            merged = _merge(states.get(pc), state)
            if pc in states and merged == states[pc]:
                continue
            states[pc] = merged
            op = self._instruction(pc, chain)
            after = self._step(function, chain, op, merged)
            if op.loop_end is not None:
                back[op.loop_end] = pc + op.length
            following = [] if op.ends else [pc + op.length]
            if op.branch_target is not None:
                following.append(op.branch_target)
            if pc + op.length in back:
                following.append(back[pc + op.length])
            paths += [(target, after) for target in following if function.start <= target < function.end]

    def _instruction(self, pc: int, chain: tuple[str, ...]) -> "_Instruction":
        code = self._bytes(pc, 3) or self._bytes(pc, 2) + b"\0"
        if len(code) < 3:
            raise UserError(f"{' > '.join(chain)} runs out of its code at {pc:#010x}")
        return _Instruction(int.from_bytes(code, "little"), pc)

    def _step(self, function: _Function, chain: tuple[str, ...], op: "_Instruction", before: _State) -> _State:
        """Note what an instruction says about the function; returns what is known behind it."""
        state = dict(before)
        if op.is_entry:
            function.frame = op.frame
            return {_STACK_POINTER: frozenset([_FRAME])}
        if op.call_target is not None:
            function.calls.add(op.call_target)
        elif op.branch_target is not None and not function.start <= op.branch_target < function.end:
            function.calls.add(op.branch_target)
        elif op.called_register is not None:
            targets = state.get(op.called_register)
            if targets is not None:
                function.calls |= targets
            elif function.name not in self._indirect:
                raise UserError(
                    f"{' > '.join(chain)} calls through a pointer at {op.pc:#010x}; declare what it may call, "
                    "in INDIRECT of site_scons/mgbuild/firmware/stack.py"
                )
        elif op.written == _STACK_POINTER and function.frame:
            raise UserError(
                f"{' > '.join(chain)} moves the stack pointer at {op.pc:#010x} (alloca, or an array of variable "
                "length?); its stack has no bound that the code tells"
            )
        if op.window is not None:  # the callee's registers are new
            state = {key: value for key, value in state.items() if not isinstance(key, int) or key < op.window}
        if op.stored is not None and state.get(op.base) == frozenset([_FRAME]):
            _set(state, ("slot", op.offset), state.get(op.stored))
        if op.written is not None:
            value = None
            if op.loaded_literal is not None:
                value = frozenset([int.from_bytes(self._bytes(op.loaded_literal, 4), "little")])
            elif op.copied is not None:
                value = state.get(op.copied)
            elif op.offset is not None and state.get(op.base) == frozenset([_FRAME]):
                value = state.get(("slot", op.offset))
            _set(state, op.written, value)
        return state


def _set(state: _State, key: object, value: frozenset | None) -> None:
    if value is None:
        state.pop(key, None)
    else:
        state[key] = value


def _merge(one: _State | None, other: _State) -> _State:
    if one is None:
        return other
    return {key: one[key] | other[key] for key in one.keys() & other.keys()}


class _Instruction:
    """What matters here of one instruction; everything else is None or False."""

    def __init__(self, word: int, pc: int) -> None:
        op0, t, s, r = word & 15, word >> 4 & 15, word >> 8 & 15, word >> 12 & 15
        op1, op2, n, m = word >> 16 & 15, word >> 20 & 15, word >> 4 & 3, word >> 6 & 3
        self.pc = pc
        self.length = 2 if op0 in _NARROW else 3
        self.is_entry = op0 == 6 and n == 3 and m == 0
        self.frame = (word >> 12) * 8
        self.ends = False  # nothing follows
        self.call_target: int | None = None
        self.branch_target: int | None = None
        self.loop_end: int | None = None
        self.called_register: int | None = None
        self.window: int | None = None  # first register that a call leaves undefined
        self.written: int | None = None
        self.copied: int | None = None  # register that is copied to the one written
        self.loaded_literal: int | None = None  # address
        self.base: int | None = None  # of a word loaded or stored, with its offset
        self.offset: int | None = None
        self.stored: int | None = None
        near = pc + 4 + _signed(word >> 16, 8)
        if op0 == 0:
            self._three_registers(op1, op2, r, s, t, n, m)
        elif op0 == 1:  # l32r
            self.loaded_literal = ((pc + 3) & ~3) + ((word >> 8) - 0x10000 << 2)
            self.written = t
        elif op0 == 2:
            self._load_or_store(r, s, t, word >> 16)
        elif op0 == 5:  # call
            self.call_target = (pc & ~3) + 4 + (_signed(word >> 6, 18) << 2)
            self.window = 4 * n
        elif op0 == 6 and n == 0:  # j
            self.branch_target, self.ends = pc + 4 + _signed(word >> 6, 18), True
        elif op0 == 6 and n == 1:  # beqz and the like
            self.branch_target = pc + 4 + _signed(word >> 12, 12)
        elif op0 == 6 and n == 3 and m == 1 and r >= 8:  # loops
            self.branch_target = self.loop_end = pc + 4 + (word >> 16 & 0xFF)
        elif (op0 == 6 and not self.is_entry) or op0 == 7:
            self.branch_target = near
        elif op0 in (8, 9):  # l32i.n, s32i.n
            self.base, self.offset = s, 4 * r
            self.written, self.stored = (t, None) if op0 == 8 else (None, t)
        elif op0 in (10, 11):  # add.n, addi.n
            self.written = r
        elif op0 == 12 and t & 8:  # beqz.n, bnez.n
            self.branch_target = pc + 4 + ((t & 3) << 4 | r)
        elif op0 == 12:  # movi.n
            self.written = s
        elif op0 == 13 and r == 0:  # mov.n
            self.written, self.copied = t, s
        elif op0 == 13 and r == 15 and t in (0, 1, 6):  # ret.n, retw.n, ill.n
            self.ends = True

    def _load_or_store(self, r: int, s: int, t: int, immediate: int) -> None:
        if r in (2, 6):  # l32i, s32i
            self.base, self.offset = s, 4 * immediate
            self.written, self.stored = (t, None) if r == 2 else (None, t)
        elif r in (0, 1, 9, 10, 11, 12, 13):  # other loads, movi, addi, addmi
            self.written = t

    def _three_registers(self, op1: int, op2: int, r: int, s: int, t: int, n: int, m: int) -> None:
        if op1 == 0 and op2 == 0 and r == 0:
            if m == 3:  # callx0 to callx12
                self.called_register, self.window = s, 4 * n
            elif m == 2:  # ret, retw, jx
                self.called_register, self.ends = (s if n == 2 else None), True
            elif m == 0 and n == 0 and s == 0:  # ill
                self.ends = True
        elif op1 == 0 and op2 == 0 and r == 1:  # movsp
            self.written = t
        elif op1 == 0 and op2 == 0 and r == 3:  # rfe, rfwo and the like
            self.ends = True
        elif op1 == 0 and op2 == 0:
            self.written = t if r == 6 else None  # rsil
        elif op1 == 0 and op2 == 2:  # or: a move when both sources are the same
            self.written, self.copied = r, s if s == t else None
        elif op1 == 0 and op2 == 4:
            self.written = t if r in (6, 14, 15) else None  # rer, nsa, nsau
        elif op1 == 3 and op2 in (0, 14):  # rsr, rur
            self.written = t if op2 == 0 else r
        elif op1 == 3 and op2 in (1, 15):  # wsr, wur
            self.written = None
        elif op1 == 9:  # l32e, s32e
            self.written = t if op2 == 0 else None
        elif op1 == 10:  # floating point: rounding and rfr write an address register
            self.written = r if op2 in (8, 9, 10, 11, 14) or (op2 == 15 and t == 4) else None
        elif op1 == 2 and op2 < 5:  # of booleans
            self.written = None
        elif op1 in (0, 1, 2, 3, 4, 5):
            self.written = r


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
