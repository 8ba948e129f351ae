"""Which serial port the board is on, how it is opened, and what to say when that fails."""

import errno
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

import serial
from serial.tools import list_ports

from mgbuild.errors import UserError

# Vendor and product of the bridges that ESP32 boards carry. Only these are opened unasked, for opening a port resets
# what is behind it.
BRIDGES = {
    (0x10C4, 0xEA60): "CP210x",
    (0x10C4, 0xEA70): "CP2105",
    (0x1A86, 0x7523): "CH340",
    (0x1A86, 0x55D3): "CH343",
    (0x1A86, 0x55D4): "CH9102",
    (0x0403, 0x6001): "FT232",
    (0x0403, 0x6010): "FT2232",
    (0x0403, 0x6014): "FT232H",
    (0x0403, 0x6015): "FT231X",
    (0x067B, 0x2303): "PL2303",
    (0x067B, 0x23A3): "PL2303GC",
}
VARIABLE = "ESPPORT"
NETWORK = ("socket", "rfc2217")  # schemes of ports on another machine, as HOST:NUMBER

try:
    import termios

    _TERMINAL_ERRORS: tuple[type[Exception], ...] = (termios.error,)
except ImportError:  # Windows
    _TERMINAL_ERRORS = ()
# What a port raises that is gone. pyserial's exceptions are OSError; what its tcflush and tcdrain raise is not.
FAILURES: tuple[type[Exception], ...] = (OSError, *_TERMINAL_ERRORS)
_NOT_OPENED: tuple[type[Exception], ...] = (ValueError, *FAILURES)


def find(choice: str, environment: Mapping[str, str] = os.environ) -> str:
    """Device of the board's port: `choice` (port=), else ESPPORT, else the only port with a bridge of BRIDGES.

    Raises UserError, listing the ports, when there is none or more than one.
    """
    named = choice or environment.get(VARIABLE, "")
    if named:
        return named
    present = sorted(list_ports.comports(), key=lambda port: port.device)
    bridges = [port for port in present if (port.vid, port.pid) in BRIDGES]
    if len(bridges) == 1:
        return bridges[0].device
    if bridges:
        lines = [f"  {port.device}  {BRIDGES[port.vid, port.pid]}, {port.description}" for port in bridges]
        listing = "\n".join(lines)
        raise UserError(
            f"{len(bridges)} boards are connected:\n{listing}\nname one with port=..., or in the environment: "
            f"export {VARIABLE}={bridges[0].device}"
        )
    others = ", ".join(f"{port.device} ({port.description})" for port in present) or "none"
    raise UserError(
        "no serial port of an ESP32 board found; plug the board in, with a cable that carries data and not only power, "
        f"or name its port with port=... (other ports here: {others})"
    )


def opened(port: str, baud: int, timeout: float | None = None) -> serial.SerialBase:
    """An open port, held for us alone, with the chip neither in reset nor told to enter its loader.

    `port` is a device or any URL of pyserial's serial_for_url. `timeout` of reading: seconds, None for ever. Raises
    UserError when it does not open.
    """
    try:
        if port.startswith(tuple(f"{scheme}://" for scheme in NETWORK)) and urlsplit(port).port is None:
            raise ValueError("the number after HOST: is missing")
        board = serial.serial_for_url(port, do_not_open=True, baudrate=baud, timeout=timeout, exclusive=True)
        board.dtr = board.rts = False
        board.open()
    except _NOT_OPENED as error:
        raise open_failure(port, error) from None
    return board


def open_failure(port: str, error: Exception) -> UserError:
    """The sentence to print when `port` could not be opened."""
    text = str(error)
    number = getattr(error, "errno", None) or 0
    if "://" in port:
        return UserError(
            f"cannot open {port}: {text.removeprefix(f'Could not open port {port}: ')}; a board elsewhere is "
            "socket://HOST:NUMBER or rfc2217://HOST:NUMBER, and a server or emulator must be running there"
        )
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO) or "FileNotFoundError" in text or "No such file" in text:
        return UserError(f"there is no port {port}; plug the board in, or leave port= out to see the ports there are")
    if number in (errno.EACCES, errno.EPERM) or "Permission" in text:
        return UserError(
            f"no permission to open {port}; on Linux: sudo usermod -a -G dialout $USER, then log out and in again "
            "(on Windows: another program has it open)"
        )
    if number in (errno.EBUSY, errno.EAGAIN) or "busy" in text or "lock" in text:
        return UserError(f"{port} is in use by another program; close it (another monitor?) and try again")
    return UserError(f"cannot open {port}: {text}")
