// SPDX-License-Identifier: MIT
#ifndef SIM_SIMCALL_H
#define SIM_SIMCALL_H

#include <stdint.h>

enum { SIMCALL_EXIT = 1, SIMCALL_READ = 3, SIMCALL_WRITE = 4, SIMCALL_OPEN = 5, SIMCALL_CLOSE = 6, SIMCALL_SEEK = 19, SIMCALL_SELECT_ONE = 29 };

// Asks the emulator for service `number`; returns its result, negative on failure.
int32_t simcall(uint32_t number, uintptr_t a, uintptr_t b, uintptr_t c);

#endif
