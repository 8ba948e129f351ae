"""The ESP32's board code built for this machine and run against a double of the chip that records what it is told.

The double answers as far as the code waits for an answer: UART0's FIFOs, the count of the crystal, locked watchdogs.
"""

import ctypes
import os
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from conftest import ROOT
from mgbuild.plan import toolchain

# tests/bus/board/esp32/layout.h: where flash is seen, and the internal memory from the stack to the end of SRAM1.
FLASH_WINDOW, FLASH_BYTES = 0x3F400000, 4 << 20
DATASET_OFFSET = 0x80000
MEMORY_START, MEMORY_BYTES = 0x3FFB0000, 0x50000
BANKS = ((0x3FFB2000, 0x2E000), (0x3FFE0440, 0x1FBC0))  # of it, what the model may have

UART0_FIFO_AHB, UART0_STATUS = 0x60000000, 0x3FF4001C
UART_FIFO_BYTES = 128
TIMG0_RTCCALICFG, TIMG0_RTCCALICFG1 = 0x3FF5F068, 0x3FF5F06C
WATCHDOG_KEY = 0x50D83AA1
SPI1_CMD, SPI1_W0, RDID = 0x3FF42000, 0x3FF42080, 1 << 28
TIMG0_WDTFEED = 0x3FF5F060
TIMG0_WDT, TIMG0_WDTWPROTECT = range(0x3FF5F048, 0x3FF5F064, 4), 0x3FF5F064
RTC_WDT, RTC_CNTL_WDTWPROTECT = range(0x3FF4808C, 0x3FF480A4, 4), 0x3FF480A4

_READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)
_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)
_CALL = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint32), ctypes.c_uint32)


# Private memory at an address that must be free: mmap() of Linux, which Python's module does not offer so.
_PROT_READ_WRITE, _MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE = 3, 0x2 | 0x20 | 0x100000


class Write(NamedTuple):
    """A register was written."""

    address: int
    value: int

    def __repr__(self) -> str:
        return f"Write({self.address:#010x}, {self.value:#010x})"


class Call(NamedTuple):
    """A function in ROM, or one that stands for an instruction of the processor, was called."""

    name: str
    arguments: tuple[int, ...] = ()


Event = Write | Call


def build(library: Path, sources: Iterable[Path], *flags: str) -> Path:
    """Compile board code, with the double's headers before the firmware's, to a shared library; returns its path."""
    compiler = toolchain.find_host()
    include = [ROOT / "tests/bus", ROOT / "src_c"]
    subprocess.run(
        [
            *compiler.compile,
            *("-O1", "-fPIC", "-shared", "-Wl,-Bsymbolic", "-lm"),
            *(f"-I{folder}" for folder in include),
            *flags,
            *("-o", library, ROOT / "tests/bus/recorder.c", *sources),
        ],
        check=True,
    )
    return library


@contextmanager
def memory(dataset: bytes) -> Iterator[None]:
    """Lets the firmware find this data set where the cache shows it, and internal memory full of ones."""
    with _mapped(FLASH_WINDOW, FLASH_BYTES), _mapped(MEMORY_START, MEMORY_BYTES):
        ctypes.memmove(FLASH_WINDOW + DATASET_OFFSET, dataset, len(dataset))
        yield


@contextmanager
def _mapped(start: int, length: int) -> Iterator[None]:
    """Memory at an address, every bit of it 1: as flash that was erased, and floats that are no numbers."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    found = libc.mmap(start, length, _PROT_READ_WRITE, _MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE, -1, 0)
    assert found == start, f"mmap: {os.strerror(ctypes.get_errno())}"
    ctypes.memset(start, 0xFF, length)
    try:
        yield
    finally:
        libc.munmap(start, length)


class ConsoleInput(ctypes.Structure):
    """struct console_input of src_c/board/esp32/console_input.h."""

    _fields_ = (
        ("bytes", ctypes.c_uint8 * 128),
        *((name, ctypes.c_uint32) for name in ("written", "taken", "lost")),
        ("saved", ctypes.c_uint32 * 4),
    )


class Chip:
    """The double: registers with the contents that a test gives, and `events`, all that was written and called.

    library: from `build`. registers: address to contents; all others hold 0. crystal_hz: what the count of its cycles
    shows; 0: the count never ends.
    """

    def __init__(self, library: ctypes.CDLL, registers: dict[int, int] | None = None, crystal_hz: int = 0) -> None:
        self.events: list[Event] = []
        self.registers = dict(registers or {})
        self.crystal_hz = crystal_hz
        self.sent = bytearray()  # by UART0
        self.flash_id = 0x16_40_C8  # as SPI1 holds it: manufacturer lowest, highest log2 of the bytes
        self.lost = 0  # bytes written to its full FIFO
        self.deepest = 0  # most bytes that the FIFO held
        self.watch: deque[tuple[bytes, Callable[[], None]]] = deque()  # what to do once UART0 has sent a text, in order
        self.answers: dict[int, Callable[[], int]] = {}  # registers that hold something else at each look
        self._transmit: deque[int] = deque()
        self._looks = 0  # at the status
        self._transmitting = 0  # reads of the status until the last byte is on the wire
        self._library = library
        self._callbacks = (_READ(self._read), _WRITE(self._write), _CALL(self._call))  # kept from the collector
        library.recorder_run.restype = ctypes.c_char_p
        library.recorder_run.argtypes = [ctypes.c_void_p, ctypes.c_uint32]

    def run(self, function: str, argument: int = 0) -> str:
        """Run a function of the board; returns its end: returned, halted, reset, aborted, stuck or switched off."""
        self.attach()
        address = ctypes.cast(self._library[function], ctypes.c_void_p)
        return self._library.recorder_run(address, argument).decode()

    def begin_sending(self, text: bytes) -> None:
        """Fill the FIFO of UART0, as who ran before may leave it."""
        self._transmit.extend(text)

    def attach(self) -> None:
        """Let this chip answer what functions of the library ask from now on."""
        self._library.recorder_attach(*self._callbacks)

    def type(self, text: bytes) -> None:
        """Put bytes where the console's interrupt, which the processor alone could run, leaves what it receives."""
        received = ConsoleInput.in_dll(self._library, "console_input")
        for byte in text:
            if received.written - received.taken == len(received.bytes):
                received.lost = 1
                continue
            received.bytes[received.written % len(received.bytes)] = byte
            received.written += 1

    def switch_off(self) -> None:
        """End the run with the next access to the bus."""
        self._library.recorder_switch_off()

    @property
    def idle(self) -> bool:
        """Whether UART0 has nothing left to send."""
        return not self._transmit and not self._transmitting

    @property
    def written(self) -> list[Write]:
        """The writes among the events."""
        return [event for event in self.events if isinstance(event, Write)]

    def _read(self, address: int) -> int:
        if address == UART0_STATUS:
            return self._uart_status()
        if address == TIMG0_RTCCALICFG:
            return self.registers.get(address, 0) | (1 << 15 if self._count_ended() else 0)
        if address == TIMG0_RTCCALICFG1:
            cycles = self.registers[TIMG0_RTCCALICFG] >> 16 & 0x7FFF
            return int(self.crystal_hz * cycles * 256 / 8_500_000) << 7
        if address in self.answers:
            return self.answers[address]()
        return self.registers.get(address, 0)

    def _write(self, address: int, value: int) -> None:
        self.events.append(Write(address, value))
        for watchdog, lock in ((TIMG0_WDT, TIMG0_WDTWPROTECT), (RTC_WDT, RTC_CNTL_WDTWPROTECT)):
            if address in watchdog and self.registers.get(lock) != WATCHDOG_KEY:
                return  # a locked watchdog ignores it
        if address == UART0_FIFO_AHB:
            if len(self._transmit) < UART_FIFO_BYTES:
                self._transmit.append(value)
            else:
                self.lost += 1
            self.deepest = max(self.deepest, len(self._transmit))
            return
        self.registers[address] = value
        if address == SPI1_CMD:
            self.registers |= {SPI1_CMD: 0, SPI1_W0: self.flash_id if value == RDID else 0}
        if address == TIMG0_WDTFEED:
            self._pass_time()  # for a program that waits

    def _call(self, name: bytes, arguments: "ctypes._Pointer[ctypes.c_uint32]", count: int) -> None:
        self.events.append(Call(name.decode(), tuple(arguments[:count])))

    def _uart_status(self) -> int:
        self._pass_time()
        return (1 << 24 if self._transmitting else 0) | len(self._transmit) << 16

    def _pass_time(self) -> None:
        """With every third look at the status a byte goes out, so that who writes one after a look fills the FIFO."""
        self._looks += 1
        if self._transmit and self._looks % 3 == 0:
            self.sent.append(self._transmit.popleft())
            self._transmitting = 3
            if self.watch and self.sent.endswith(self.watch[0][0]):
                self.watch.popleft()[1]()
        elif self._transmitting and not self._transmit:
            self._transmitting -= 1

    def _count_ended(self) -> bool:
        configured = self.registers.get(TIMG0_RTCCALICFG, 0)
        oscillator = self.registers.get(0x3FF48070, 0) & (1 << 6 | 1 << 7 | 1 << 9) == 1 << 9
        return bool(configured >> 31 and configured >> 13 & 3 == 1 and oscillator and self.crystal_hz)


class Expected:
    """The events that a test expects, written down one by one from what the registers held."""

    def __init__(self, registers: dict[int, int] | None = None) -> None:
        self.events: list[Event] = []
        self.registers = dict(registers or {})

    def write(self, address: int, *values: int) -> None:
        """Each of these values, one after the other."""
        for value in values:
            self.events.append(Write(address, value))
            self.registers[address] = value

    def field(self, address: int, mask: int, value: int) -> None:
        """Other bits as they are."""
        self.write(address, self.registers.get(address, 0) & ~mask | value)

    def set(self, address: int, bits: int) -> None:
        """These bits on, others as they are."""
        self.field(address, 0, bits)

    def clear(self, address: int, bits: int) -> None:
        """These bits off, others as they are."""
        self.field(address, bits, 0)

    def call(self, name: str, *arguments: int) -> None:
        """A call of that function."""
        self.events.append(Call(name, arguments))
