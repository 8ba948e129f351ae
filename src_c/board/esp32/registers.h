// SPDX-License-Identifier: MIT
#ifndef ESP32_REGISTERS_H
#define ESP32_REGISTERS_H

#include <stdint.h>

// Registers as the ESP32 Technical Reference Manual names them, by chapter.

#define REGISTER(address) (*(volatile uint32_t *)(address))

// UART Controller. UART_FIFO is written through the AHB alias, for on revision 0 a quick second write to 0x3FF40000 is lost,
// and read at 0x3FF40000, for what the alias reads is undefined (errata CPU-3.3).
#define UART0_FIFO REGISTER(0x3FF40000)
#define UART0_FIFO_AHB REGISTER(0x60000000)
#define UART0_CLKDIV REGISTER(0x3FF40014) // of APB: whole part, from bit 20 on sixteenths
#define UART0_STATUS REGISTER(0x3FF4001C)
#define UART_TXFIFO_CNT(status) ((status) >> 16 & 0xFF)
#define UART_ST_UTX_OUT(status) ((status) >> 24 & 0xF) // 0 when the transmitter is idle
#define UART_RXFIFO_CNT(status) ((status) & 0xFF)      // wrong at times (errata UART-3.17); 0 or 128 where the addresses are equal
#define UART0_MEM_RX_STATUS REGISTER(0x3FF40060)
#define UART_RX_READ(status) ((status) >> 2 & 0x7FF)
#define UART_RX_WRITE(status) ((status) >> 13 & 0x7FF)
#define UART_FIFO_BYTES 128

// Timer Group, watchdog timer.
#define TIMG0_WDTCONFIG0 REGISTER(0x3FF5F048)
#define TIMG_WDT_EN (1u << 31)
#define TIMG_WDT_STG0_RESET_SYSTEM (3u << 29)
#define TIMG_WDT_LONG_RESET_PULSES (7u << 18 | 7u << 15)
#define TIMG0_WDTCONFIG1 REGISTER(0x3FF5F04C) // from bit 16 on the divider of APB
#define TIMG0_WDTCONFIG2 REGISTER(0x3FF5F050) // ticks to the first stage
#define TIMG0_WDTFEED REGISTER(0x3FF5F060)
#define TIMG0_WDTWPROTECT REGISTER(0x3FF5F064)

// RTC: Low-Power Management, RTC watchdog.
#define RTC_CNTL_WDTCONFIG0 REGISTER(0x3FF4808C)
#define RTC_CNTL_WDTWPROTECT REGISTER(0x3FF480A4)

#define WDT_WKEY 0x50D83AA1u  // lets the next writes to either watchdog through; any other value locks it

// RTC: clocks, regulator, reset.
#define RTC_CNTL_OPTIONS0 REGISTER(0x3FF48000)
#define RTC_CNTL_BBPLL_FORCE_PD (1u << 6 | 1u << 8 | 1u << 10) // BB_I2C, BBPLL_I2C, BBPLL
#define RTC_CNTL_BIAS_I2C_FORCE_PD (1u << 18)
#define RTC_CNTL_RESET_STATE REGISTER(0x3FF48034)
#define RTC_CNTL_RESET_CAUSE_PROCPU(state) ((state) & 0x3F)
#define RTC_CNTL_STORE0 REGISTER(0x3FF4804C) // kept by every reset but that of power
#define RTC_CNTL_STORE1 REGISTER(0x3FF48050)
#define RTC_CNTL_STORE5 REGISTER(0x3FF480B4) // the ROM's measure of the crystal: Hz / 4096 in both halves
#define RTC_CNTL_CLK_CONF REGISTER(0x3FF48070)
#define RTC_CNTL_SOC_CLK_SEL (3u << 27)
#define RTC_CNTL_SOC_CLK_SEL_PLL (1u << 27)
#define RTC_CNTL_REG REGISTER(0x3FF4807C)
#define RTC_CNTL_DIG_DBIAS_WAK (7u << 11)
#define RTC_CNTL_DIG_DBIAS_WAK_1V10 (4u << 11)
#define RTC_CNTL_DIG_DBIAS_WAK_1V25 (7u << 11)
#define RTC_CNTL_TEST_MUX REGISTER(0x3FF480A8)
#define RTC_CNTL_ENT_RTC (1u << 29)
#define RTC_CNTL_DTEST_RTC (3u << 30)
#define RTC_CNTL_DTEST_RTC_NOISE (2u << 30)
#define ANA_CONFIG REGISTER(0x6000E044)
#define ANA_CONFIG_ALL (0x3FFu << 8)
#define ANA_CONFIG_BBPLL_OFF (1u << 17)
#define DPORT_CPU_PER_CONF REGISTER(0x3FF0003C)
#define SYSCON_SYSCLK_CONF REGISTER(0x3FF66000)
#define SYSCON_PRE_DIV_CNT 0x3FFu
#define SYSCON_XTAL_TICK_CONF REGISTER(0x3FF66004) // MHz, less one
#define SYSCON_PLL_TICK_CONF REGISTER(0x3FF66008)

// eFuse and the other marks of the chip's revision.
#define EFUSE_BLK0_RDATA3 REGISTER(0x3FF5A00C)
#define EFUSE_RATED_160_MHZ (3u << 12)
#define EFUSE_CHIP_VER_REV1 (1u << 15)
#define EFUSE_BLK0_RDATA5 REGISTER(0x3FF5A014)
#define EFUSE_CHIP_VER_REV2 (1u << 20)
#define SYSCON_DATE REGISTER(0x3FF6607C)
#define SYSCON_DATE_REV3 (1u << 31)

// Random Number Generator, and the ADC, SYSCON and I2S registers that feed it noise (random.c).
#define RNG_DATA REGISTER(0x60035144)
#define DPORT_WIFI_CLK_EN REGISTER(0x3FF000CC)
#define DPORT_WIFI_CLK_RNG (1u << 15)
#define DPORT_PERIP_CLK_EN REGISTER(0x3FF000C0)
#define DPORT_PERIP_CLK_I2S0 (1u << 4)
#define SENS_SAR_READ_CTRL REGISTER(0x3FF48800)
#define SENS_SAR1_DIG_FORCE (1u << 27)
#define SENS_SAR_MEAS_WAIT2 REGISTER(0x3FF4880C)
#define SENS_FORCE_XPD_SAR (3u << 18)
#define SENS_SAR_START_FORCE REGISTER(0x3FF4882C)
#define SENS_SAR2_EN_TEST (1u << 4)
#define SENS_ULP_CP_START (1u << 8 | 1u << 9)
#define SENS_SAR_READ_CTRL2 REGISTER(0x3FF48890)
#define SENS_SAR2_DIG_FORCE (1u << 28)
#define SYSCON_SARADC_CTRL REGISTER(0x3FF66010)
#define SYSCON_SARADC_SAR2_MUX (1u << 2)
#define SYSCON_SARADC_WORK_MODE (3u << 3)
#define SYSCON_SARADC_SAR_SEL (1u << 5)
#define SYSCON_SARADC_CLK_DIV (0xFFu << 7)
#define SYSCON_SARADC_DATA_SAR_SEL (1u << 25)
#define SYSCON_SARADC_DATA_TO_I2S (1u << 26)
#define SYSCON_SARADC_FSM REGISTER(0x3FF66018)
#define SYSCON_SARADC_SAR2_PATT_TAB ((volatile uint32_t *)0x3FF6602C) // four words
#define I2S0_CONF REGISTER(0x3FF4F008)
#define I2S_RX_START (1u << 5)
#define I2S0_CONF2 REGISTER(0x3FF4F0A8)
#define I2S_CAMERA_EN (1u << 0)
#define I2S_LCD_EN (1u << 5)
#define I2S_DATA_ENABLE (1u << 4)
#define I2S_DATA_ENABLE_TEST_EN (1u << 3)
#define I2S0_SAMPLE_RATE_CONF REGISTER(0x3FF4F0B0)
#define I2S_RX_BCK_DIV_NUM (0x3Fu << 6)

// System Registers (DPORT) and Memory Management: the flash cache of the PRO CPU.
#define DPORT_PRO_CACHE_CTRL1 REGISTER(0x3FF00044)
#define DPORT_PRO_CACHE_MASK_DROM0 (1u << 4)
#define DPORT_PRO_FLASH_MMU_TABLE ((volatile uint32_t *)0x3FF10000)
#define DPORT_FLASH_MMU_TABLE_SIZE 256
#define DPORT_FLASH_MMU_INVALID 0x100

#endif
