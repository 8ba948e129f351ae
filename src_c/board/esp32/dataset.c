// SPDX-License-Identifier: MIT
#include "board/esp32/dataset.h"

#include "board/board.h"
#include "board/esp32/registers.h"
#include "generated/model_config.h"

enum { PRO_CPU = 0, FLASH_PROCESS = 0, KB = 1024 };

// Addresses and sizes that linker/esp32.ld decides: only the symbols' addresses mean something.
extern const char dataset_start[], dataset_end[], flash_capacity[], flash_dataset[], flash_dataset_end[], flash_page[];

// The data sets that this firmware reads, and from where. `scons flash-dataset` looks for it in the image on the board;
// site_scons/mgbuild/device/flash.py reads it.
const struct {
    char magic[8];
    uint32_t vocab_size; // its characters and BOS
    uint32_t num_docs;   // at most
    const char *flash_offset;
    const char *flash_capacity;
} dataset_requirements = {.magic = {'M', 'G', 'D', 'S', 'N', 'E', 'E', 'D'},
                          .vocab_size = VOCAB_SIZE,
                          .num_docs = NUM_DOCS,
                          .flash_offset = flash_dataset,
                          .flash_capacity = flash_capacity};

// In ROM. mmu_set() returns 0, or the number of the argument it refuses.
int rom_cache_flash_mmu_set(int cpu, int pid, uint32_t address, uint32_t flash_offset, int page_kb, int pages);
void rom_cache_flush(int cpu);
void rom_cache_read_enable(int cpu);
void rom_cache_read_disable(int cpu);

void dataset_map(void) {
    const uint32_t page = (uint32_t)flash_page;
    const uint32_t first = (uint32_t)flash_dataset;
    const uint32_t end = (uint32_t)flash_dataset_end;

    rom_cache_read_disable(PRO_CPU);
    rom_cache_flush(PRO_CPU);
    for (int i = 0; i < DPORT_FLASH_MMU_TABLE_SIZE; i++) {
        DPORT_PRO_FLASH_MMU_TABLE[i] = DPORT_FLASH_MMU_INVALID;  // 0, the ROM's choice, would show the start of flash
    }
    int pages = 0;
    for (uint32_t offset = first; offset < end; offset += page) {
        pages++;
    }
    rom_cache_flash_mmu_set(PRO_CPU, FLASH_PROCESS, (uint32_t)dataset_start, first, (int)(page / KB), pages);
    DPORT_PRO_CACHE_CTRL1 &= ~DPORT_PRO_CACHE_MASK_DROM0;  // of this register, only this bit is safe to touch
    rom_cache_read_enable(PRO_CPU);
}

const void *board_dataset(uint32_t *capacity) {
    *capacity = (uint32_t)dataset_end - (uint32_t)dataset_start;
    return dataset_start;
}
