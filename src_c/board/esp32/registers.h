// SPDX-License-Identifier: MIT
#ifndef ESP32_REGISTERS_H
#define ESP32_REGISTERS_H

#include <stdint.h>

// Registers as the ESP32 Technical Reference Manual names them, by chapter.

#define REGISTER(address) (*(volatile uint32_t *)(address))

// UART Controller. UART_FIFO is written through the AHB alias: on revision 0 a quick second write to 0x3FF40000 is lost.
#define UART0_FIFO_AHB REGISTER(0x60000000)
#define UART0_STATUS REGISTER(0x3FF4001C)
#define UART_TXFIFO_CNT(status) ((status) >> 16 & 0xFF)
#define UART_ST_UTX_OUT(status) ((status) >> 24 & 0xF)  // 0 when the transmitter is idle
#define UART_TXFIFO_BYTES 128

// Timer Group, watchdog timer.
#define TIMG0_WDTCONFIG0 REGISTER(0x3FF5F048)
#define TIMG0_WDTWPROTECT REGISTER(0x3FF5F064)

// RTC: Low-Power Management, RTC watchdog.
#define RTC_CNTL_WDTCONFIG0 REGISTER(0x3FF4808C)
#define RTC_CNTL_WDTWPROTECT REGISTER(0x3FF480A4)

#define WDT_WKEY 0x50D83AA1u  // lets the next writes to either watchdog through; any other value locks it

// System Registers (DPORT) and Memory Management: the flash cache of the PRO CPU.
#define DPORT_PRO_CACHE_CTRL1 REGISTER(0x3FF00044)
#define DPORT_PRO_CACHE_MASK_DROM0 (1u << 4)
#define DPORT_PRO_FLASH_MMU_TABLE ((volatile uint32_t *)0x3FF10000)
#define DPORT_FLASH_MMU_TABLE_SIZE 256
#define DPORT_FLASH_MMU_INVALID 0x100

#endif
