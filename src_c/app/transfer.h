// SPDX-License-Identifier: MIT
// A checkpoint of the model as it is, over the console and between turns: what runs goes on after it as if nothing had been.
// site_scons/mgbuild/device/transfer.py reads it: "# state BYTES", lines of "#=" and base64 that follow each other, "# state ends".
#ifndef TRANSFER_H
#define TRANSFER_H

#include <stdbool.h>

void transfer_begin(void);

// Sends some lines, where there is anything to send; else false.
bool transfer_turn(void);

#endif
