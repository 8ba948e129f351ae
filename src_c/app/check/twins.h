// SPDX-License-Identifier: MIT
// The plain kernels under names of their own, to compare with those that the program runs on.
#ifndef TWINS_H
#define TWINS_H

#include "kernels/kernels.h"

#define KERNEL(name) extern __typeof__(name) twin_##name;
#include "kernels/kernels.inc"
#undef KERNEL

#endif
