// SPDX-License-Identifier: MIT
// The sequence of ESP-IDF's rtc_clk.c and rtc_clk_init.c. Registers: Technical Reference Manual, "Reset and Clock"; the PLL's
// own registers, behind an internal I2C bus, are in no manual (ESP-IDF: clk_tree_ll.h).
#include "board/esp32/clock.h"

#include "board/esp32/flash.h"
#include "board/esp32/registers.h"

enum { BBPLL = 0x66, BBPLL_HOST = 4 };

// One cycle of the slow clock takes 7 microseconds, 31 if an earlier program has set it to 32 kHz.
enum { SLOW_CLOCK_CYCLE_US = 31 };

// Assumed until more is known: what has to take a time takes at least that, and no clock becomes too fast.
enum { FASTEST_CRYSTAL_MHZ = 40 };

// The crystal is counted for ten cycles of 8.5 MHz / 256.
enum { CALIBRATION_CYCLES = 10, CALIBRATION_US = 301 };

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

static void run_from_crystal(uint32_t mhz) {
    rom_update_cpu_frequency(mhz);
    clear_bits(SYSCON_SYSCLK_CONF, SYSCON_PRE_DIV_CNT);
    write_register(SYSCON_XTAL_TICK_CONF, mhz - 1);
    clear_bits(RTC_CNTL_CLK_CONF, RTC_CNTL_SOC_CLK_SEL);
    write_field(RTC_CNTL_REG, RTC_CNTL_DIG_DBIAS_WAK, RTC_CNTL_DIG_DBIAS_WAK_1V10);
    clock_wait_us(SLOW_CLOCK_CYCLE_US);
}

void clock_stop(void) {
    run_from_crystal(FASTEST_CRYSTAL_MHZ);
    set_bits(RTC_CNTL_OPTIONS0, RTC_CNTL_BBPLL_FORCE_PD);
}

// The kind of crystal, of the two that are sold with the chip, or 0 if it can be neither. ESP-IDF's limits.
static uint32_t crystal_near(uint32_t mhz) { return mhz < 21 || mhz > 45 ? 0 : mhz < 34 ? 26 : 40; }

// Only the ROM of revision 3 leaves what it found, and a program that ran before may have left its own clock: 0 if the
// register holds no crystal.
static uint32_t crystal_of_rom(void) {
    const uint32_t stored = read_register(RTC_CNTL_STORE5);
    return stored >> 16 == (stored & 0xFFFF) ? crystal_near((stored & 0xFFFF) * 4096 / 1000000) : 0;
}

// By the internal 8.5 MHz oscillator, which is within 7 %; 0 if there is no result.
static uint32_t crystal_measured(void) {
    const uint32_t before = read_register(RTC_CNTL_CLK_CONF);
    write_register(RTC_CNTL_CLK_CONF, (before & ~RTC_CNTL_CK8M_OFF) | RTC_CNTL_DIG_CLK8M_D256_EN);
    write_field(RTC_CNTL_TIMER1, RTC_CNTL_CK8M_WAIT, 5u << 6);
    clock_wait_us(50);

    const uint32_t request = TIMG_RTC_CALI_CLK_SEL_8M_D256 | TIMG_RTC_CALI_MAX(CALIBRATION_CYCLES);
    write_register(TIMG0_RTCCALICFG, request);
    write_register(TIMG0_RTCCALICFG, request | TIMG_RTC_CALI_START);
    clock_wait_us(CALIBRATION_US);
    for (int i = 0; i < CALIBRATION_US && (read_register(TIMG0_RTCCALICFG) & TIMG_RTC_CALI_RDY) == 0; i++) {
        clock_wait_us(1);
    }
    const bool ready = (read_register(TIMG0_RTCCALICFG) & TIMG_RTC_CALI_RDY) != 0;
    const uint32_t counted = TIMG_RTC_CALI_VALUE(read_register(TIMG0_RTCCALICFG1));

    write_register(RTC_CNTL_CLK_CONF, before);
    return ready ? crystal_near(counted * 85 / (10 * 256 * CALIBRATION_CYCLES)) : 0;
}

static uint32_t crystal_mhz(void) {
    uint32_t crystal = crystal_of_rom();
    crystal = crystal != 0 ? crystal : crystal_measured();
    return crystal != 0 ? crystal : FASTEST_CRYSTAL_MHZ;
}

// vco_mhz: 480 or 320.
static void pll_start(uint32_t crystal, uint32_t vco_mhz) {
    set_bits(ANA_CONFIG, ANA_CONFIG_ALL);
    clear_bits(ANA_CONFIG, ANA_CONFIG_BBPLL_OFF);
    clear_bits(RTC_CNTL_OPTIONS0, RTC_CNTL_BIAS_I2C_FORCE_PD | RTC_CNTL_BBPLL_FORCE_PD);
    pll_write(BBPLL_IR_CAL_DELAY, 0x18);
    pll_write(BBPLL_IR_CAL_EXT_CAP, 0x20);
    pll_write(BBPLL_OC_ENB_FCAL, 0x9A);
    pll_write(BBPLL_OC_ENB_VCON, 0x00);
    pll_write(BBPLL_BBADC_CAL_7_0, 0x00);
    clock_wait_us(SLOW_CLOCK_CYCLE_US);

    const bool fast = vco_mhz == 480 || flash_runs_at_apb();
    write_field(RTC_CNTL_REG, RTC_CNTL_DIG_DBIAS_WAK, fast ? RTC_CNTL_DIG_DBIAS_WAK_1V25 : RTC_CNTL_DIG_DBIAS_WAK_1V10);
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
    clock_wait_us(160); // enough for calibration with a slow clock of 32 kHz too
}

void clock_tell_rom(void) { rom_update_cpu_frequency(read_register(DPORT_CPU_PER_CONF) == 2 ? 240 : 160); }

struct clock clock_start(void) {
    clock_stop(); // the chip may have been reset while it ran from the PLL
    write_field(RTC_CNTL_REG, RTC_CNTL_SCK_DCAP, 255u << 14);      // with these, the slow clock runs at 150 kHz
    write_field(RTC_CNTL_CLK_CONF, RTC_CNTL_CK8M_DFREQ, 172u << 17); // and the internal oscillator at 8.5 MHz
    const uint32_t crystal = crystal_mhz();
    run_from_crystal(crystal);
    const uint32_t fuses = read_register(EFUSE_BLK0_RDATA3);
    const uint32_t cpu = (fuses & EFUSE_RATED_160_MHZ) == EFUSE_RATED_160_MHZ ? 160 : 240;
    pll_start(crystal, cpu == 240 ? 480 : 320);
    write_register(DPORT_CPU_PER_CONF, cpu == 240 ? 2 : 1);
    write_register(SYSCON_PLL_TICK_CONF, APB_MHZ - 1);
    write_field(RTC_CNTL_CLK_CONF, RTC_CNTL_SOC_CLK_SEL, RTC_CNTL_SOC_CLK_SEL_PLL);
    rom_update_cpu_frequency(cpu);
    clock_wait_us(SLOW_CLOCK_CYCLE_US + 30);
    return (struct clock){.crystal_mhz = crystal, .cpu_mhz = cpu};
}
