// SPDX-License-Identifier: MIT
#include "board/esp32/console.h"

#include "board/board.h"
#include "board/esp32/clock.h"
#include "board/esp32/registers.h"
#include "generated/run_config.h"

// A byte written through the AHB may be counted late, so the last ones of the FIFO are left free.
enum { FIFO_LIMIT = UART_FIFO_BYTES - 8 };

void console_start(void) {
    const uint32_t sixteenths = (APB_MHZ * 16000000u + CONSOLE_BAUD / 2) / CONSOLE_BAUD;
    write_register(UART0_CLKDIV, sixteenths >> 4 | (sixteenths & 15) << 20);
}

static void write_byte(char byte) {
    while (UART_TXFIFO_CNT(read_register(UART0_STATUS)) >= FIFO_LIMIT) {
    }
    write_register(UART0_FIFO_AHB, (uint8_t)byte);
}

void board_console_write(const char *text, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        if (text[i] == '\n') {
            write_byte('\r'); // as terminals want it
        }
        write_byte(text[i]);
    }
}

void console_drain(void) {
    uint32_t status;
    do {
        status = read_register(UART0_STATUS);
    } while (UART_TXFIFO_CNT(status) > 0 || UART_ST_UTX_OUT(status) != 0);
}

static bool byte_waits(void) {
    const uint32_t status = read_register(UART0_MEM_RX_STATUS);
    return UART_RX_READ(status) != UART_RX_WRITE(status) || UART_RXFIFO_CNT(read_register(UART0_STATUS)) >= UART_FIFO_BYTES;
}

bool board_key_pressed(void) {
    bool pressed = false;
    for (int i = 0; i < UART_FIFO_BYTES && byte_waits(); i++) {
        (void)read_register(UART0_FIFO);
        clock_wait_us(1); // the FIFO's addresses follow a read late
        pressed = true;
    }
    return pressed;
}
