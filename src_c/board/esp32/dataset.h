// SPDX-License-Identifier: MIT
#ifndef ESP32_DATASET_H
#define ESP32_DATASET_H

// Makes flash from the data set's offset on readable at board_dataset(). Cached flash must not be in use: no code and no
// constant of this program lives there.
void dataset_map(void);

#endif
