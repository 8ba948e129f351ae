// SPDX-License-Identifier: MIT
#include "board/esp32/flash.h"

#include "board/esp32/layout.h"
#include "board/esp32/registers.h"

enum { PRO_CPU = 0, APP_CPU = 1, FLASH_PROCESS = 0, KB = 1024, TEXTS_MARK = 0x54584554 };

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

static void set_timing(void) {
    set_bits(SPI0_USER, SPI_CS_HOLD | SPI_CS_SETUP);
    write_field(SPI0_CTRL2, SPI_HOLD_TIME | SPI_SETUP_TIME, 1u << 4);
    write_register(SPI0_USER1, read_register(SPI0_USER1) + late_cycles());
    if (flash_runs_at_apb()) {
        write_field(IO_MUX_SD_CLK, IO_MUX_FUN_DRV, 3u << 10);
    }
}

// In ROM. mmu_set() returns 0, or the number of the argument it refuses.
int rom_cache_flash_mmu_set(int cpu, int pid, uint32_t address, uint32_t flash_offset, int page_kb, int pages);
void rom_cache_flush(int cpu);
void rom_cache_read_enable(int cpu);
void rom_cache_read_disable(int cpu);

// Shows flash at flash_window to a core, whose cache is off.
static void map_window(int cpu) {
    const uint32_t page = (uintptr_t)flash_page;
    const uint32_t end = (uintptr_t)flash_mapped;
    const uint32_t table = cpu == PRO_CPU ? DPORT_PRO_FLASH_MMU_TABLE : DPORT_APP_FLASH_MMU_TABLE;
    const uint32_t cache = cpu == PRO_CPU ? DPORT_PRO_CACHE_CTRL1 : DPORT_APP_CACHE_CTRL1;

    if (cpu == APP_CPU) {
        set_bits(cache, DPORT_APP_CACHE_MMU_IA_CLR); // or its table is not written right (ESP-IDF: do_multicore_settings())
    }
    for (uint32_t i = 0; i < DPORT_FLASH_MMU_TABLE_SIZE; i++) {
        write_register(table + 4 * i, DPORT_FLASH_MMU_INVALID); // 0, the ROM's choice, would show the start of flash
    }
    if (cpu == APP_CPU) {
        clear_bits(cache, DPORT_APP_CACHE_MMU_IA_CLR);
    }
    int pages = 0;
    for (uint32_t offset = 0; offset < end; offset += page) {
        pages++;
    }
    rom_cache_flash_mmu_set(cpu, FLASH_PROCESS, (uintptr_t)flash_window, 0, (int)(page / KB), pages);
    clear_bits(cache, DPORT_CACHE_MASK_DROM0); // of this register, no other bit is safe to touch
}

bool flash_map(void) {
    rom_cache_read_disable(PRO_CPU);
    rom_cache_flush(PRO_CPU);
    set_timing();
    map_window(PRO_CPU);
    rom_cache_read_enable(PRO_CPU);
    return texts_mark == TEXTS_MARK;
}

void flash_map_for_second_core(void) {
    rom_cache_read_disable(APP_CPU);
    rom_cache_flush(APP_CPU);
    map_window(APP_CPU);
    rom_cache_read_enable(APP_CPU);
}
