// SPDX-License-Identifier: MIT
#include "board/board.h"
#include "board/esp32/layout.h"

uint32_t board_memory(uint32_t bank, void **start) {
    switch (bank) {
    case 0:
        *start = bss_end;
        return (uintptr_t)dram_model_bytes;
    case 1:
        *start = sram1_origin;
        return (uintptr_t)sram1_capacity;
    default:
        return 0;
    }
}
