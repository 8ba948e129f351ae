"""A stand-in for an ESP32 board: its loader, which answers esptool as the ROM and then the stub do, and its console.

It hangs on a wire: a pseudo-terminal, which has no reset lines, a bare TCP socket, which has no lines and no rate, or
RFC 2217, the serial port of a server, which has both. Source of the loader's protocol: "Serial Protocol" in Espressif's
documentation of esptool; of the reset lines: "Boot Mode Selection", there.
"""

import hashlib
import os
import queue
import select
import socket
import struct
import termios
import threading
import tty
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import serial
from serial.rfc2217 import PortManager

ESP32_MAGIC, ESP32S2_MAGIC = 0x00F01D83, 0x000007C6
MAGIC_REGISTER = 0x40001000
UART_CLKDIV, CRYSTAL_DIVIDER = 0x3FF40014, 347  # 40 MHz at 115200 baud
SPI_COMMAND, SPI_USER2, SPI_W0 = 0x3FF42000, 0x3FF42024, 0x3FF42080
READ_FLASH_ID = 0x9F

FLASH_BEGIN, FLASH_DATA, FLASH_END, MEM_BEGIN, MEM_END, MEM_DATA, SYNC = 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08
WRITE_REG, READ_REG, SPI_SET_PARAMS, SPI_ATTACH, CHANGE_BAUD = 0x09, 0x0A, 0x0B, 0x0D, 0x0F
DEFL_BEGIN, DEFL_DATA, DEFL_END, MD5, SECURITY_INFO = 0x10, 0x11, 0x12, 0x13, 0x14
ERASE_FLASH, ERASE_REGION, READ_FLASH, RUN_USER_CODE = 0xD0, 0xD1, 0xD2, 0xD3
INVALID_MESSAGE = 5


ROM_RATE = 115200  # bits per second
ROM_BUFFER = 0x100  # bytes; RX_BUFF_SIZE in ESP-IDF's rom/uart.h
POLL_SECONDS = 0.02
PATIENCE = 30  # seconds that a test waits for an event before it has failed


class PtyWire:
    """A pseudo-terminal: it takes any rate, and says which, but refuses to set a line."""

    paced = True  # by the rate: the chip takes bytes as fast as they come

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)

    def receive(self) -> bytes:
        """What has come within POLL_SECONDS."""
        return os.read(self._master, 65536) if select.select([self._master], [], [], POLL_SECONDS)[0] else b""

    def send(self, data: bytes) -> None:
        os.write(self._master, data)

    @property
    def rate(self) -> int:
        """Bits per second that the other end has chosen."""
        constant = termios.tcgetattr(self._slave)[5]
        return next(rate for rate in serial.Serial.BAUDRATES if getattr(termios, f"B{rate}", None) == constant)

    def close(self) -> None:
        os.close(self._master)
        os.close(self._slave)


class TcpWire:
    """A bare socket, one client after the other. The rate is the bridge's own and stays as it is."""

    scheme = "socket"
    rate = ROM_RATE
    paced = False

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._client: socket.socket | None = None
        self.port = f"{self.scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def receive(self) -> bytes:
        """What has come within POLL_SECONDS."""
        if not select.select([self._client or self._listener], [], [], POLL_SECONDS)[0]:
            return b""
        if self._client is None:
            self._accept()
            return b""
        try:
            data = self._client.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._client.close()
            self._client = None
        return data

    def _accept(self) -> None:
        self._client, _ = self._listener.accept()

    def send(self, data: bytes) -> None:
        """Send to the client, whom it waits for."""
        if self._client is None and select.select([self._listener], [], [], PATIENCE)[0]:
            self._accept()
        if self._client:
            self._client.sendall(data)

    def close(self) -> None:
        self._listener.close()
        if self._client:
            self._client.close()
            self._client = None


class Rfc2217Wire(TcpWire):
    """The serial port of a server: `lines` is called with DTR and RTS, true when asserted, whenever one is set."""

    scheme = "rfc2217"
    paced = True

    def __init__(self, lines: Callable[[bool, bool], None]) -> None:
        super().__init__()
        self._settings = _PortSettings(lines)

    def _accept(self) -> None:
        super()._accept()
        self._manager = PortManager(self._settings, self)

    def write(self, data: bytes) -> None:
        """Part of the protocol, from the manager to the client."""
        super().send(data)

    def receive(self) -> bytes:
        data = super().receive()
        return b"".join(self._manager.filter(data)) if data else b""

    def send(self, data: bytes) -> None:
        super().send(b"".join(self._manager.escape(data)))

    @property
    def rate(self) -> int:
        """Bits per second that the other end has chosen."""
        return self._settings.baudrate


class _PortSettings:
    """What a PortManager asks of the port that it serves."""

    bytesize, parity, stopbits, baudrate = serial.EIGHTBITS, serial.PARITY_NONE, serial.STOPBITS_ONE, ROM_RATE
    xonxoff = rtscts = break_condition = cts = dsr = ri = cd = False

    def __init__(self, lines: Callable[[bool, bool], None]) -> None:
        self._lines, self._dtr, self._rts = lines, False, False

    def _set_dtr(self, value: bool) -> None:
        self._dtr = value
        self._lines(self._dtr, self._rts)

    def _set_rts(self, value: bool) -> None:
        self._rts = value
        self._lines(self._dtr, self._rts)

    dtr, rts = property(fset=_set_dtr), property(fset=_set_rts)

    def reset_input_buffer(self) -> None: ...

    def reset_output_buffer(self) -> None: ...


@dataclass
class StandInChip:
    """A board with `megabytes` of flash on a wire ("pty", "tcp", "rfc2217"), and what is to go wrong with it.

    It begins in its loader, as after BOOT and EN, or in its program, which says `console` whenever it starts.
    """

    wire: str = "pty"
    megabytes: int = 4
    magic: int = ESP32_MAGIC
    silent: bool = False
    console: bytes | None = None  # begins in the loader where this is None
    unplug_after_blocks: int | None = None  # of data written
    unplug_on: int | None = None  # a command of the loader's
    unplug_before_answer: bool = True
    damage_block: int | None = None
    flash: bytearray = field(init=False)
    blocks: int = 0  # of data received
    writes: list[tuple[int, int]] = field(default_factory=list)  # offset and length of each
    erased: bool = False
    commands: list[int] = field(default_factory=list)  # that the loader was sent
    starts: int = 0  # of the program
    heard: "queue.Queue[bytes]" = field(default_factory=queue.Queue)  # by the program

    def __post_init__(self) -> None:
        self.flash = bytearray(b"\x5a" * (self.megabytes << 20))

    def __enter__(self) -> "StandInChip":
        self._wire = {"pty": PtyWire, "tcp": TcpWire, "rfc2217": lambda: Rfc2217Wire(self._lines)}[self.wire]()
        self.port = self._wire.port
        self._registers = {MAGIC_REGISTER: self.magic, UART_CLKDIV: CRYSTAL_DIVIDER}
        self._state = "loader" if self.console is None else "program"
        self._stub, self._rate = False, ROM_RATE
        self._said: queue.Queue[bytes] = queue.Queue()
        self._unplugged, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=PATIENCE)

    @property
    def runs_program(self) -> bool:
        """Whether it is neither in its loader nor held in reset."""
        return self._state == "program"

    def say(self, text: str | bytes) -> None:
        """Let the program write this to its console."""
        self._said.put(text.encode() if isinstance(text, str) else text)

    def hear(self) -> bytes:
        """The next bytes that the program has received."""
        return self.heard.get(timeout=PATIENCE)

    def unplug(self) -> None:
        """Take the board from its wire, after what it has been told to say; it is gone on return."""
        self._unplugged.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=PATIENCE)

    def _serve(self) -> None:
        waiting = b""
        try:
            while not self._stop.is_set() and not (self._unplugged.is_set() and self._said.empty()):
                while not self._said.empty():
                    self._wire.send(self._said.get())
                data = self._wire.receive()
                if self._state == "program" and data:
                    self.heard.put(data)
                if self._state != "loader" or self._wire.rate != self._rate:
                    waiting = b""
                    continue
                waiting = self._answer_packets(waiting + data)
        except ConnectionError:
            pass  # the other end has gone
        finally:
            self._wire.close()

    def _answer_packets(self, waiting: bytes) -> bytes:
        """Answer the packets in `waiting`; returns what is left of it."""
        while waiting.count(b"\xc0") >= 2:
            _, packet, waiting = waiting.split(b"\xc0", 2)
            lost = self.silent or not (self._wire.paced or self._stub or len(packet) < ROM_BUFFER)
            if packet and not lost:
                self._answer(packet.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb"))
            elif not packet:
                waiting = b"\xc0" + waiting
            if self._unplugged.is_set():
                return b""
        return waiting

    def _lines(self, dtr: bool, rts: bool) -> None:
        """The usual two transistors: RTS alone holds the chip in reset, DTR alone pulls GPIO0 down.

        With both asserted EN rises slowly, and the chip is still in reset when the next line is set.
        """
        if rts and not dtr:
            self._state = "reset"
        elif self._state == "reset" and not rts:
            self._stub, self._rate = False, ROM_RATE
            self._state = "loader" if dtr else "program"
            if self._state == "program":
                self.starts += 1
                self.say(self.console or b"ets Jul 29 2019 12:21:46\r\n")

    def _send(self, packet: bytes) -> None:
        self._wire.send(b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0")

    def _respond(self, command: int, value: int = 0, data: bytes = b"", error: int = 0) -> None:
        data += bytes([error != 0, error]) + (b"" if self._stub else b"\0\0")
        self._send(struct.pack("<BBHI", 1, command, len(data), value) + data)

    def _answer(self, packet: bytes) -> None:
        if len(packet) < 8 or packet[0] != 0:
            return  # an acknowledgement of data read
        command, data = packet[1], packet[8:]
        words = struct.unpack(f"<{min(len(data), 16) // 4}I", data[: min(len(data), 16) // 4 * 4])
        self.commands.append(command)
        if command == self.unplug_on:
            self.unplug()
            if self.unplug_before_answer:
                return
        if command == SYNC:
            for _ in range(8):
                self._respond(command, value=0 if self._stub else 0x20120707)
        elif command == SECURITY_INFO:
            self._respond(command, error=INVALID_MESSAGE)
        elif command == READ_REG:
            self._respond(command, value=self._registers.get(words[0], 0))
        elif command == WRITE_REG:
            self._write_register(words[0], words[1])
            self._respond(command)
        elif command == MEM_END:
            self._respond(command)
            self._stub = True
            self._send(b"OHAI")
        elif command in (FLASH_BEGIN, DEFL_BEGIN):
            self._at = self._begin = words[3]
            self._inflate = zlib.decompressobj()
            self._respond(command)
        elif command in (FLASH_DATA, DEFL_DATA):
            self._write(data[16:] if command == FLASH_DATA else self._inflate.decompress(data[16:]))
            if not self._unplugged.is_set():
                self._respond(command)
        elif command in (FLASH_END, DEFL_END):
            self._respond(command)
        elif command == MD5:
            digest = hashlib.md5(self.flash[words[0] : words[0] + words[1]]).digest()
            self._respond(command, data=digest if self._stub else digest.hex().encode())
        elif command == ERASE_FLASH:
            self.flash[:] = b"\xff" * len(self.flash)
            self.erased = True
            self._respond(command)
        elif command == READ_FLASH:
            self._respond(command)
            content = bytes(self.flash[words[0] : words[0] + words[1]])
            for start in range(0, len(content), words[2]):
                self._send(content[start : start + words[2]])
            self._send(hashlib.md5(content).digest())
        elif command == CHANGE_BAUD:
            self._respond(command)
            self._rate = words[0]
        elif command in (MEM_BEGIN, MEM_DATA, SPI_SET_PARAMS, SPI_ATTACH, ERASE_REGION, RUN_USER_CODE):
            self._respond(command)
        else:
            self._respond(command, error=INVALID_MESSAGE)

    def _write_register(self, address: int, value: int) -> None:
        self._registers[address] = value
        if address == SPI_COMMAND:  # done at once
            self._registers[SPI_COMMAND] = 0
            read_id = self._registers.get(SPI_USER2, 0) & 0xFF == READ_FLASH_ID
            size = (self.megabytes << 20).bit_length() - 1
            self._registers[SPI_W0] = size << 16 | 0x4020 if read_id else 0

    def _write(self, data: bytes) -> None:
        self.blocks += 1
        if self.blocks == self.unplug_after_blocks:
            self.unplug()
            return
        if self.blocks == self.damage_block:
            data = bytes([data[0] ^ 1]) + data[1:]
        if self._at == self._begin:
            self.writes.append((self._begin, 0))
        self.flash[self._at : self._at + len(data)] = data
        self._at += len(data)
        offset, length = self.writes[-1]
        self.writes[-1] = (offset, length + len(data))
