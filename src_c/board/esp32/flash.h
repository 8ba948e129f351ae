// SPDX-License-Identifier: MIT
#ifndef ESP32_FLASH_H
#define ESP32_FLASH_H

#include <stdbool.h>

// Whether flash has no divider of its own (flash_freq=80m), as the ROM has set it from the image.
bool flash_runs_at_apb(void);

// Prepares reading through the cache, which must be off, for APB at APB_MHZ: the ROM's timing is for a slower one. As in
// ESP-IDF's bootloader_flash_config_esp32.c.
void flash_set_timing(void);

#endif
