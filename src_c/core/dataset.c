// SPDX-License-Identifier: MIT
#include "core/dataset.h"

#include "core/crc32.h"
#include "core/model.h"

enum dataset_error dataset_open(const void *address, struct dataset *dataset) {
    const struct dataset_header *header = address;
    if (header->magic != DATASET_MAGIC) {
        return DATASET_NO_MAGIC;
    }
    if (header->version != DATASET_VERSION) {
        return DATASET_OTHER_VERSION;
    }
    if (header->characters + 1 != VOCAB_SIZE || header->documents < 1 || header->documents > NUM_DOCS) {
        return DATASET_OTHER_MODEL;
    }
    dataset->documents = header->documents;
    dataset->characters = (const uint32_t *)(header + 1);
    dataset->offsets = dataset->characters + header->characters;
    dataset->tokens = (const uint8_t *)(dataset->offsets + header->documents + 1);
    const uint32_t least_bytes = (uint32_t)(dataset->tokens - (const uint8_t *)address) + header->tokens;
    if (header->size_bytes < least_bytes || header->size_bytes - least_bytes > 3) {
        return DATASET_DAMAGED;
    }
    return crc32(header + 1, header->size_bytes - (uint32_t)sizeof(*header)) == header->crc32 ? DATASET_OK
                                                                                             : DATASET_DAMAGED;
}
