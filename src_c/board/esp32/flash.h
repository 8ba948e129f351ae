// SPDX-License-Identifier: MIT
#ifndef ESP32_FLASH_H
#define ESP32_FLASH_H

#include <stdbool.h>

// Whether flash has no divider of its own (flash_freq=80m), as the ROM has set it from the image.
bool flash_runs_at_apb(void);

// Makes flash readable through the cache, from its start on at flash_window: the program's texts, the data set, checkpoints. Returns whether
// the texts are whole. APB must run at APB_MHZ; until this is done nothing that lies in flash may be used.
bool flash_map(void);

// The same for the second core, which has a cache of its own. Called by the first, after flash_map(), while the second is in
// reset: the ROM's functions access DPORT, which both cores must not at once (errata CPU-3.10 and CPU-3.16).
void flash_map_for_second_core(void);

#endif
