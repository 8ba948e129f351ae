// SPDX-License-Identifier: MIT
// Addresses and sizes that linker/esp32.ld decides: only the symbols' addresses mean something. Tests put their own before this.
#ifndef ESP32_LAYOUT_H
#define ESP32_LAYOUT_H

#include <stdint.h>

extern const char flash_window[], dataset_start[], dataset_end[]; // where the cache shows flash
extern const uint32_t texts_mark;                                 // behind the program's texts there
extern const char dram_model_bytes[], sram1_capacity[]; // of memory for the model
extern char bss_end[], sram1_origin[];                   // where that begins
extern const char flash_capacity[], flash_dataset[], flash_dataset_end[], flash_page[]; // bytes of flash
extern const char flash_checkpoints[], flash_checkpoints_bytes[], flash_mapped[];

#endif
