// SPDX-License-Identifier: MIT
#include "app/check/checks.h"
#include "app/program.h"
#include "core/xoshiro.h"

enum { ROUNDS_IN_A_CALL = 4096, MOST_DELAY_BITS = 7 };

// Plain words on purpose: only the barriers order them.
struct torture {
    uint32_t seed;
    uint32_t written[MOST_MEMBERS];
    uint32_t wrong[MOST_MEMBERS];
};

static void wait_a_little(struct xoshiro *random) {
    for (uint32_t i = xoshiro_bits(random) >> (32 - MOST_DELAY_BITS); i > 0; --i) {
        __asm__ volatile("");
    }
}

// Each round has two barriers: behind the first the other's word is read, behind the second it may be written again.
void barriers_share(struct torture *torture, const struct worker *worker) {
    const uint32_t other = 1 - worker->index;
    struct xoshiro random;
    xoshiro_seed(&random, torture->seed + worker->index);
    for (uint32_t round = 0; round < ROUNDS_IN_A_CALL; ++round) {
        wait_a_little(&random);
        torture->written[worker->index] = torture->seed ^ round;
        team_barrier(worker);
        torture->wrong[worker->index] += torture->written[other] != (torture->seed ^ round);
        wait_a_little(&random);
        team_barrier(worker);
    }
}

enum verdict check_barriers(uint32_t call) {
    const struct worker worker = {&program.team, 0};
    struct torture torture = {.seed = call * MOST_MEMBERS};
    team_post(&program.team, CHECK_BARRIERS, &torture);
    barriers_share(&torture, &worker);
    return torture.wrong[0] + torture.wrong[1] == 0 ? VERDICT_RIGHT : VERDICT_WRONG;
}
