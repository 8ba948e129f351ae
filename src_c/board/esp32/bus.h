// SPDX-License-Identifier: MIT
// Every access to a peripheral goes through these two. Tests put a file of the same name before this one: a recorder.
#ifndef ESP32_BUS_H
#define ESP32_BUS_H

#include <stdint.h>

static inline uint32_t read_register(uint32_t address) { return *(volatile uint32_t *)address; }

static inline void write_register(uint32_t address, uint32_t value) { *(volatile uint32_t *)address = value; }

#endif
