// SPDX-License-Identifier: MIT
// Checkpoints where they are kept: in flash, in two slots, of which the newer valid one is never touched until the other is newer;
// or in a file.
//
// A slot holds a checkpoint as core/checkpoint.h has it, its header programmed last, and in its last sector claims: a word for each
// time that the slot, being the newer, was about to let the other one be erased. Power may fail anywhere, and what was being
// written or erased then may read differently each time, as the slot's old content, its new one or neither. So before the other
// slot is erased the newer one makes itself the newer whatever that reads: it programs its own header once more, for that may
// have been cut short, and claims a sequence number that beats the other's. sequence + 2 claims is a slot's age, and
// the next checkpoint's sequence is one more.
#ifndef STORE_H
#define STORE_H

#include "core/checkpoint.h"

// BEHIND_TEXT: flash between the data set and the slots, where push puts weights that no slot has room for; it is never written here.
enum store_place { SLOT_0, SLOT_1, GIVEN_FILE, BEHIND_TEXT, NOWHERE };

// Bytes of the largest checkpoint that a slot holds; 0 without flash.
uint32_t store_room(void);

// Reads a checkpoint's header and finds whether all of it is whole, and then whether it is of this text's alphabet; dataset: NULL, no
// matter. The parts have lengths then, and no places.
enum checkpoint_error store_open(enum store_place place, const struct dataset *dataset, struct checkpoint *checkpoint);

// Takes the parts of what has been opened, and aimed, to their places. False: they do not read as they did.
bool store_take(enum store_place place, const struct checkpoint *checkpoint);

// The weights of what has been opened, where they lie, to be read there; NULL: they cannot be.
const float *store_weights(enum store_place place, const struct checkpoint *checkpoint);

// The slot whose checkpoint is the newer of those that are whole, whatever their text, with its header in *checkpoint and *age;
// NOWHERE: neither is.
enum store_place store_newest(struct checkpoint *checkpoint, uint32_t *age);

enum store_error {
    STORE_OK,
    STORE_NOWHERE,   // neither flash nor file
    STORE_TOO_SMALL, // a slot, for this checkpoint
    STORE_PROTECTED, // the flash
    STORE_FAILED,    // what was written does not read so, or not at all
};

// Why it is not: half a sentence on the console.
void print_store_error(enum store_error error);

// Where the next checkpoint goes, and its sequence number there.
struct store_target {
    enum store_place place;
    uint32_t sequence;
};

// Finds a place for a checkpoint, and sees to it that what is in the other stays. scratch: its contents are lost.
enum store_error store_prepare(struct store_target *target, struct checkpoint *scratch);

// Writes the checkpoint there; when that has failed, the one before is the newest still.
enum store_error store_write(const struct store_target *target, struct checkpoint *checkpoint);

// Erases both slots' checkpoints.
enum store_error store_forget(struct checkpoint *scratch);

#endif
