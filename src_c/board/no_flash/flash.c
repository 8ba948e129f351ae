// SPDX-License-Identifier: MIT
// For boards that keep checkpoints in files.
#include "board/storage.h"

uint32_t board_flash_bytes(void) { return 0; }

bool board_flash_is_protected(void) { return false; }

bool board_flash_read(uint32_t offset, void *to, uint32_t bytes) {
    (void)offset, (void)to, (void)bytes;
    return false;
}

bool board_flash_erase(uint32_t offset) {
    (void)offset;
    return false;
}

bool board_flash_program(uint32_t offset, const void *from, uint32_t bytes) {
    (void)offset, (void)from, (void)bytes;
    return false;
}
