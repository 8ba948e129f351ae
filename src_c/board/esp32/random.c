// SPDX-License-Identifier: MIT
// The chip's random register. With no radio on it needs the ADC as a source of noise, which passes through I2S, switched on
// and off as ESP-IDF does (bootloader_random_esp32.c). Good for a seed that is printed; nothing is claimed of it for
// cryptography.
#include "board/board.h"
#include "board/esp32/clock.h"
#include "board/esp32/registers.h"

enum { READS = 64 }; // for one word, a microsecond apart

static void noise_on(void) {
    set_bits(DPORT_WIFI_CLK_EN, DPORT_WIFI_CLK_RNG);
    write_field(RTC_CNTL_TEST_MUX, RTC_CNTL_DTEST_RTC, RTC_CNTL_DTEST_RTC_NOISE);
    set_bits(RTC_CNTL_TEST_MUX, RTC_CNTL_ENT_RTC);
    set_bits(SENS_SAR_START_FORCE, SENS_SAR2_EN_TEST);
    set_bits(DPORT_PERIP_CLK_EN, DPORT_PERIP_I2S0);
    clear_bits(SENS_SAR_START_FORCE, SENS_ULP_CP_START);
    for (uint32_t i = 0; i < 4; i++) {
        write_register(SYSCON_SARADC_SAR2_PATT_TAB(i), 0xADADADAD);
    }
    set_bits(SENS_SAR_MEAS_WAIT2, SENS_FORCE_XPD_SAR);
    set_bits(SENS_SAR_READ_CTRL, SENS_SAR1_DIG_FORCE);
    set_bits(SENS_SAR_READ_CTRL2, SENS_SAR2_DIG_FORCE);
    set_bits(SYSCON_SARADC_CTRL, SYSCON_SARADC_SAR2_MUX);
    write_field(SYSCON_SARADC_CTRL, SYSCON_SARADC_CLK_DIV, 4u << 7);
    write_field(SYSCON_SARADC_FSM, SYSCON_SARADC_START_WAIT | SYSCON_SARADC_RSTB_WAIT, 10u << 16 | 8);
    clear_bits(SYSCON_SARADC_CTRL, SYSCON_SARADC_WORK_MODE);
    set_bits(SYSCON_SARADC_CTRL, SYSCON_SARADC_SAR_SEL);
    clear_bits(SYSCON_SARADC_CTRL, SYSCON_SARADC_DATA_SAR_SEL);
    write_field(I2S0_SAMPLE_RATE_CONF, I2S_RX_BCK_DIV_NUM, 20u << 6);
    set_bits(SYSCON_SARADC_CTRL, SYSCON_SARADC_DATA_TO_I2S);
    clear_bits(I2S0_CONF2, I2S_CAMERA_EN);
    set_bits(I2S0_CONF2, I2S_LCD_EN | I2S_DATA_ENABLE | I2S_DATA_ENABLE_TEST_EN);
    set_bits(I2S0_CONF, I2S_RX_START);
}

static void noise_off(void) {
    clear_bits(I2S0_CONF, I2S_RX_START);
    set_bits(I2S0_CONF, I2S_RX_RESET);
    clear_bits(I2S0_CONF, I2S_RX_RESET);
    clear_bits(I2S0_CONF2, I2S_CAMERA_EN | I2S_LCD_EN | I2S_DATA_ENABLE | I2S_DATA_ENABLE_TEST_EN);
    clear_bits(DPORT_PERIP_CLK_EN, DPORT_PERIP_I2S0);
    clear_bits(SENS_SAR_READ_CTRL, SENS_SAR1_DIG_FORCE);
    clear_bits(SENS_SAR_READ_CTRL2, SENS_SAR2_DIG_FORCE);
    clear_bits(SENS_SAR_START_FORCE, SENS_SAR2_EN_TEST);
    clear_bits(SYSCON_SARADC_CTRL, SYSCON_SARADC_SAR2_MUX | SYSCON_SARADC_SAR_SEL | SYSCON_SARADC_DATA_TO_I2S);
    clear_bits(SENS_SAR_MEAS_WAIT2, SENS_FORCE_XPD_SAR);
    write_field(SYSCON_SARADC_FSM, SYSCON_SARADC_START_WAIT, 8u << 16);
    set_bits(DPORT_PERIP_RST_EN, DPORT_PERIP_I2S0);
    clear_bits(DPORT_PERIP_RST_EN, DPORT_PERIP_I2S0);
    clear_bits(RTC_CNTL_TEST_MUX, RTC_CNTL_ENT_RTC);
    clear_bits(RTC_CNTL_TEST_MUX, RTC_CNTL_DTEST_RTC);
}

uint32_t board_random(void) {
    noise_on();
    uint32_t word = 0;
    for (int i = 0; i < READS; i++) {
        clock_wait_us(1);
        word ^= read_register(RNG_DATA);
    }
    noise_off();
    return word;
}
