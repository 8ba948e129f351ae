// SPDX-License-Identifier: MIT
// In place of src_c/board/esp32/layout.h: what linker/esp32.ld says, for a build that it does not link.
#ifndef ESP32_LAYOUT_H
#define ESP32_LAYOUT_H

#include <stdint.h>

extern const uint32_t texts_mark; // recorder.c
#define flash_window ((const char *)0x3F400000)
#define dataset_start ((const char *)0x3F480000)
#define dataset_end ((const char *)0x3F75A000)
#define dram_model_bytes ((const char *)0x2E000)
#define sram1_capacity ((const char *)0x1FBC0)
#define bss_end ((char *)0x3FFB2000)
#define sram1_origin ((char *)0x3FFE0440)
#define flash_capacity ((const char *)0x400000)
#define flash_dataset ((const char *)0x80000)
#define flash_dataset_end ((const char *)0x35A000)
#define flash_checkpoints ((const char *)0x35A000)
#define flash_mapped ((const char *)0x400000)
#define flash_checkpoints_bytes ((const char *)0xA6000)
#define flash_page ((const char *)0x10000)

#endif
