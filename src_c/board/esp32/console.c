// SPDX-License-Identifier: MIT
#include "board/esp32/console.h"

#include "board/board.h"
#include "board/esp32/clock.h"
#include "board/esp32/console_input.h"
#include "board/esp32/registers.h"
#include "board/xtensa/core.h"
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

// The processor's interrupt 19 is one of level 2 (ESP-IDF: core-isa.h); console_interrupt.S takes it.
enum { CONSOLE_INTERRUPT = 19, LATE_AFTER = 2 };

volatile struct console_input console_input;

// A byte comes as an interrupt, at once; the time-out is for hardware that waits for one more than the threshold.
void console_listen_start(void) {
    write_register(UART0_CONF1, UART_RX_TOUT_EN | UART_RX_TOUT_THRHD(LATE_AFTER) | UART_RXFIFO_FULL_THRHD(1));
    write_register(UART0_INT_CLR, UART_INT_ALL);
    write_register(UART0_INT_ENA, UART_RXFIFO_FULL_INT | UART_RXFIFO_TOUT_INT);
    write_register(DPORT_PRO_UART_INTR_MAP, CONSOLE_INTERRUPT);
    core_enable_interrupts(1u << CONSOLE_INTERRUPT);
    clock_wait_us(2 * UART_FIFO_BYTES);
    console_input.taken = console_input.written; // what came before the program could answer
}

int32_t board_console_read(void) {
    if (console_input.taken != console_input.written) {
        const uint8_t byte = console_input.bytes[console_input.taken % CONSOLE_INPUT_BYTES];
        ++console_input.taken;
        return byte;
    }
    if (console_input.lost != 0) {
        console_input.lost = 0;
        return INPUT_LOST;
    }
    return INPUT_NONE;
}
