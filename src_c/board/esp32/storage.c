// SPDX-License-Identifier: MIT
// Flash through the ROM's functions and SPI1, while SPI0 and the cache, which share its pins, rest. Source: ESP-IDF's
// esp_rom/patches/esp_rom_spiflash.c, spi_flash/cache_utils.c; the ROM's unlock is not called, for it may set protection bits.
//
// Between cache_off() and cache_on() nothing may be read from flash: no text of the app's, no document. All code lies in
// RAM, as do the stack and what this file reads, and so do the interrupts' handlers and what they read, panics included: they
// stay on. The second core waits for work then, in RAM and for a word of RAM, so it may go on while its cache is off too; and as it
// reads no register, the errata about two cores that do (CPU-3.10) are no matter.
#include "board/esp32/storage.h"

#include <stddef.h>

#include "board/board.h"
#include "board/esp32/layout.h"
#include "board/esp32/registers.h"
#include "board/esp32/watchdog.h"

enum { PRO_CPU = 0, APP_CPU = 1, BLOCK_BYTES = 0x10000, STATUS_MASK = 0xFFFF };
enum { ANY_FLASH_CHIP = 0x1540EF }; // the ROM's own choice: it looks at the sizes alone
enum { BLOCK_PROTECTION = 7 << 2 }; // BP0 to BP2 of the status register

void rom_cache_flush(int cpu);
void rom_cache_read_enable(int cpu);
void rom_cache_read_disable(int cpu);

// 0: done. Addresses are bytes from the start of flash, lengths multiples of 4, memory is aligned to 4.
int rom_spiflash_config_param(uint32_t id, uint32_t bytes, uint32_t block, uint32_t sector, uint32_t page, uint32_t mask);
int rom_spiflash_read_status(const void *chip, uint32_t *status);
int rom_spiflash_erase_sector(uint32_t number);
int rom_spiflash_write(uint32_t address, const void *from, int bytes);

static bool is_large_enough; // the flash chip

static bool second_has_cache(void) { return (read_register(DPORT_APP_CACHE_CTRL) & DPORT_CACHE_ENABLE) != 0; }

// Returns whether the second core's is one of those that were on.
static bool cache_off(void) {
    const bool both = second_has_cache();
    rom_cache_read_disable(PRO_CPU);
    if (both) {
        rom_cache_read_disable(APP_CPU);
    }
    return both;
}

static void cache_on(bool both) {
    rom_cache_flush(PRO_CPU); // what it holds may be of flash as it was
    if (both) {
        rom_cache_flush(APP_CPU);
        rom_cache_read_enable(APP_CPU);
    }
    rom_cache_read_enable(PRO_CPU);
}

// log2 of the chip's bytes, as its JEDEC id has it.
static uint32_t capacity_code(void) {
    const bool both = cache_off();
    write_register(SPI1_W0, 0);
    write_register(SPI1_CMD, SPI_FLASH_RDID);
    while (read_register(SPI1_CMD) != 0) {
    }
    const uint32_t id = read_register(SPI1_W0);
    cache_on(both);
    return id >> 16 & 0xFF;
}

void storage_start(void) {
    const uint32_t bytes = (uintptr_t)flash_capacity;
    set_bits(SPI1_USER, SPI_USR_COMMAND | SPI_CS_HOLD | SPI_CS_SETUP);
    write_field(SPI1_CTRL2, SPI_HOLD_TIME | SPI_SETUP_TIME, 1u << 4);
    write_register(SPI1_CLOCK, SPI_CLOCK_QUARTER_APB); // 20 MHz: no chip needs dummy cycles there
    rom_spiflash_config_param(ANY_FLASH_CHIP, bytes, BLOCK_BYTES, FLASH_SECTOR_BYTES, FLASH_PAGE_BYTES, STATUS_MASK);
    const uint32_t code = capacity_code();
    is_large_enough = code < 32 && 1u << code >= bytes; // else what is written at the end would lie at the beginning
}

uint32_t board_flash_bytes(void) { return is_large_enough ? (uintptr_t)flash_checkpoints_bytes : 0; }

bool board_flash_is_protected(void) {
    extern const char rom_spiflash_chip[];
    uint32_t status = 0;
    const bool both = cache_off();
    const int failed = rom_spiflash_read_status(rom_spiflash_chip, &status);
    cache_on(both);
    return failed != 0 || (status & BLOCK_PROTECTION) != 0;
}

// Whether these are whole words of the checkpoints' own, and nobody else's.
static bool is_ours(uint32_t offset, uint32_t bytes) {
    const uint32_t room = board_flash_bytes();
    return offset <= room && bytes <= room - offset && offset % 4 == 0 && bytes % 4 == 0;
}

static uint32_t address_of(uint32_t offset) { return (uintptr_t)flash_checkpoints + offset; }

// Through the cache, which was emptied after the last change.
bool board_flash_read(uint32_t offset, void *to, uint32_t bytes) {
    if (!is_ours(offset, bytes)) {
        return false;
    }
    const volatile uint32_t *from = (const volatile uint32_t *)(const volatile void *)(flash_window + address_of(offset));
    uint32_t *words = to;
    for (uint32_t i = 0; i < bytes / 4; ++i) {
        words[i] = from[i];
    }
    return true;
}

const void *board_flash_in_place(uint32_t offset) { return flash_window + address_of(offset); }

// Data sheets allow a sector 400 ms, and a worn one several times that; the watchdog allows it WATCHDOG_SECONDS.
bool board_flash_erase(uint32_t offset) {
    if (!is_ours(offset, FLASH_SECTOR_BYTES) || offset % FLASH_SECTOR_BYTES != 0) {
        return false;
    }
    watchdog_feed();
    const bool both = cache_off();
    const int failed = rom_spiflash_erase_sector(address_of(offset) / FLASH_SECTOR_BYTES);
    cache_on(both);
    return failed == 0;
}

bool board_flash_program(uint32_t offset, const void *from, uint32_t bytes) {
    if (!is_ours(offset, bytes) || offset % FLASH_SECTOR_BYTES + bytes > FLASH_SECTOR_BYTES) {
        return false;
    }
    watchdog_feed();
    const bool both = cache_off();
    const int failed = rom_spiflash_write(address_of(offset), from, (int)bytes);
    cache_on(both);
    return failed == 0;
}

// There are no files here.
bool board_file_is_given(void) { return false; }

const void *board_file_in_place(uint32_t bytes) {
    (void)bytes;
    return NULL;
}

bool board_file_is_kept(void) { return false; }

bool board_file_read(uint32_t offset, void *to, uint32_t bytes) {
    (void)offset, (void)to, (void)bytes;
    return false;
}

bool board_file_write(uint32_t offset, const void *from, uint32_t bytes) {
    (void)offset, (void)from, (void)bytes;
    return false;
}

bool board_file_keep(void) { return false; }
