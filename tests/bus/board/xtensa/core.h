// SPDX-License-Identifier: MIT
// In place of src_c/board/xtensa/core.h, for a processor that is not there.
#ifndef XTENSA_CORE_H
#define XTENSA_CORE_H

#include <stdbool.h>
#include <stdint.h>

uint32_t core_number(void);
uint32_t core_cycles(void);
bool core_wait_for(const volatile bool *flag, uint32_t cycles);
void core_enable_interrupts(uint32_t mask);
_Noreturn void core_halt(void);

#endif
