// SPDX-License-Identifier: MIT
#ifndef CRC32_H
#define CRC32_H

#include <stdint.h>

// CRC-32 of size_bytes bytes, as zlib and Python's zlib.crc32 compute it.
uint32_t crc32(const void *data, uint32_t size_bytes);

// The same of what crc is that of, followed by these bytes. crc: 0 for nothing.
uint32_t crc32_more(uint32_t crc, const void *data, uint32_t size_bytes);

#endif
