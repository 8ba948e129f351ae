// SPDX-License-Identifier: MIT
// The sequence of ESP-IDF's rtc_clk.c. Registers: Technical Reference Manual, "Reset and Clock"; the PLL's own registers,
// behind an internal I2C bus, are in no manual (ESP-IDF: regi2c_bbpll.h).
#include "board/esp32/clock.h"

#include "board/esp32/registers.h"

enum { BBPLL = 0x66, BBPLL_HOST = 4, SLOW_CLOCK_CYCLE_US = 10 };

enum bbpll_register {
    BBPLL_IR_CAL_DELAY = 0,
    BBPLL_IR_CAL_EXT_CAP = 1,
    BBPLL_OC_LREF = 2,
    BBPLL_OC_DIV_7_0 = 3,
    BBPLL_OC_ENB_FCAL = 4,
    BBPLL_OC_DCUR = 5,
    BBPLL_BBADC_DSMP = 9,
    BBPLL_OC_ENB_VCON = 10,
    BBPLL_ENDIV5 = 11,
    BBPLL_BBADC_CAL_7_0 = 12,
};

void rom_i2c_writeReg(uint32_t block, uint32_t host, uint32_t reg, uint32_t value);
void rom_update_cpu_frequency(uint32_t mhz); // what ets_delay_us() counts with
void rom_delay_us(uint32_t microseconds);

static void pll_write(enum bbpll_register reg, uint32_t value) { rom_i2c_writeReg(BBPLL, BBPLL_HOST, reg, value); }

void clock_wait_us(uint32_t microseconds) { rom_delay_us(microseconds); }

// The ROM has measured the crystal; only two kinds are sold with the chip.
static uint32_t crystal_mhz(void) {
    const uint32_t midway = 33000000u >> 12;
    const uint32_t measured = RTC_CNTL_STORE5 & 0xFFFF;
    return measured > 0 && measured < midway ? 26 : 40;
}

void clock_stop(void) {
    const uint32_t crystal = crystal_mhz();
    SYSCON_SYSCLK_CONF &= ~SYSCON_PRE_DIV_CNT;
    SYSCON_XTAL_TICK_CONF = crystal - 1;
    RTC_CNTL_CLK_CONF &= ~RTC_CNTL_SOC_CLK_SEL;
    rom_update_cpu_frequency(crystal);
    clock_wait_us(SLOW_CLOCK_CYCLE_US);
    RTC_CNTL_OPTIONS0 |= RTC_CNTL_BBPLL_FORCE_PD;
}

// vco_mhz: 480 or 320.
static void pll_start(uint32_t crystal, uint32_t vco_mhz) {
    ANA_CONFIG |= ANA_CONFIG_ALL;
    ANA_CONFIG &= ~ANA_CONFIG_BBPLL_OFF;
    RTC_CNTL_OPTIONS0 &= ~(RTC_CNTL_BIAS_I2C_FORCE_PD | RTC_CNTL_BBPLL_FORCE_PD);
    pll_write(BBPLL_IR_CAL_DELAY, 0x18);
    pll_write(BBPLL_IR_CAL_EXT_CAP, 0x20);
    pll_write(BBPLL_OC_ENB_FCAL, 0x9A);
    pll_write(BBPLL_OC_ENB_VCON, 0x00);
    pll_write(BBPLL_BBADC_CAL_7_0, 0x00);
    clock_wait_us(SLOW_CLOCK_CYCLE_US);

    const uint32_t bias = vco_mhz == 480 ? RTC_CNTL_DIG_DBIAS_WAK_1V25 : RTC_CNTL_DIG_DBIAS_WAK_1V10;
    RTC_CNTL_REG = (RTC_CNTL_REG & ~RTC_CNTL_DIG_DBIAS_WAK) | bias;
    clock_wait_us(3);

    pll_write(BBPLL_ENDIV5, vco_mhz == 480 ? 0xC3 : 0x43);
    pll_write(BBPLL_BBADC_DSMP, vco_mhz == 480 ? 0x74 : 0x84);
    if (crystal == 26) {
        pll_write(BBPLL_OC_LREF, 0xCC);
        pll_write(BBPLL_OC_DIV_7_0, vco_mhz == 480 ? 144 : 224);
        pll_write(BBPLL_OC_DCUR, 0x40);
    } else {
        pll_write(BBPLL_OC_LREF, 0x00);
        pll_write(BBPLL_OC_DIV_7_0, vco_mhz == 480 ? 28 : 32);
        pll_write(BBPLL_OC_DCUR, 0xC6);
    }
    clock_wait_us(160); // twice what calibration takes with the slow clock of 150 kHz
}

struct clock clock_start(void) {
    clock_stop(); // the chip may have been reset while it ran from the PLL
    const uint32_t crystal = crystal_mhz();
    const uint32_t fuses = EFUSE_BLK0_RDATA3;
    const uint32_t cpu = (fuses & EFUSE_RATED_160_MHZ) == EFUSE_RATED_160_MHZ ? 160 : 240;
    pll_start(crystal, cpu == 240 ? 480 : 320);
    DPORT_CPU_PER_CONF = cpu == 240 ? 2 : 1;
    SYSCON_PLL_TICK_CONF = APB_MHZ - 1;
    RTC_CNTL_CLK_CONF = (RTC_CNTL_CLK_CONF & ~RTC_CNTL_SOC_CLK_SEL) | RTC_CNTL_SOC_CLK_SEL_PLL;
    rom_update_cpu_frequency(cpu);
    clock_wait_us(SLOW_CLOCK_CYCLE_US + 30);
    return (struct clock){.crystal_mhz = crystal, .cpu_mhz = cpu};
}
