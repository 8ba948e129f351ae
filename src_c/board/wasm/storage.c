// SPDX-License-Identifier: MIT
// A page keeps no checkpoints: there is no file.
#include "board/storage.h"

#include <stddef.h>

bool board_file_is_given(void) { return false; }

bool board_file_read(uint32_t offset, void *to, uint32_t bytes) {
    (void)offset, (void)to, (void)bytes;
    return false;
}

const void *board_file_in_place(uint32_t bytes) {
    (void)bytes;
    return NULL;
}

const void *board_flash_in_place(uint32_t offset) {
    (void)offset;
    return NULL;
}

bool board_file_is_kept(void) { return false; }

bool board_file_write(uint32_t offset, const void *from, uint32_t bytes) {
    (void)offset, (void)from, (void)bytes;
    return false;
}

bool board_file_keep(void) { return false; }
