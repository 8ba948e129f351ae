// SPDX-License-Identifier: MIT
#include "app/check/checks.h"
#include "app/check/twins.h"
#include "app/program.h"
#include "core/adam.h"
#include "core/xoshiro.h"
#include "math/math32.h"
#include "text/print.h"

enum { ARENA_FLOATS = 1536, ROUNDS = 12 };

#define KERNEL(name) KERNEL_##name,
enum kernel {
#include "kernels/kernels.inc"
    KERNELS
};
#undef KERNEL

uint32_t kernel_count(void) { return KERNELS; }

const char *kernel_name(uint32_t kernel) {
#define KERNEL(name) #name,
    static const char *const names[KERNELS] = {
#include "kernels/kernels.inc"
    };
#undef KERNEL
    return names[kernel];
}

// A call's arguments lie in one arena, so that a write beside an output shows too.
struct round {
    float *arena;
    float *before;
    float *result;
    uint32_t taken; // floats of the arena
    struct xoshiro random;
};

// most < 65536
static uint32_t from_one_to(struct round *round, uint32_t most) {
    return 1 + ((xoshiro_bits(&round->random) >> 16) * most >> 16);
}

static float number(struct round *round) { return 2.0f * xoshiro_uniform(&round->random) - 1.0f; }

// An array of pseudo-random numbers in [-1, 1), of which so many in eight are +0.
static float *array(struct round *round, uint32_t length, uint32_t zeros) {
    float *first = round->arena + round->taken;
    for (uint32_t i = 0; i < length; ++i) {
        first[i] = (xoshiro_bits(&round->random) >> 29) < zeros ? 0.0f : number(round);
    }
    round->taken += length;
    return first;
}

// Words of bits for relu and what follows it, one in four set, those of positions behind the last clear.
static uint32_t *active(struct round *round, uint32_t positions, uint32_t stride) {
    float *first = round->arena + round->taken;
    const uint32_t words = ACTIVE_WORDS(positions) * stride;
    for (uint32_t i = 0; i < words; ++i) {
        const uint32_t left = positions - i / stride * 32;
        const uint32_t mask = left < 32 ? ~(UINT32_MAX >> left) : UINT32_MAX;
        first[i] = float_from_bits(xoshiro_bits(&round->random) & xoshiro_bits(&round->random) & mask);
    }
    round->taken += words;
    return (uint32_t *)(void *)first;
}

// +0 where a position is not active.
static void silence(float *x, const uint32_t *words, uint32_t positions, uint32_t stride) {
    for (uint32_t k = 0; k < positions; ++k) {
        for (uint32_t c = 0; c < stride; ++c) {
            x[k * stride + c] = words[k / 32 * stride + c] & 0x80000000u >> k % 32 ? x[k * stride + c] : 0.0f;
        }
    }
}

static void copy(float *to, const float *from) {
    for (uint32_t i = 0; i < ARENA_FLOATS; ++i) {
        to[i] = from[i];
    }
}

static bool same_bits(const float *a, const float *b) {
    const uint32_t *x = (const uint32_t *)(const void *)a;
    const uint32_t *y = (const uint32_t *)(const void *)b;
    for (uint32_t i = 0; i < ARENA_FLOATS; ++i) {
        if (x[i] != y[i]) {
            return false;
        }
    }
    return true;
}

static void keep_result(struct round *round) {
    copy(round->result, round->arena);
    copy(round->arena, round->before);
}

// Whether a kernel and its twin leave the same arena behind.
#define SAME(name, ...)                                                                                                  \
    (copy(round->before, round->arena), name(__VA_ARGS__), keep_result(round), twin_##name(__VA_ARGS__),                 \
     same_bits(round->result, round->arena))

static bool same_product(struct round *round, uint32_t kernel) {
    const bool sparse_gradient = kernel == KERNEL_matmul_tn_sparse || kernel == KERNEL_matmul_tn_sparse_w;
    const bool transposed = kernel == KERNEL_matmul_tn || sparse_gradient;
    const bool by_rows = kernel == KERNEL_matmul_nt || kernel == KERNEL_matmul_nt_add || kernel == KERNEL_matmul_nt_add_sparse;
    const uint32_t rows = from_one_to(round, 9);
    struct matmul_sizes sizes = {.columns = from_one_to(round, 21), .depth = from_one_to(round, 17)};
    sizes.depth += sparse_gradient && from_one_to(round, 8) == 1 ? 20 : 0; // now and then more positions than a word has bits
    sizes.y_stride = sizes.columns + from_one_to(round, 3) - 1;
    sizes.x_stride = (transposed ? rows : sizes.depth) + from_one_to(round, 3) - 1;
    sizes.w_stride = (by_rows ? sizes.depth : sizes.columns) + from_one_to(round, 3) - 1;
    float *y = array(round, rows * sizes.y_stride, 0);
    float *x = array(round, (transposed ? sizes.depth : rows) * sizes.x_stride, 3);
    float *w = array(round, (by_rows ? sizes.columns : sizes.depth) * sizes.w_stride, 0);
    switch (kernel) {
    case KERNEL_matmul_nt:
        return SAME(matmul_nt, y, x, w, rows, &sizes);
    case KERNEL_matmul_nt_add:
        return SAME(matmul_nt_add, y, x, w, rows, &sizes);
    case KERNEL_matmul_nn:
        return SAME(matmul_nn, y, x, w, rows, &sizes);
    case KERNEL_matmul_tn:
        return SAME(matmul_tn, y, x, w, rows, sizes.depth, &sizes);
    case KERNEL_matmul_nt_add_sparse:
        return SAME(matmul_nt_add_sparse, y, x, w, rows, &sizes);
    case KERNEL_matmul_nn_masked: {
        const uint32_t *positions = active(round, rows, sizes.y_stride);
        return SAME(matmul_nn_masked, y, x, w, positions, rows, &sizes);
    }
    case KERNEL_matmul_nn_sparse:
        return SAME(matmul_nn_sparse, y, x, w, rows, &sizes);
    case KERNEL_matmul_tn_sparse: {
        const uint32_t *positions = active(round, sizes.depth, sizes.x_stride);
        silence(x, positions, sizes.depth, sizes.x_stride);
        return SAME(matmul_tn_sparse, y, x, w, positions, rows, &sizes);
    }
    default: {
        const uint32_t *positions = active(round, sizes.depth, sizes.w_stride);
        silence(w, positions, sizes.depth, sizes.w_stride);
        return SAME(matmul_tn_sparse_w, y, x, w, positions, rows, &sizes);
    }
    }
}

static bool same_causal(struct round *round, uint32_t kernel) {
    const uint32_t last = from_one_to(round, 12);
    const uint32_t first = from_one_to(round, last) - 1;
    const uint32_t width = from_one_to(round, 9);
    const uint32_t wide = width + from_one_to(round, 3) - 1;
    const uint32_t triangle = last + from_one_to(round, 3) - 1;
    const bool scores = kernel == KERNEL_causal_nt;
    const struct matmul_sizes sizes = {
        .columns = width,
        .depth = width,
        .y_stride = scores ? triangle : wide,
        .x_stride = scores ? wide : triangle,
        .w_stride = wide,
    };
    float *y = array(round, last * sizes.y_stride, 0);
    const float *x = array(round, last * sizes.x_stride, 0);
    const float *w = array(round, last * sizes.w_stride, 0);
    switch (kernel) {
    case KERNEL_causal_nt:
        return SAME(causal_nt, y, x, w, first, last, &sizes);
    case KERNEL_causal_nn:
        return SAME(causal_nn, y, x, w, first, last, &sizes);
    default:
        return SAME(causal_tn, y, x, w, last, &sizes);
    }
}

static bool same_rmsnorm(struct round *round, uint32_t kernel) {
    const uint32_t rows = from_one_to(round, 6);
    const struct rmsnorm_sizes sizes = {.width = from_one_to(round, 24), .mean = 0.0625f};
    float *y = array(round, rows * sizes.width, 0);
    float *scale = array(round, rows, 0);
    const float *x = array(round, rows * sizes.width, 1);
    if (kernel == KERNEL_rmsnorm) {
        return SAME(rmsnorm, y, scale, x, rows, &sizes);
    }
    const float *gradient = array(round, rows * sizes.width, 1);
    return SAME(rmsnorm_backward, y, gradient, x, scale, rows, &sizes);
}

static bool same_adam(struct round *round, uint32_t kernel) {
    struct adam_schedule schedule = adam_begin();
    const uint32_t steps = 40;
    const uint32_t number_of_step = from_one_to(round, steps) - 1;
    struct adam_step step = {0};
    for (uint32_t i = 0; i <= number_of_step; ++i) {
        step = adam_next(&schedule, i, steps, 0.01f);
    }
    const uint32_t length = from_one_to(round, 60);
    float *weights = array(round, length, 0);
    float *first = array(round, length, 1);
    float *second = array(round, length, 2);
    const float *gradient = array(round, length, 2);
    for (uint32_t i = 0; i < length; ++i) {
        second[i] *= second[i];
        if (kernel == KERNEL_adam_update_large) {
            second[i] += step.exact_below;
        } else if (from_one_to(round, 4) == 1) {
            second[i] *= 1e-14f; // on the other side of exact_below
        }
    }
    switch (kernel) {
    case KERNEL_adam_update:
        return SAME(adam_update, weights, first, second, gradient, length, &step);
    case KERNEL_adam_update_large:
        return SAME(adam_update_large, weights, first, second, gradient, length, &step);
    default:
        return SAME(adam_decay, weights, first, second, length, &step);
    }
}

static bool same_relu(struct round *round) {
    const uint32_t rows = from_one_to(round, 40);
    const uint32_t width = from_one_to(round, 16);
    float *x = array(round, rows * width, 2);
    uint32_t *words = active(round, rows, width);
    return SAME(relu, x, words, rows, width);
}

static bool same_softmax(struct round *round, uint32_t kernel) {
    const uint32_t rows = from_one_to(round, 6);
    const uint32_t length = from_one_to(round, 30);
    struct softmax_sizes sizes = {.growth = from_one_to(round, 2) - 1};
    sizes.stride = length + (rows - 1) * sizes.growth + from_one_to(round, 3) - 1;
    float *x = array(round, rows * sizes.stride, 1);
    const float *y = array(round, rows * sizes.stride, 1);
    const float scale = 1.0f + xoshiro_uniform(&round->random);
    return kernel == KERNEL_softmax ? SAME(softmax, x, rows, length, &sizes, scale, 0.5f)
                                    : SAME(softmax_backward, x, y, rows, length, &sizes, scale);
}

static bool same_row(struct round *round, uint32_t kernel) {
    const uint32_t length = from_one_to(round, 40);
    float *y = array(round, length, 1);
    const float *a = array(round, length, 1);
    const float *b = array(round, length, 1);
    return kernel == KERNEL_vector_zero ? SAME(vector_zero, y, length) : SAME(vector_add, y, a, b, length);
}

static bool same(struct round *round, uint32_t kernel) {
    if (kernel <= KERNEL_matmul_tn_sparse_w) {
        return same_product(round, kernel);
    }
    if (kernel <= KERNEL_causal_tn) {
        return same_causal(round, kernel);
    }
    if (kernel == KERNEL_softmax || kernel == KERNEL_softmax_backward) {
        return same_softmax(round, kernel);
    }
    if (kernel == KERNEL_rmsnorm || kernel == KERNEL_rmsnorm_backward) {
        return same_rmsnorm(round, kernel);
    }
    if (kernel == KERNEL_relu) {
        return same_relu(round);
    }
    return kernel >= KERNEL_adam_update ? same_adam(round, kernel) : same_row(round, kernel);
}

// A member's part of checking a kernel: the same rounds on each core, in memory of its own.
struct kernel_check {
    uint32_t kernel;
    float *memory; // 3 arenas for each member
    bool is_right[MOST_MEMBERS];
};

void kernel_share(struct kernel_check *check, const struct worker *worker) {
    struct round round = {.arena = check->memory + 3 * ARENA_FLOATS * worker->index};
    round.before = round.arena + ARENA_FLOATS;
    round.result = round.before + ARENA_FLOATS;
    xoshiro_seed(&round.random, check->kernel);
    for (uint32_t i = 0; i < ARENA_FLOATS; ++i) {
        round.arena[i] = 0.0f;
    }
    bool is_right = true;
    for (uint32_t i = 0; i < ROUNDS && is_right; ++i) {
        round.taken = 0;
        is_right = same(&round, check->kernel);
    }
    check->is_right[worker->index] = is_right;
    team_barrier(worker);
}

enum verdict check_kernel(uint32_t kernel) {
    const struct bank memory = scratch_memory();
    const struct worker worker = {&program.team, 0};
    if (memory.bytes < program.team.members * 3 * ARENA_FLOATS * sizeof(float)) {
        return VERDICT_SKIPPED;
    }
    struct kernel_check check = {.kernel = kernel, .memory = memory.start, .is_right = {true, true}};
    team_post(&program.team, CHECK_KERNEL, &check);
    kernel_share(&check, &worker);
    for (uint32_t core = 0; core < program.team.members; ++core) {
        if (!check.is_right[core] && program.team.members > 1) {
            print_text("  on core ");
            print_unsigned(core, 1);
            print_text("\n");
        }
    }
    return check.is_right[0] && check.is_right[1] ? VERDICT_RIGHT : VERDICT_WRONG;
}
