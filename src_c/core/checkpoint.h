// SPDX-License-Identifier: MIT
// A checkpoint: all that a run needs to go on with the same bits, or its weights alone, as the same bytes wherever it is written:
// in a slot of the chip's flash, in a file of a PC, by Python (site_scons/microgpt/checkpoint.py). This file is the format.
//
// Little endian; every part is a multiple of 4 bytes, zeros filling the last word; one follows the other:
//   header             256      struct checkpoint_header; its last word is the CRC-32 of those before it, in every version
//   weights            4 P      float32, microgpt.py's state_dict in its order (core/model.h)
//   alphabet           4 (V-1)  code points, in the order of their tokens, V being vocab_size
// and where header.contents is CHECKPOINT_STATE:
//   first moments      4 P      float32, in the order of the weights, in the unit that header.schedule says
//   second moments     4 P
//   generator          2,496    MT19937's 624 words
//   order              2 n      uint16, the documents in the order of training, n = min(steps, documents)
//   seed               4 s      what random_seed() took, s = header.seed_words
//
// The weights lie at a fixed place, aligned to 4 bytes, so that they can be used where they are. What has only weights is
// generated from, on any text of the same alphabet; memory then holds activations alone. Training that begins with them has fresh moments.
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/learner.h"

#define CHECKPOINT_MAGIC 0x5043474du // "MGCP"
#define CHECKPOINT_VERSION 1u
#define CHECKPOINT_HEADER_BYTES 256u
#define CHECKPOINT_MOST_SEED_WORDS 4096u

enum checkpoint_contents { CHECKPOINT_WEIGHTS = 1, CHECKPOINT_STATE = 2 };

// What the program around a learner has to remember.
struct checkpoint_run {
    uint32_t options_crc32; // of what the program had been built to train; one built for something else starts that instead
    uint32_t seed_from_chip; // 1: seed=hw
    uint32_t samples;
    uint32_t log_every;
    float temperature;
    uint32_t samples_drawn;
    float first_loss;
    float last_losses;
    struct xoshiro aside;
};

// Without training state, what follows learning_rate is 0.
struct checkpoint_header {
    uint32_t magic;
    uint32_t version;
    uint32_t bytes;    // of header and parts
    uint32_t contents; // enum checkpoint_contents
    uint32_t sequence; // in flash, the higher is the newer; 0 in a file
    uint32_t body_crc32; // of what follows the header
    uint32_t text_crc32; // the text's identity: crc32 in its struct dataset_header
    uint32_t documents;  // of the text
    struct model_shape shape;
    uint32_t steps; // of training
    uint32_t step;  // taken
    float learning_rate;
    uint32_t document; // index into order of the next one
    struct adam_schedule schedule;
    uint32_t random_next; // index of the generator's next unused word
    uint32_t has_gauss;   // 1: gauss is the second value of the last pair
    float gauss;
    uint32_t seed_words;
    struct checkpoint_run run;
    uint32_t reserved[25]; // 0
    uint32_t crc32;
};
_Static_assert(sizeof(struct checkpoint_header) == CHECKPOINT_HEADER_BYTES, "a header fills a page of flash");

enum checkpoint_part {
    PART_WEIGHTS,
    PART_ALPHABET,
    PART_FIRST_MOMENTS,
    PART_SECOND_MOMENTS,
    PART_GENERATOR,
    PART_ORDER,
    PART_SEED,
    CHECKPOINT_PARTS
};

// A checkpoint as it lies in memory: no copy of the model. Of what is read but not yet accepted, parts have no places.
struct checkpoint {
    struct checkpoint_header header;
    struct {
        void *start; // aligned to 4 bytes
        uint32_t bytes;
    } part[CHECKPOINT_PARTS];
};

enum checkpoint_error {
    CHECKPOINT_OK,
    CHECKPOINT_MISSING,
    CHECKPOINT_DAMAGED_HEADER,
    CHECKPOINT_OTHER_VERSION,
    CHECKPOINT_CUT_SHORT, // longer, by what it says, than what can be read
    CHECKPOINT_DAMAGED,   // a checksum, or what no program of this format writes
    CHECKPOINT_OTHER_TEXT,
    CHECKPOINT_OTHER_ALPHABET, // of weights that were trained on another text
    CHECKPOINT_TOO_LARGE,      // for the memory, see plan_missing()
    CHECKPOINT_OTHER_OPTIONS,  // of a program that was built to train something else
    CHECKPOINT_LONG_SEED,      // longer than the program has room for
};

// Describes a learner that is not in the middle of a step. seed: its words, kept as long as the checkpoint is in use; NULL with
// CHECKPOINT_WEIGHTS. The header lacks what the program may have to say in header.run, and then its sequence number.
void checkpoint_describe(struct checkpoint *checkpoint, enum checkpoint_contents contents, struct learner *learner,
                         uint32_t *seed, uint32_t seed_words);

// Gives the header its sequence number, and the checksums of all: it is complete then, and not before.
void checkpoint_number(struct checkpoint *checkpoint, uint32_t sequence);

// Whether the header is one, and every number in it one that it can be; then finds the lengths of the parts.
enum checkpoint_error checkpoint_check_header(struct checkpoint *checkpoint);

// Whether what checkpoint_check_header() found right belongs to this text, and its seed fits into seed_room words; *request: what
// the learner is to be placed for, if memory has room.
enum checkpoint_error checkpoint_check_place(const struct checkpoint_header *header, const struct dataset *dataset,
                                             uint32_t seed_room, struct plan_request *request);

// Takes bytes of a checkpoint, from `offset` on, behind the header, to their places, those that have one; the alphabet is compared
// instead: false if it differs.
bool checkpoint_put(const struct checkpoint *checkpoint, uint32_t offset, const uint8_t *from, uint32_t bytes);

// Makes a text's alphabet the one to compare with. False: there are more or fewer characters in it.
bool checkpoint_compare(struct checkpoint *checkpoint, const struct dataset *dataset);

// Makes the places of the parts those of a learner that has been placed, or begun for CHECKPOINT_WEIGHTS. seed: as above.
void checkpoint_aim(struct checkpoint *checkpoint, struct learner *learner, uint32_t *seed);

// The rest of the learner from the header, once all parts have been put. False: an order of documents that no text has.
bool checkpoint_restore(const struct checkpoint_header *header, struct learner *learner);

#endif
