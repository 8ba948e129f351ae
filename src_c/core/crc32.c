// SPDX-License-Identifier: MIT
#include "core/crc32.h"

// Remainders of all 4-bit values for the reflected polynomial 0xEDB88320.
static const uint32_t remainders[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

uint32_t crc32_more(uint32_t crc, const void *data, uint32_t size_bytes) {
    const uint8_t *bytes = data;
    crc = ~crc;
    for (uint32_t i = 0; i < size_bytes; ++i) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ remainders[crc & 15];
        crc = (crc >> 4) ^ remainders[crc & 15];
    }
    return ~crc;
}

uint32_t crc32(const void *data, uint32_t size_bytes) { return crc32_more(0, data, size_bytes); }
