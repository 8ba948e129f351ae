// SPDX-License-Identifier: MIT
// In place of src_c/board/esp32/bus.h: every access goes to the recorder.
#ifndef ESP32_BUS_H
#define ESP32_BUS_H

#include <stdint.h>

uint32_t read_register(uint32_t address);
void write_register(uint32_t address, uint32_t value);

#endif
