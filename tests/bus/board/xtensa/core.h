// SPDX-License-Identifier: MIT
// In place of src_c/board/xtensa/core.h, for a processor that is not there.
#ifndef XTENSA_CORE_H
#define XTENSA_CORE_H

#include <stdint.h>

uint32_t core_cycles(void);
void core_enable_interrupts(uint32_t mask);
_Noreturn void core_halt(void);

#endif
