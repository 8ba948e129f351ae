// SPDX-License-Identifier: MIT
// The chip's random register. With no radio on it needs the ADC as a source of noise, switched on as ESP-IDF does
// (bootloader_random_esp32.c). Good for a seed that is printed; nothing is claimed of it for cryptography.
#include "board/board.h"
#include "board/esp32/clock.h"
#include "board/esp32/registers.h"

enum { READS = 64 }; // for one word, a microsecond apart

static void noise_on(void) {
    DPORT_WIFI_CLK_EN |= DPORT_WIFI_CLK_RNG;
    RTC_CNTL_TEST_MUX = (RTC_CNTL_TEST_MUX & ~RTC_CNTL_DTEST_RTC) | RTC_CNTL_DTEST_RTC_NOISE | RTC_CNTL_ENT_RTC;
    SENS_SAR_START_FORCE = (SENS_SAR_START_FORCE | SENS_SAR2_EN_TEST) & ~SENS_ULP_CP_START;
    DPORT_PERIP_CLK_EN |= DPORT_PERIP_CLK_I2S0;
    for (int i = 0; i < 4; i++) {
        SYSCON_SARADC_SAR2_PATT_TAB[i] = 0xADADADAD;
    }
    SENS_SAR_MEAS_WAIT2 |= SENS_FORCE_XPD_SAR;
    SENS_SAR_READ_CTRL |= SENS_SAR1_DIG_FORCE;
    SENS_SAR_READ_CTRL2 |= SENS_SAR2_DIG_FORCE;
    SYSCON_SARADC_CTRL |= SYSCON_SARADC_SAR2_MUX;
    SYSCON_SARADC_CTRL = (SYSCON_SARADC_CTRL & ~SYSCON_SARADC_CLK_DIV) | 4u << 7;
    SYSCON_SARADC_FSM = (SYSCON_SARADC_FSM & ~0x00FF00FFu) | 10u << 16 | 8;
    SYSCON_SARADC_CTRL &= ~SYSCON_SARADC_WORK_MODE;
    SYSCON_SARADC_CTRL |= SYSCON_SARADC_SAR_SEL;
    SYSCON_SARADC_CTRL &= ~SYSCON_SARADC_DATA_SAR_SEL;
    I2S0_SAMPLE_RATE_CONF = (I2S0_SAMPLE_RATE_CONF & ~I2S_RX_BCK_DIV_NUM) | 20u << 6;
    SYSCON_SARADC_CTRL |= SYSCON_SARADC_DATA_TO_I2S;
    I2S0_CONF2 = (I2S0_CONF2 & ~I2S_CAMERA_EN) | I2S_LCD_EN | I2S_DATA_ENABLE | I2S_DATA_ENABLE_TEST_EN;
    I2S0_CONF |= I2S_RX_START;
}

static void noise_off(void) {
    I2S0_CONF &= ~I2S_RX_START;
    SYSCON_SARADC_CTRL &= ~(SYSCON_SARADC_SAR_SEL | SYSCON_SARADC_DATA_TO_I2S);
    SENS_SAR_READ_CTRL &= ~SENS_SAR1_DIG_FORCE;
    SENS_SAR_READ_CTRL2 &= ~SENS_SAR2_DIG_FORCE;
    SENS_SAR_MEAS_WAIT2 &= ~SENS_FORCE_XPD_SAR;
    SENS_SAR_START_FORCE &= ~SENS_SAR2_EN_TEST;
    RTC_CNTL_TEST_MUX &= ~(RTC_CNTL_DTEST_RTC | RTC_CNTL_ENT_RTC);
    DPORT_PERIP_CLK_EN &= ~DPORT_PERIP_CLK_I2S0;
}

uint32_t board_random(void) {
    noise_on();
    uint32_t word = 0;
    for (int i = 0; i < READS; i++) {
        clock_wait_us(1);
        word ^= RNG_DATA;
    }
    noise_off();
    return word;
}
