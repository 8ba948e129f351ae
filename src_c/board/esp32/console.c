// SPDX-License-Identifier: MIT
#include "board/esp32/console.h"

#include "board/board.h"
#include "board/esp32/registers.h"

// A byte written through the AHB may be counted late, so the last ones of the FIFO are left free.
enum { FIFO_LIMIT = UART_TXFIFO_BYTES - 8 };

void board_console_write(const char *text, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        while (UART_TXFIFO_CNT(UART0_STATUS) >= FIFO_LIMIT) {
        }
        UART0_FIFO_AHB = (uint8_t)text[i];
    }
}

void console_drain(void) {
    uint32_t status;
    do {
        status = UART0_STATUS;
    } while (UART_TXFIFO_CNT(status) > 0 || UART_ST_UTX_OUT(status) != 0);
}
