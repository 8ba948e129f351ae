"""A stand-in for an ESP32 in its loader, on a pseudo-terminal: answers esptool as the ROM does, and then its stub.

Source: Espressif's "Serial Protocol" of esptool's documentation.
"""

import hashlib
import os
import select
import struct
import threading
import tty
import zlib
from dataclasses import dataclass, field

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


@dataclass
class StandInChip:
    """A chip with `megabytes` of flash, and what is to go wrong with it."""

    megabytes: int = 4
    magic: int = ESP32_MAGIC
    silent: bool = False
    unplug_after_blocks: int | None = None  # of data written
    damage_block: int | None = None
    flash: bytearray = field(init=False)
    blocks: int = 0  # of data received
    writes: list[tuple[int, int]] = field(default_factory=list)  # offset and length of each
    erased: bool = False

    def __post_init__(self) -> None:
        self.flash = bytearray(b"\x5a" * (self.megabytes << 20))

    def __enter__(self) -> "StandInChip":
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._registers = {MAGIC_REGISTER: self.magic, UART_CLKDIV: CRYSTAL_DIVIDER}
        self._stub = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        self._unplug()

    def _unplug(self) -> None:
        for handle in ("_master", "_slave"):
            if getattr(self, handle) >= 0:
                os.close(getattr(self, handle))
                setattr(self, handle, -1)

    def _serve(self) -> None:
        waiting = b""
        while not self._stop.is_set():
            if not select.select([self._master], [], [], 0.05)[0]:
                continue
            waiting += os.read(self._master, 65536)
            while waiting.count(b"\xc0") >= 2:
                _, packet, waiting = waiting.split(b"\xc0", 2)
                if packet and not self.silent:
                    self._answer(packet.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb"))
                elif not packet:
                    waiting = b"\xc0" + waiting
                if self._master < 0:
                    return

    def _send(self, packet: bytes) -> None:
        os.write(self._master, b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0")

    def _respond(self, command: int, value: int = 0, data: bytes = b"", error: int = 0) -> None:
        data += bytes([error != 0, error]) + (b"" if self._stub else b"\0\0")
        self._send(struct.pack("<BBHI", 1, command, len(data), value) + data)

    def _answer(self, packet: bytes) -> None:
        if len(packet) < 8 or packet[0] != 0:
            return  # an acknowledgement of data read
        command, data = packet[1], packet[8:]
        words = struct.unpack(f"<{min(len(data), 16) // 4}I", data[: min(len(data), 16) // 4 * 4])
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
            if self._master >= 0:
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
        elif command in (MEM_BEGIN, MEM_DATA, SPI_SET_PARAMS, SPI_ATTACH, CHANGE_BAUD, ERASE_REGION, RUN_USER_CODE):
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
            self._unplug()
            return
        if self.blocks == self.damage_block:
            data = bytes([data[0] ^ 1]) + data[1:]
        if self._at == self._begin:
            self.writes.append((self._begin, 0))
        self.flash[self._at : self._at + len(data)] = data
        self._at += len(data)
        offset, length = self.writes[-1]
        self.writes[-1] = (offset, length + len(data))
