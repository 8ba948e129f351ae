// SPDX-License-Identifier: MIT
#ifndef ESP32_SECOND_CORE_H
#define ESP32_SECOND_CORE_H

// Takes back board_stop_other_core(), which would outlast a software reset. To be followed by that reset at once: the other
// core begins with its ROM.
void other_core_release(void);

#endif
