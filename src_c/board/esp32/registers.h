// SPDX-License-Identifier: MIT
#ifndef ESP32_REGISTERS_H
#define ESP32_REGISTERS_H

#include "board/esp32/bus.h"

// Addresses and fields of registers, as the ESP32 Technical Reference Manual names them, by chapter.

static inline void set_bits(uint32_t address, uint32_t bits) { write_register(address, read_register(address) | bits); }

static inline void clear_bits(uint32_t address, uint32_t bits) { write_register(address, read_register(address) & ~bits); }

// value: in its place, within mask.
static inline void write_field(uint32_t address, uint32_t mask, uint32_t value) {
    write_register(address, (read_register(address) & ~mask) | value);
}

// UART Controller. UART_FIFO is written through the AHB alias, for on revision 0 a quick second write to 0x3FF40000 is lost,
// and read at 0x3FF40000, for what the alias reads is undefined (errata CPU-3.3).
#define UART0_FIFO_AHB 0x60000000
#define UART0_INT_ENA 0x3FF4000C
#define UART0_INT_CLR 0x3FF40010
#define UART_RXFIFO_FULL_INT (1u << 0) // as many bytes wait as the threshold says
#define UART_RXFIFO_TOUT_INT (1u << 8) // some wait, and no more came for a time
#define UART_INT_ALL 0x7FFFFu
#define UART0_CONF1 0x3FF40024
#define UART_RX_TOUT_EN (1u << 31)
#define UART_RX_TOUT_THRHD(bytes) ((uint32_t)(bytes) << 24)
#define UART_RXFIFO_FULL_THRHD(bytes) ((uint32_t)(bytes))
#define UART0_CLKDIV 0x3FF40014 // of APB: whole part, from bit 20 on sixteenths
#define UART0_STATUS 0x3FF4001C
#define UART_TXFIFO_CNT(status) ((status) >> 16 & 0xFF)
#define UART_ST_UTX_OUT(status) ((status) >> 24 & 0xF) // 0 when the transmitter is idle
#define UART_FIFO_BYTES 128

// Timer Group: watchdog timer, and the count of crystal cycles within some of a slower clock.
#define TIMG0_WDTCONFIG0 0x3FF5F048
#define TIMG_WDT_EN (1u << 31)
#define TIMG_WDT_STG0_INTERRUPT (1u << 29)
#define TIMG_WDT_LEVEL_INT_EN (1u << 21)
#define TIMG0_WDTCONFIG1 0x3FF5F04C // from bit 16 on the divider of APB
#define TIMG0_WDTCONFIG2 0x3FF5F050 // ticks to the first stage
#define TIMG0_WDTFEED 0x3FF5F060
#define TIMG0_WDTWPROTECT 0x3FF5F064
#define TIMG0_INT_ENA 0x3FF5F098
#define TIMG0_INT_CLR 0x3FF5F0A4
#define TIMG_WDT_INT (1u << 2)
#define TIMG0_RTCCALICFG 0x3FF5F068
#define TIMG_RTC_CALI_START (1u << 31)
#define TIMG_RTC_CALI_MAX(cycles) ((uint32_t)(cycles) << 16)
#define TIMG_RTC_CALI_RDY (1u << 15)
#define TIMG_RTC_CALI_CLK_SEL_8M_D256 (1u << 13)
#define TIMG0_RTCCALICFG1 0x3FF5F06C
#define TIMG_RTC_CALI_VALUE(config1) ((config1) >> 7)

// RTC: Low-Power Management, RTC watchdog.
#define RTC_CNTL_WDTCONFIG0 0x3FF4808C
#define RTC_CNTL_WDT_EN (1u << 31)
#define RTC_CNTL_WDT_STG0_RESET_RTC (4u << 28) // the whole chip with its clocks
#define RTC_CNTL_WDT_LONG_RESET_PULSES (7u << 14 | 7u << 11)
#define RTC_CNTL_WDTCONFIG1 0x3FF48090 // cycles of the slow clock to the first stage
#define RTC_CNTL_WDTFEED 0x3FF480A0
#define RTC_CNTL_WDT_FEED (1u << 31)
#define RTC_CNTL_WDTWPROTECT 0x3FF480A4

#define WDT_WKEY 0x50D83AA1u  // lets the next writes to either watchdog through; any other value locks it

// RTC: clocks, regulator, reset.
#define RTC_CNTL_OPTIONS0 0x3FF48000
#define RTC_CNTL_BBPLL_FORCE_PD (1u << 6 | 1u << 8 | 1u << 10) // BB_I2C, BBPLL_I2C, BBPLL
#define RTC_CNTL_SW_CPU_RST(cpu) (1u << ((cpu) == 0 ? 5 : 4)) // PROCPU, APPCPU; read as 0
#define RTC_CNTL_SW_STALL_C0(cpu) (3u << ((cpu) == 0 ? 2 : 0))
#define RTC_CNTL_SW_STALLED_C0(cpu) (2u << ((cpu) == 0 ? 2 : 0)) // and ..._C1: in two registers, a code that stalls the core
#define RTC_CNTL_SW_CPU_STALL 0x3FF480AC
#define RTC_CNTL_SW_STALL_C1(cpu) (0x3Fu << ((cpu) == 0 ? 26 : 20))
#define RTC_CNTL_SW_STALLED_C1(cpu) (0x21u << ((cpu) == 0 ? 26 : 20))
#define RTC_CNTL_BIAS_I2C_FORCE_PD (1u << 18)
#define RTC_CNTL_RESET_STATE 0x3FF48034
#define RTC_CNTL_RESET_CAUSE_PROCPU(state) ((state) & 0x3F)
#define RTC_CNTL_STORE0 0x3FF4804C // kept where the digital core alone is reset
#define RTC_CNTL_STORE5 0x3FF480B4 // APB as the ROM found it, from the crystal: Hz / 4096 in both halves
#define RTC_CNTL_TIMER1 0x3FF4801C
#define RTC_CNTL_CK8M_WAIT (0xFFu << 6)
#define RTC_CNTL_CLK_CONF 0x3FF48070
#define RTC_CNTL_SOC_CLK_SEL (3u << 27)
#define RTC_CNTL_SOC_CLK_SEL_PLL (1u << 27)
#define RTC_CNTL_CK8M_DFREQ (0xFFu << 17)
#define RTC_CNTL_DIG_CLK8M_D256_EN (1u << 9)
#define RTC_CNTL_CK8M_OFF (1u << 7 | 1u << 6) // ENB_CK8M_DIV, ENB_CK8M
#define RTC_CNTL_REG 0x3FF4807C
#define RTC_CNTL_SCK_DCAP (0xFFu << 14)
#define RTC_CNTL_DIG_DBIAS_WAK (7u << 11)
#define RTC_CNTL_DIG_DBIAS_WAK_1V10 (4u << 11)
#define RTC_CNTL_DIG_DBIAS_WAK_1V25 (7u << 11)
#define RTC_CNTL_BROWN_OUT 0x3FF480D4
#define RTC_CNTL_BROWN_OUT_ENA (1u << 30)
#define RTC_CNTL_DBROWN_OUT_THRES_2V43 (0u << 27)
#define RTC_CNTL_BROWN_OUT_RST_ENA (1u << 26)
#define RTC_CNTL_BROWN_OUT_RST_WAIT (0x3FFu << 16)
#define RTC_CNTL_BROWN_OUT_PD_RF_ENA (1u << 15)
#define RTC_CNTL_BROWN_OUT_CLOSE_FLASH_ENA (1u << 14)
#define RTC_CNTL_TEST_MUX 0x3FF480A8
#define RTC_CNTL_ENT_RTC (1u << 29)
#define RTC_CNTL_DTEST_RTC (3u << 30)
#define RTC_CNTL_DTEST_RTC_NOISE (2u << 30)
#define ANA_CONFIG 0x6000E044
#define ANA_CONFIG_ALL (0x3FFu << 8)
#define ANA_CONFIG_BBPLL_OFF (1u << 17)
#define DPORT_CPU_PER_CONF 0x3FF0003C
#define SYSCON_SYSCLK_CONF 0x3FF66000
#define SYSCON_PRE_DIV_CNT 0x3FFu
#define SYSCON_XTAL_TICK_CONF 0x3FF66004 // MHz, less one
#define SYSCON_PLL_TICK_CONF 0x3FF66008

// eFuse and the other marks of the chip's revision.
#define EFUSE_BLK0_RDATA3 0x3FF5A00C
#define EFUSE_DISABLE_APP_CPU (1u << 0) // a chip with one core
#define EFUSE_RATED_160_MHZ (3u << 12)
#define EFUSE_CHIP_VER_REV1 (1u << 15)
#define EFUSE_BLK0_RDATA5 0x3FF5A014
#define EFUSE_CHIP_VER_REV2 (1u << 20)
#define EFUSE_SPI_PAD_CONFIG 0xFFFFFu // the pins of flash, where they are not the usual ones
#define SYSCON_DATE 0x3FF6607C
#define SYSCON_DATE_REV3 (1u << 31)

// Random Number Generator, and the ADC, SYSCON and I2S registers that feed it noise (random.c).
#define RNG_DATA 0x60035144
#define DPORT_WIFI_CLK_EN 0x3FF000CC
#define DPORT_WIFI_CLK_RNG (1u << 15)
#define DPORT_PERIP_CLK_EN 0x3FF000C0
#define DPORT_PERIP_RST_EN 0x3FF000C4
#define DPORT_PERIP_I2S0 (1u << 4) // in both
#define SENS_SAR_READ_CTRL 0x3FF48800
#define SENS_SAR1_DIG_FORCE (1u << 27)
#define SENS_SAR_MEAS_WAIT2 0x3FF4880C
#define SENS_FORCE_XPD_SAR (3u << 18)
#define SENS_SAR_START_FORCE 0x3FF4882C
#define SENS_SAR2_EN_TEST (1u << 4)
#define SENS_ULP_CP_START (1u << 8 | 1u << 9)
#define SENS_SAR_READ_CTRL2 0x3FF48890
#define SENS_SAR2_DIG_FORCE (1u << 28)
#define SYSCON_SARADC_CTRL 0x3FF66010
#define SYSCON_SARADC_SAR2_MUX (1u << 2)
#define SYSCON_SARADC_WORK_MODE (3u << 3)
#define SYSCON_SARADC_SAR_SEL (1u << 5)
#define SYSCON_SARADC_CLK_DIV (0xFFu << 7)
#define SYSCON_SARADC_DATA_SAR_SEL (1u << 25)
#define SYSCON_SARADC_DATA_TO_I2S (1u << 26)
#define SYSCON_SARADC_FSM 0x3FF66018
#define SYSCON_SARADC_START_WAIT (0xFFu << 16)
#define SYSCON_SARADC_RSTB_WAIT 0xFFu
#define SYSCON_SARADC_SAR2_PATT_TAB(word) (0x3FF6602Cu + 4 * (word)) // four
#define I2S0_CONF 0x3FF4F008
#define I2S_RX_START (1u << 5)
#define I2S_RX_RESET (1u << 1)
#define I2S0_CONF2 0x3FF4F0A8
#define I2S_CAMERA_EN (1u << 0)
#define I2S_LCD_EN (1u << 5)
#define I2S_DATA_ENABLE (1u << 4)
#define I2S_DATA_ENABLE_TEST_EN (1u << 3)
#define I2S0_SAMPLE_RATE_CONF 0x3FF4F0B0
#define I2S_RX_BCK_DIV_NUM (0x3Fu << 6)

// SPI Controller: SPI0 is the cache's way to flash, SPI1 the program's.
#define SPI1_CMD 0x3FF42000
#define SPI_FLASH_RDID (1u << 28) // reads the JEDEC id; 0 again when it is there
#define SPI1_CTRL2 0x3FF42014
#define SPI1_CLOCK 0x3FF42018
#define SPI_CLOCK_QUARTER_APB (3u << 12 | 1u << 6 | 3u) // CLKCNT_N, CLKCNT_H, CLKCNT_L
#define SPI1_USER 0x3FF4201C
#define SPI_USR_COMMAND (1u << 31)
#define SPI1_W0 0x3FF42080
#define SPI0_CTRL2 0x3FF43014
#define SPI_HOLD_TIME (0xFu << 4)
#define SPI_SETUP_TIME 0xFu
#define SPI0_CLOCK 0x3FF43018
#define SPI_CLK_EQU_SYSCLK (1u << 31)
#define SPI_CLKCNT_N(clock) ((clock) >> 12 & 0x3F) // divider of APB, less one
#define SPI0_USER 0x3FF4301C
#define SPI_CS_SETUP (1u << 5)
#define SPI_CS_HOLD (1u << 4)
#define SPI0_USER1 0x3FF43020
#define SPI_USR_DUMMY_CYCLELEN 0xFFu
#define IO_MUX_SD_CLK 0x3FF49060
#define IO_MUX_FUN_DRV (3u << 10)

// Interrupt Matrix of each CPU.
#define DPORT_PRO_TG_WDT_LEVEL_INT_MAP 0x3FF00144
#define DPORT_APP_TG_WDT_LEVEL_INT_MAP 0x3FF00258
#define DPORT_PRO_UART_INTR_MAP 0x3FF0018C

// System Registers (DPORT): the APP CPU.
#define DPORT_APPCPU_CTRL_A 0x3FF0002C
#define DPORT_APPCPU_RESETTING (1u << 0)
#define DPORT_APPCPU_CTRL_B 0x3FF00030
#define DPORT_APPCPU_CLKGATE_EN (1u << 0)
#define DPORT_APPCPU_CTRL_C 0x3FF00034
#define DPORT_APPCPU_RUNSTALL (1u << 0)
#define DPORT_APPCPU_CTRL_D 0x3FF00038 // where its ROM jumps to, once that is not 0

// System Registers (DPORT) and Memory Management: the flash cache of each CPU.
#define DPORT_APP_CACHE_CTRL 0x3FF00058
#define DPORT_CACHE_ENABLE (1u << 3)
#define DPORT_PRO_CACHE_CTRL1 0x3FF00044
#define DPORT_APP_CACHE_CTRL1 0x3FF0005C
#define DPORT_CACHE_MASK_DROM0 (1u << 4)  // in both
#define DPORT_APP_CACHE_MMU_IA_CLR (1u << 13)
#define DPORT_PRO_FLASH_MMU_TABLE 0x3FF10000
#define DPORT_APP_FLASH_MMU_TABLE 0x3FF12000
#define DPORT_FLASH_MMU_TABLE_SIZE 256
#define DPORT_FLASH_MMU_INVALID 0x100

#endif
