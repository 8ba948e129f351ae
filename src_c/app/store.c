// SPDX-License-Identifier: MIT
#include "app/store.h"

#include <stddef.h>

#include "board/board.h"
#include "core/crc32.h"
#include "text/print.h"

enum { SLOTS = 2, CLAIMS = FLASH_PAGE_BYTES / 4, CHUNK_BYTES = 64 };

// What is read at a time, and what is copied before it is programmed: as much as the stack has room for without growing.
union chunk {
    uint32_t words[CHUNK_BYTES / 4];
    uint8_t bytes[CHUNK_BYTES];
};
_Static_assert(FLASH_SECTOR_BYTES % CHUNK_BYTES == 0, "no chunk reaches over the end of a sector");
_Static_assert(CHECKPOINT_HEADER_BYTES == FLASH_PAGE_BYTES, "the header is programmed at once");

void print_store_error(enum store_error error) {
    switch (error) {
    case STORE_OK:
        break;
    case STORE_NOWHERE:
        print_text("there is no place for checkpoints: checkpoint=FILE names one");
        break;
    case STORE_TOO_SMALL:
        print_text("the model is too large for a checkpoint in this flash, of ");
        print_unsigned(store_room(), 1);
        print_text(" bytes at most");
        break;
    case STORE_PROTECTED:
        print_text("the flash chip is write-protected; the checkpoint before stays");
        break;
    case STORE_FAILED:
        print_text("the checkpoint could not be written; the one before stays");
        break;
    }
}

static uint32_t slot_bytes(void) {
    const uint32_t sectors = board_flash_bytes() / FLASH_SECTOR_BYTES / SLOTS;
    return sectors * FLASH_SECTOR_BYTES;
}

static uint32_t offset_of(enum store_place slot) { return slot == SLOT_0 ? 0 : slot_bytes(); }

static uint32_t claims_offset(enum store_place slot) { return offset_of(slot) + slot_bytes() - FLASH_PAGE_BYTES; }

// All but the sector of the claims, which must not be the header's.
uint32_t store_room(void) { return slot_bytes() >= 2 * FLASH_SECTOR_BYTES ? slot_bytes() - FLASH_SECTOR_BYTES : 0; }

// From the first sector behind the data set on, as site_scons/mgbuild/device/transfer.py has it.
static const uint8_t *behind_text(uint32_t *bytes) {
    uint32_t capacity;
    const struct dataset_header *header = board_dataset(&capacity);
    const uint32_t sectors = (header->size_bytes + FLASH_SECTOR_BYTES - 1) / FLASH_SECTOR_BYTES;
    const uint32_t taken = sectors * FLASH_SECTOR_BYTES;
    *bytes = taken < capacity ? capacity - taken : 0;
    return (const uint8_t *)header + taken;
}

static bool read_behind_text(uint32_t offset, uint8_t *to, uint32_t bytes) {
    uint32_t room;
    const uint8_t *from = behind_text(&room);
    if (offset > room || bytes > room - offset) {
        return false;
    }
    for (uint32_t i = 0; i < bytes; ++i) {
        to[i] = from[offset + i];
    }
    return true;
}

static bool read(enum store_place place, uint32_t offset, void *to, uint32_t bytes) {
    if (place == BEHIND_TEXT) {
        return read_behind_text(offset, to, bytes);
    }
    return place == GIVEN_FILE ? board_file_read(offset, to, bytes) : board_flash_read(offset_of(place) + offset, to, bytes);
}

static uint32_t chunk_at(uint32_t offset, uint32_t end) {
    return end - offset < CHUNK_BYTES ? end - offset : CHUNK_BYTES;
}

// Reads all parts and, unless it only looks, takes them to the places that they have.
static enum checkpoint_error read_parts(enum store_place place, const struct checkpoint *checkpoint, bool only_looks) {
    union chunk chunk;
    uint32_t crc = 0;
    bool is_ours = true;
    const uint32_t end = checkpoint->header.bytes;
    for (uint32_t offset = CHECKPOINT_HEADER_BYTES; offset < end; offset += CHUNK_BYTES) {
        const uint32_t bytes = chunk_at(offset, end);
        if (!read(place, offset, chunk.bytes, bytes)) {
            return CHECKPOINT_CUT_SHORT;
        }
        crc = crc32_more(crc, chunk.bytes, bytes);
        is_ours = (only_looks || checkpoint_put(checkpoint, offset, chunk.bytes, bytes)) && is_ours;
    }
    if (crc != checkpoint->header.body_crc32) {
        return CHECKPOINT_DAMAGED;
    }
    return is_ours ? CHECKPOINT_OK : CHECKPOINT_OTHER_ALPHABET;
}

enum checkpoint_error store_open(enum store_place place, const struct dataset *dataset, struct checkpoint *checkpoint) {
    if (!read(place, 0, &checkpoint->header, CHECKPOINT_HEADER_BYTES)) {
        return CHECKPOINT_MISSING;
    }
    const enum checkpoint_error error = checkpoint_check_header(checkpoint);
    if (error != CHECKPOINT_OK) {
        return error;
    }
    if (place <= SLOT_1 && checkpoint->header.bytes > store_room()) {
        return CHECKPOINT_CUT_SHORT;
    }
    if (dataset == NULL || checkpoint_compare(checkpoint, dataset)) {
        return read_parts(place, checkpoint, false);
    }
    checkpoint->part[PART_ALPHABET].start = NULL;
    const enum checkpoint_error found = read_parts(place, checkpoint, true);
    return found == CHECKPOINT_OK ? CHECKPOINT_OTHER_ALPHABET : found;
}

bool store_take(enum store_place place, const struct checkpoint *checkpoint) {
    return read_parts(place, checkpoint, false) == CHECKPOINT_OK;
}

const float *store_weights(enum store_place place, const struct checkpoint *checkpoint) {
    uint32_t room;
    const void *start = place == GIVEN_FILE    ? board_file_in_place(checkpoint->header.bytes)
                        : place == BEHIND_TEXT ? behind_text(&room)
                                               : board_flash_in_place(offset_of(place));
    return start != NULL ? (const float *)start + CHECKPOINT_HEADER_BYTES / sizeof(float) : NULL;
}

// How often a slot has claimed to be the newer one: the words programmed, from the first on.
static uint32_t claims_of(enum store_place slot) {
    uint32_t count = 0;
    uint32_t word;
    while (count < CLAIMS && board_flash_read(claims_offset(slot) + 4 * count, &word, 4) && word != 0xFFFFFFFFu) {
        ++count;
    }
    return count;
}

enum store_place store_newest(struct checkpoint *checkpoint, uint32_t *age) {
    uint32_t ages[SLOTS] = {0, 0};
    bool whole[SLOTS] = {false, false};
    for (uint32_t slot = SLOT_0; store_room() > 0 && slot < SLOTS; ++slot) {
        whole[slot] = store_open((enum store_place)slot, NULL, checkpoint) == CHECKPOINT_OK;
        ages[slot] = checkpoint->header.sequence + 2 * claims_of((enum store_place)slot);
    }
    while (whole[SLOT_0] || whole[SLOT_1]) {
        const bool second = whole[SLOT_1] && (!whole[SLOT_0] || ages[SLOT_1] > ages[SLOT_0]);
        const enum store_place newest = second ? SLOT_1 : SLOT_0;
        if (store_open(newest, NULL, checkpoint) == CHECKPOINT_OK) {
            *age = ages[newest];
            return newest;
        }
        whole[newest] = false; // what was being written when power failed may read differently each time
    }
    *age = 0;
    return NOWHERE;
}

// Programs what lies within a sector, and reads it back. bytes: a multiple of 16.
static bool write_checked(uint32_t offset, const void *from, uint32_t bytes) {
    uint32_t found[4];
    const uint32_t *wanted = from;
    bool same = board_flash_program(offset, from, bytes);
    for (uint32_t at = 0; same && at < bytes; at += sizeof(found)) {
        same = board_flash_read(offset + at, found, sizeof(found));
        for (uint32_t i = 0; same && i < sizeof(found) / sizeof(found[0]); ++i) {
            same = found[i] == *wanted++;
        }
    }
    return same;
}

// Programs all claims so far once more, and one further; of what is programmed together with them nothing changes.
static bool claim(enum store_place slot, uint32_t claims) {
    uint32_t four[4];
    bool done = true;
    for (uint32_t first = 0; done && first < claims; first += 4) {
        for (uint32_t i = 0; i < 4; ++i) {
            four[i] = first + i < claims ? 0 : 0xFFFFFFFFu;
        }
        done = write_checked(claims_offset(slot) + 4 * first, four, sizeof(four));
    }
    return done;
}

enum store_error store_prepare(struct store_target *target, struct checkpoint *scratch) {
    if (store_room() == 0) {
        *target = (struct store_target){GIVEN_FILE, 0};
        return board_file_is_kept() ? STORE_OK : STORE_NOWHERE;
    }
    if (board_flash_is_protected()) {
        return STORE_PROTECTED;
    }
    uint32_t age;
    const enum store_place newest = store_newest(scratch, &age);
    if (newest == NOWHERE) {
        *target = (struct store_target){SLOT_0, 1};
        return STORE_OK;
    }
    const uint32_t claims = claims_of(newest);
    const uint32_t next = claims < CLAIMS ? claims + 1 : CLAIMS;
    *target = (struct store_target){newest == SLOT_0 ? SLOT_1 : SLOT_0, scratch->header.sequence + 2 * next + 1};
    return write_checked(offset_of(newest), &scratch->header, CHECKPOINT_HEADER_BYTES) && claim(newest, next) ? STORE_OK : STORE_FAILED;
}

static bool erase(enum store_place slot, uint32_t bytes) {
    const uint32_t start = offset_of(slot);
    for (uint32_t offset = 0; offset < bytes; offset += FLASH_SECTOR_BYTES) {
        if (!board_flash_erase(start + offset)) {
            return false;
        }
    }
    return board_flash_erase(start + slot_bytes() - FLASH_SECTOR_BYTES) && claims_of(slot) == 0;
}

// Programs what lies at `from`, which may be flash itself, a stretch of a sector at a time.
static bool write_part(uint32_t offset, const uint32_t *from, uint32_t bytes, bool is_in_flash) {
    while (bytes > 0) {
        union chunk chunk;
        const uint32_t most = is_in_flash ? CHUNK_BYTES : FLASH_SECTOR_BYTES - offset % FLASH_SECTOR_BYTES;
        uint32_t taken = bytes < most ? bytes : most;
        if (is_in_flash) {
            const uint32_t to_border = CHUNK_BYTES - offset % CHUNK_BYTES;
            taken = taken < to_border ? taken : to_border;
            for (uint32_t i = 0; i < taken / 4; ++i) {
                chunk.words[i] = from[i];
            }
        }
        if (!board_flash_program(offset, is_in_flash ? chunk.words : from, taken)) {
            return false;
        }
        offset += taken;
        from += taken / 4;
        bytes -= taken;
    }
    return true;
}

// Programs all but the header, and reads it back.
static bool write_parts(enum store_place slot, const struct checkpoint *checkpoint) {
    uint32_t offset = offset_of(slot) + CHECKPOINT_HEADER_BYTES;
    for (uint32_t i = 0; i < CHECKPOINT_PARTS; ++i) {
        if (!write_part(offset, checkpoint->part[i].start, checkpoint->part[i].bytes, i == PART_ALPHABET)) {
            return false;
        }
        offset += checkpoint->part[i].bytes;
    }
    return read_parts(slot, checkpoint, true) == CHECKPOINT_OK;
}

static bool write_file(const struct checkpoint *checkpoint) {
    uint32_t offset = CHECKPOINT_HEADER_BYTES;
    bool written = board_file_write(0, &checkpoint->header, CHECKPOINT_HEADER_BYTES);
    for (uint32_t i = 0; written && i < CHECKPOINT_PARTS; ++i) {
        written = board_file_write(offset, checkpoint->part[i].start, checkpoint->part[i].bytes);
        offset += checkpoint->part[i].bytes;
    }
    return written && board_file_keep();
}

enum store_error store_write(const struct store_target *target, struct checkpoint *checkpoint) {
    checkpoint_number(checkpoint, target->sequence);
    if (target->place == GIVEN_FILE) {
        return write_file(checkpoint) ? STORE_OK : STORE_FAILED;
    }
    if (checkpoint->header.bytes > store_room()) {
        return STORE_TOO_SMALL;
    }
    const bool written = erase(target->place, checkpoint->header.bytes) && write_parts(target->place, checkpoint) &&
                         write_checked(offset_of(target->place), &checkpoint->header, CHECKPOINT_HEADER_BYTES);
    return written ? STORE_OK : STORE_FAILED;
}

// The older one first: should power fail, the newer is there still.
enum store_error store_forget(struct checkpoint *scratch) {
    uint32_t age;
    if (store_room() == 0) {
        return STORE_NOWHERE;
    }
    if (board_flash_is_protected()) {
        return STORE_PROTECTED;
    }
    const enum store_place newest = store_newest(scratch, &age);
    const enum store_place first = newest == SLOT_0 ? SLOT_1 : SLOT_0;
    const enum store_place last = first == SLOT_0 ? SLOT_1 : SLOT_0;
    return erase(first, FLASH_SECTOR_BYTES) && erase(last, FLASH_SECTOR_BYTES) ? STORE_OK : STORE_FAILED;
}
