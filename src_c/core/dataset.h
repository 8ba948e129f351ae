// SPDX-License-Identifier: MIT
// The packed data set, read where it lies (flash on the chip). site_scons/mgbuild/plan/dataset.py writes it.
#ifndef DATASET_H
#define DATASET_H

#include <stdint.h>

#define DATASET_MAGIC 0x5344474du // "MGDS"
#define DATASET_VERSION 1u

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
    uint32_t documents; // 1 to NUM_DOCS
    const uint32_t *characters; // code points, ascending; a token is an index into them
    const uint32_t *offsets;    // document i is tokens[offsets[i]] .. tokens[offsets[i + 1] - 1]
    const uint8_t *tokens;
};

enum dataset_error {
    DATASET_OK,
    DATASET_NO_MAGIC,
    DATASET_OTHER_VERSION,
    DATASET_OTHER_MODEL, // another number of characters than this firmware was built for, or too many documents
    DATASET_DAMAGED,
};

// Checks the data set at address (4-byte aligned) and describes it in *dataset.
enum dataset_error dataset_open(const void *address, struct dataset *dataset);

#endif
