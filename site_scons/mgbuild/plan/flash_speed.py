"""How fast a chip generates from weights in its flash: the cycle model and the flash's bus, not measured on a chip."""

from dataclasses import dataclass
from typing import Final

CPU_HERTZ: Final = 240_000_000
CYCLES_PER_WEIGHT: Final = 1.65  # one core, by mgbuild.emulated.profile; all else that a token takes is in it
BLOCK_BYTES: Final = 32  # of the cache (ESP32 Technical Reference Manual)

# Clocks before the data of a block, each of which is assumed to be read by a command of its own: 8 for that, over one
# wire, then address and mode, then dummy cycles, as the ROM sets them (ESP-IDF's rom/spi_flash.h, of which
# SPI0_R_*_ADDR_BITSLEN and _DUMMY_CYCLELEN are one less). The address of qout and dout goes over one wire.
_OVERHEAD: Final = {"qio": 8 + 32 // 4 + 4, "dio": 8 + 28 // 2 + 2, "qout": 8 + 24 + 8, "dout": 8 + 24 + 8}
_WIRES: Final = {"qio": 4, "dio": 2, "qout": 4, "dout": 2}  # for data
_HERTZ: Final = {"20m": 20e6, "26m": 80e6 / 3, "40m": 40e6, "80m": 80e6}


def bytes_per_second(mode: str, frequency: str) -> float:
    """What the cache reads of flash that it does not hold; mode and frequency as the options name them."""
    clocks = _OVERHEAD[mode] + 8 * BLOCK_BYTES // _WIRES[mode]
    return BLOCK_BYTES * _HERTZ[frequency] / clocks


@dataclass(frozen=True)
class Speed:
    """Seconds that a token takes, one part after the other: a core that waits for flash does nothing else."""

    computing: float
    reading: float

    @property
    def tokens_per_second(self) -> float:
        """Of one core; a second one shares the flash's bus, and so takes little off."""
        return 1 / (self.computing + self.reading)

    def __str__(self) -> str:
        share = self.reading / (self.computing + self.reading)
        return f"{self.tokens_per_second:.1f} tokens a second, {share:.0%} of the time for reading flash"


def estimate(*, n_embd: int, n_layer: int, vocab_size: int, mode: str, frequency: str) -> Speed:
    """Speed of a model of this shape.

    A token reads all weights but the other rows of the embeddings, and all of them anew: they are more than the cache
    holds.
    """
    weights = 12 * n_layer * n_embd**2 + (vocab_size + 2) * n_embd
    return Speed(weights * CYCLES_PER_WEIGHT / CPU_HERTZ, 4 * weights / bytes_per_second(mode, frequency))
