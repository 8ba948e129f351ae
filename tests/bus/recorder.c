// SPDX-License-Identifier: MIT
// The chip around the board's code, for a build on the machine that tests: bus, ROM functions and processor, all of which
// call Python (tests/bus_recorder.py).
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include "board/board.h"
#include "board/esp32/bus.h"
#include "board/xtensa/core.h"

enum { MOST_ACCESSES = 20000000 }; // code that waits for what never comes must end too

typedef uint32_t read_function(uint32_t address);
typedef void write_function(uint32_t address, uint32_t value);
typedef void call_function(const char *name, const uint32_t *arguments, uint32_t count);

static read_function *on_read;
static write_function *on_write;
static call_function *on_call;
static jmp_buf beginning;
static const char *end;
static uint32_t accesses;
static int switched_off;

void recorder_attach(read_function *read, write_function *write, call_function *call) {
    on_read = read;
    on_write = write;
    on_call = call;
}

// Runs a function that may not return. The answer is what ended it: "returned", "halted", "reset", "aborted" "stuck" or "switched off".
const char *recorder_run(void (*function)(uint32_t), uint32_t argument) {
    accesses = 0;
    switched_off = 0;
    end = "returned";
    if (setjmp(beginning) == 0) {
        function(argument);
    }
    return end;
}

_Noreturn static void stop(const char *reason) {
    end = reason;
    longjmp(beginning, 1);
}

// The run ends with the next access: a callback of Python's cannot be jumped out of.
void recorder_switch_off(void) { switched_off = 1; }

static void count_access(void) {
    if (++accesses > MOST_ACCESSES) {
        stop("stuck");
    }
    if (switched_off) {
        stop("switched off");
    }
}

uint32_t texts_mark = 0x54584554; // as linker/esp32.ld writes it; a test may spoil it

uint32_t read_register(uint32_t address) {
    count_access();
    return on_read(address);
}

void write_register(uint32_t address, uint32_t value) {
    count_access();
    on_write(address, value);
}

#define CALL(name, ...)                                                           \
    do {                                                                          \
        const uint32_t arguments[] = {__VA_ARGS__};                               \
        on_call(name, arguments, sizeof arguments / sizeof arguments[0]);         \
    } while (0)

// In ROM. Its names in ESP-IDF's esp32.rom.ld are the recorded ones.
void rom_delay_us(uint32_t microseconds) { CALL("ets_delay_us", microseconds); }
void rom_update_cpu_frequency(uint32_t mhz) { CALL("ets_update_cpu_frequency", mhz); }
void rom_i2c_writeReg(uint32_t block, uint32_t host, uint32_t reg, uint32_t value) {
    CALL("rom_i2c_writeReg", block, host, reg, value);
}
void rom_cache_read_disable(int cpu) { CALL("Cache_Read_Disable", (uint32_t)cpu); }
void rom_cache_read_enable(int cpu) { CALL("Cache_Read_Enable", (uint32_t)cpu); }
void rom_cache_flush(int cpu) { CALL("Cache_Flush", (uint32_t)cpu); }
int rom_cache_flash_mmu_set(int cpu, int pid, uint32_t address, uint32_t flash_offset, int page_kb, int pages) {
    CALL("cache_flash_mmu_set", (uint32_t)cpu, (uint32_t)pid, address, flash_offset, (uint32_t)page_kb, (uint32_t)pages);
    return 0;
}
// What they do to flash shows where the cache maps it. A test may let the flash chip refuse, or have protection bits.
uint32_t flash_status;
int flash_fails;
const char rom_spiflash_chip[4];
static uint8_t *flash_at(uint32_t address) { return (uint8_t *)(uintptr_t)0x3F400000 + address; }
int rom_spiflash_config_param(uint32_t id, uint32_t bytes, uint32_t block, uint32_t sector, uint32_t page, uint32_t mask) {
    CALL("esp_rom_spiflash_config_param", id, bytes, block, sector, page, mask);
    return 0;
}
int rom_spiflash_read_status(const void *chip, uint32_t *status) {
    (void)chip;
    on_call("esp_rom_spiflash_read_status", 0, 0);
    *status = flash_status;
    return 0;
}
int rom_spiflash_erase_sector(uint32_t number) {
    CALL("esp_rom_spiflash_erase_sector", number);
    if (!flash_fails) {
        memset(flash_at(number * 4096), 0xFF, 4096);
    }
    return flash_fails;
}
int rom_spiflash_write(uint32_t address, const void *from, int bytes) {
    CALL("esp_rom_spiflash_write", address, (uint32_t)bytes);
    for (int i = 0; !flash_fails && i < bytes; ++i) {
        flash_at(address)[i] &= ((const uint8_t *)from)[i];
    }
    return flash_fails;
}
void rom_software_reset(void) {
    on_call("software_reset", 0, 0);
    stop("reset");
}

uint32_t recorder_core; // which core the code runs on
bool recorder_answers;  // whether the second, once started, does

uint32_t core_number(void) { return recorder_core; }
uint32_t core_cycles(void) { return 1000 * accesses; }
bool core_wait_for(const volatile bool *flag, uint32_t cycles) {
    (void)flag;
    CALL("wait for the other core", cycles);
    return recorder_answers;
}
void start_second(void) {}
void core_enable_interrupts(uint32_t mask) { CALL("wsr.intenable", mask); }
void core_halt(void) { stop("halted"); }

void board_abort(const char *reason) {
    on_call(reason, 0, 0);
    stop("aborted");
}
