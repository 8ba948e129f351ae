// SPDX-License-Identifier: MIT
// Where checkpoints are kept: flash on the chip, elsewhere files that the program is given.
#ifndef BOARD_STORAGE_H
#define BOARD_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#define FLASH_SECTOR_BYTES 4096u // erased together, to ones
#define FLASH_PAGE_BYTES 256u    // programmed together: ones become zeros

// Bytes of the flash that is for checkpoints, in whole sectors; 0: there is none. Offsets below are from its start; nothing outside
// of it is ever written.
uint32_t board_flash_bytes(void);

// Whether the flash chip is set to refuse what follows. Nothing here changes that.
bool board_flash_is_protected(void);

// Each returns whether it did it: not beyond the end, and not where the flash chip failed and says so.
bool board_flash_read(uint32_t offset, void *to, uint32_t bytes);
bool board_flash_erase(uint32_t offset); // a sector, which begins there
// from: 4-byte aligned, in RAM. bytes: a multiple of 4, within a sector.
bool board_flash_program(uint32_t offset, const void *from, uint32_t bytes);

// The file to go on from: whether there is one, and its bytes; false where it ends before them.
bool board_file_is_given(void);
bool board_file_read(uint32_t offset, void *to, uint32_t bytes);

// The same bytes where they can be read like memory, for as long as nothing is written there: of the file as many as said, from its
// start, of flash those from an offset on. NULL: there are not as many, or they do not lie so.
const void *board_file_in_place(uint32_t bytes);
const void *board_flash_in_place(uint32_t offset);

// The file to save to: whether there is one; its bytes one after the other, from offset 0 on; and that they are all of it. Until then
// a file of that name stays what it was.
bool board_file_is_kept(void);
bool board_file_write(uint32_t offset, const void *from, uint32_t bytes);
bool board_file_keep(void);

#endif
