// SPDX-License-Identifier: MIT
#ifndef ESP32_STORAGE_H
#define ESP32_STORAGE_H

// Makes ready what board/storage.h declares: the end of flash, from flash_checkpoints on; with no room where the flash chip is smaller
// than the firmware was made for. APB must run at APB_MHZ, and flash be mapped.
void storage_start(void);

#endif
