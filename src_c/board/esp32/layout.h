// SPDX-License-Identifier: MIT
// Addresses and sizes that linker/esp32.ld decides: only the symbols' addresses mean something. Tests put their own before this.
#ifndef ESP32_LAYOUT_H
#define ESP32_LAYOUT_H

extern const char dataset_start[], dataset_end[]; // in the data window of the cache
extern const char dram_model_bytes[], sram1_capacity[]; // of memory for the model
extern char bss_end[], sram1_origin[];                   // where that begins
extern const char flash_capacity[], flash_dataset[], flash_dataset_end[], flash_page[]; // bytes of flash

#endif
