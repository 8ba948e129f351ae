// SPDX-License-Identifier: MIT
// The packed data set, read where it lies (flash on the chip). site_scons/mgbuild/plan/dataset.py writes it.
#ifndef DATASET_H
#define DATASET_H

#include <stdint.h>

#define DATASET_MAGIC 0x5344474du // "MGDS"
#define DATASET_VERSION 1u
#define DATASET_MOST_DOCUMENTS 65535u // their numbers have 16 bits
#define DATASET_MOST_VOCABULARY 256u  // a token is one byte

struct dataset_header {
    uint32_t magic;
    uint32_t version;
    uint32_t size_bytes; // of the whole file
    uint32_t documents;
    uint32_t characters;
    uint32_t tokens;
    uint32_t crc32; // of everything after the header
    uint32_t reserved;
};

struct dataset {
    uint32_t documents; // 1 to DATASET_MOST_DOCUMENTS
    uint32_t vocab_size; // its characters and BOS, 2 to DATASET_MOST_VOCABULARY
    const uint32_t *characters; // code points, ascending; a token is an index into them
    const uint32_t *offsets;    // document i is tokens[offsets[i]] .. tokens[offsets[i + 1] - 1]
    const uint8_t *tokens;
};

// The identity of a text: the CRC-32 in its header.
static inline uint32_t dataset_crc32(const struct dataset *dataset) {
    return ((const struct dataset_header *)(const void *)dataset->characters - 1)->crc32;
}

enum dataset_error {
    DATASET_OK,
    DATASET_MISSING,
    DATASET_OTHER_FORMAT,
    DATASET_OTHER_ALPHABET, // no characters, or more than a byte can name besides BOS
    DATASET_EMPTY,          // no documents
    DATASET_TOO_LARGE,      // too many documents
    DATASET_CUT_SHORT,      // longer, by what it says, than can be read
    // It is damaged, or something else than the packer wrote it:
    DATASET_WRONG_SIZE, // its parts do not add up to it
    DATASET_WRONG_CHECKSUM,
    DATASET_WRONG_CHARACTERS, // no code points, or not ascending
    DATASET_WRONG_OFFSETS,    // documents do not follow each other from the first token to the last
    DATASET_WRONG_TOKENS,     // beyond the alphabet
};

// Checks everything about the data set at address (4-byte aligned, capacity bytes readable) that reading it relies on, and
// describes it in *dataset, which is meaningful only after DATASET_OK. Time is linear in its size.
enum dataset_error dataset_open(const void *address, uint32_t capacity, struct dataset *dataset);

#endif
