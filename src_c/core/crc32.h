// SPDX-License-Identifier: MIT
#ifndef CRC32_H
#define CRC32_H

#include <stdint.h>

// CRC-32 of size_bytes bytes, as zlib and Python's zlib.crc32 compute it.
uint32_t crc32(const void *data, uint32_t size_bytes);

#endif
