// SPDX-License-Identifier: MIT
#include "board/esp32/dataset.h"

#include "board/board.h"
#include "board/esp32/flash.h"
#include "board/esp32/layout.h"
#include "board/esp32/registers.h"

enum { PRO_CPU = 0, FLASH_PROCESS = 0, KB = 1024 };

// What a tool must know of this firmware to write a text beside it, besides the table of options (app/settings.h).
// `scons flash-dataset` looks for it in the image on the board; site_scons/mgbuild/device/flash.py reads it.
const struct {
    char magic[8];
    const char *dataset; // its offset in flash
    const char *flash_bytes;
    const char *banks[2]; // bytes of memory for the model
} board_layout = {.magic = {'M', 'G', 'L', 'A', 'Y', 'O', 'U', 'T'},
                  .dataset = flash_dataset,
                  .flash_bytes = flash_capacity,
                  .banks = {dram_model_bytes, sram1_capacity}};

// In ROM. mmu_set() returns 0, or the number of the argument it refuses.
int rom_cache_flash_mmu_set(int cpu, int pid, uint32_t address, uint32_t flash_offset, int page_kb, int pages);
void rom_cache_flush(int cpu);
void rom_cache_read_enable(int cpu);
void rom_cache_read_disable(int cpu);

void dataset_map(void) {
    const uint32_t page = (uintptr_t)flash_page;
    const uint32_t first = (uintptr_t)flash_dataset;
    const uint32_t end = (uintptr_t)flash_dataset_end;

    rom_cache_read_disable(PRO_CPU);
    rom_cache_flush(PRO_CPU);
    flash_set_timing();
    for (uint32_t i = 0; i < DPORT_FLASH_MMU_TABLE_SIZE; i++) {
        // 0, the ROM's choice, would show the start of flash
        write_register(DPORT_PRO_FLASH_MMU_TABLE(i), DPORT_FLASH_MMU_INVALID);
    }
    int pages = 0;
    for (uint32_t offset = first; offset < end; offset += page) {
        pages++;
    }
    rom_cache_flash_mmu_set(PRO_CPU, FLASH_PROCESS, (uintptr_t)dataset_start, first, (int)(page / KB), pages);
    clear_bits(DPORT_PRO_CACHE_CTRL1, DPORT_PRO_CACHE_MASK_DROM0);  // of this register, only this bit is safe to touch
    rom_cache_read_enable(PRO_CPU);
}

const void *board_dataset(uint32_t *capacity) {
    *capacity = (uintptr_t)dataset_end - (uintptr_t)dataset_start;
    return dataset_start;
}
