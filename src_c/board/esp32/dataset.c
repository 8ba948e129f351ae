// SPDX-License-Identifier: MIT
#include "board/board.h"
#include "board/esp32/layout.h"

// What a tool must know of this firmware to write a text beside it, besides the table of options (app/settings.h).
// `scons flash-dataset` looks for it in the image on the board; site_scons/mgbuild/device/flash.py reads it.
const struct {
    char magic[8];
    const char *dataset; // its offset in flash
    const char *flash_bytes;
    const char *banks[2]; // bytes of memory for the model
    const char *checkpoints; // their offset in flash; they end with it, or with its first 4 MB
} board_layout = {.magic = {'M', 'G', 'L', 'A', 'Y', 'O', 'U', 'T'},
                  .dataset = flash_dataset,
                  .flash_bytes = flash_capacity,
                  .banks = {dram_model_bytes, sram1_capacity},
                  .checkpoints = flash_checkpoints};

const void *board_dataset(uint32_t *capacity) {
    *capacity = (uintptr_t)dataset_end - (uintptr_t)dataset_start;
    return dataset_start;
}
