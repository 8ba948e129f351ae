// SPDX-License-Identifier: MIT
#include "board/esp32/flash.h"

#include "board/esp32/registers.h"

bool flash_runs_at_apb(void) { return (read_register(SPI0_CLOCK) & SPI_CLK_EQU_SYSCLK) != 0; }

// By how many cycles of its clock data come late. ESP-IDF's numbers (ESP_ROM_SPIFLASH_DUMMY_LEN_PLUS_*) are for pins behind the
// GPIO matrix, which takes 25 ns. The ROM uses it only where eFuse names the pins (flash in the package: D2WD, PICO); the usual
// pins are direct, and one cycle less is enough.
static uint32_t late_cycles(void) {
    const bool direct = (read_register(EFUSE_BLK0_RDATA5) & EFUSE_SPI_PAD_CONFIG) == 0;
    if (flash_runs_at_apb()) {
        return direct ? 1 : 2;
    }
    const bool half = SPI_CLKCNT_N(read_register(SPI0_CLOCK)) == 1; // flash_freq=40m
    return half && !direct ? 1 : 0;
}

void flash_set_timing(void) {
    set_bits(SPI0_USER, SPI_CS_HOLD | SPI_CS_SETUP);
    write_field(SPI0_CTRL2, SPI_HOLD_TIME | SPI_SETUP_TIME, 1u << 4);
    write_register(SPI0_USER1, read_register(SPI0_USER1) + late_cycles());
    if (flash_runs_at_apb()) {
        write_field(IO_MUX_SD_CLK, IO_MUX_FUN_DRV, 3u << 10);
    }
}
