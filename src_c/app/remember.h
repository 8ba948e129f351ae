// SPDX-License-Identifier: MIT
// The program's checkpoints: when one is saved, and which one it goes on from.
#ifndef REMEMBER_H
#define REMEMBER_H

#include <stdbool.h>

#include "core/checkpoint.h"

enum remembered {
    REMEMBERED_NOTHING, // begin anew
    REMEMBERED,         // the run is as it was
    REMEMBERED_WRONG,   // the file that was given cannot be gone on from: why has been printed
};

// Whether there is a model that can be trained, and so saved; if not, prints why.
bool remember_has_trainable(void);

// Goes on from the file that the program was given, or else from flash, as settings.start says; before anything changes settings.
// What is there and cannot be gone on from is named.
enum remembered remember_start(void);

// Saves where it is time to: after every settings.save_every steps, and when the last one has been taken. Says so.
void remember_after_step(void);

// A checkpoint of the model as it is, complete but for what checkpoint_number() does; of one that generates alone the weights. There
// must be a model.
void remember_describe(struct checkpoint *checkpoint);

// Says how long flash lasts with these settings, where there is flash.
void remember_print_wear(void);

#endif
