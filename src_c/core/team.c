// SPDX-License-Identifier: MIT
#include "core/team.h"

// In a function of its own, so that a profile can tell waiting from work, and a watchdog who waits for whom.
// A member that has passed a barrier may come to the next before others have seen it at this one, so the word may be ahead.
__attribute__((noinline)) static void team_wait(const _Atomic uint32_t *word, uint32_t value) {
    while ((int32_t)(atomic_load_explicit(word, memory_order_acquire) - value) < 0) {
    }
}

void team_post(struct team *team, uint32_t job, void *argument) {
    if (team->members == 1) {
        return;
    }
    team->job = job;
    team->argument = argument;
    const uint32_t jobs = atomic_load_explicit(&team->posted, memory_order_relaxed) + 1;
    atomic_store_explicit(&team->posted, jobs, memory_order_release);
}

void team_await(struct team *team, uint32_t jobs_before) { team_wait(&team->posted, jobs_before + 1); }

void team_meet(const struct worker *worker) {
    struct team *team = worker->team;
    _Atomic uint32_t *mine = &team->arrived[worker->index];
    const uint32_t turn = atomic_load_explicit(mine, memory_order_relaxed) + 1;
    atomic_store_explicit(mine, turn, memory_order_release);
    team_wait(&team->arrived[1 - worker->index], turn);
}
