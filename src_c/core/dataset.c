// SPDX-License-Identifier: MIT
#include "core/dataset.h"

#include <stdbool.h>

#include "core/crc32.h"

static bool are_code_points(const uint32_t *characters, uint32_t count) {
    uint32_t least = 0;
    for (uint32_t i = 0; i < count; ++i) {
        if (characters[i] < least || characters[i] > 0x10ffff) {
            return false;
        }
        least = characters[i] + 1;
    }
    return true;
}

// Whether the documents follow each other from the first token to the last.
static bool are_offsets(const uint32_t *offsets, uint32_t documents, uint32_t tokens) {
    for (uint32_t i = 0; i < documents; ++i) {
        if (offsets[i] > offsets[i + 1]) {
            return false;
        }
    }
    return offsets[0] == 0 && offsets[documents] == tokens;
}

static bool are_tokens(const uint8_t *tokens, uint32_t count, uint32_t characters) {
    for (uint32_t i = 0; i < count; ++i) {
        if (tokens[i] >= characters) {
            return false;
        }
    }
    return true;
}

enum dataset_error dataset_open(const void *address, uint32_t capacity, struct dataset *dataset) {
    const struct dataset_header *header = address;
    if (capacity < sizeof(*header) || header->magic != DATASET_MAGIC) {
        return DATASET_MISSING;
    }
    if (header->version != DATASET_VERSION) {
        return DATASET_OTHER_FORMAT;
    }
    if (header->characters < 1 || header->characters >= DATASET_MOST_VOCABULARY) {
        return DATASET_OTHER_ALPHABET;
    }
    if (header->documents < 1 || header->documents > DATASET_MOST_DOCUMENTS) {
        return header->documents < 1 ? DATASET_EMPTY : DATASET_TOO_LARGE;
    }
    if (header->size_bytes > capacity) {
        return DATASET_CUT_SHORT;
    }
    const uint32_t words = header->characters + header->documents + 1;
    const uint32_t tokens_at = (uint32_t)(sizeof(*header) + sizeof(uint32_t) * words); // below 2^19, for documents are
    if (header->size_bytes < tokens_at || header->size_bytes - tokens_at < header->tokens ||
        header->size_bytes - tokens_at - header->tokens > 3) {
        return DATASET_WRONG_SIZE;
    }
    if (crc32(header + 1, header->size_bytes - (uint32_t)sizeof(*header)) != header->crc32) {
        return DATASET_WRONG_CHECKSUM;
    }
    dataset->documents = header->documents;
    dataset->vocab_size = header->characters + 1;
    dataset->characters = (const uint32_t *)(header + 1);
    dataset->offsets = dataset->characters + header->characters;
    dataset->tokens = (const uint8_t *)address + tokens_at;
    if (!are_code_points(dataset->characters, header->characters)) {
        return DATASET_WRONG_CHARACTERS;
    }
    if (!are_offsets(dataset->offsets, header->documents, header->tokens)) {
        return DATASET_WRONG_OFFSETS;
    }
    return are_tokens(dataset->tokens, header->tokens, header->characters) ? DATASET_OK : DATASET_WRONG_TOKENS;
}
