// SPDX-License-Identifier: MIT
#include "math/wasm/fma_through_double.h"

extern inline float fma_through_double(float a, float b, float c);
