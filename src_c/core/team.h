// SPDX-License-Identifier: MIT
// A team of cores that go through the same work together. All run the same functions on the same arrays; each does its share
// of every piece (team_share), of the outputs and never of a sum, so that the bits are those of one core; and where one needs
// what another has written, or overwrites what another has read, all meet at a barrier.
//
// Members talk through words in shared memory, each of which has one writer, so no instruction has to read and write at once.
// What makes a word enough: its writer stores it with release (memw, which on the LX6 waits until all earlier loads and stores
// are done; Xtensa ISA reference manual, MEMW), its reader takes it with acquire (memw behind the load, so that no later access
// begins before). Whatever was done before a barrier is therefore seen, or over, behind it: internal RAM has no cache in front
// of it, so that what is done is there for every core.
#ifndef TEAM_H
#define TEAM_H

#include <stdatomic.h>
#include <stdint.h>

#define MOST_MEMBERS 2u

struct team {
    uint32_t members; // 1 to MOST_MEMBERS, set before the others begin
    uint32_t job;
    void *argument;
    _Atomic uint32_t posted;                // jobs so far, modulo 2^32; the first member writes it
    _Atomic uint32_t arrived[MOST_MEMBERS]; // barriers that each member has come to, modulo 2^32
};

// Who is working: member `index` of a team, 0 being the one that gives out the jobs.
struct worker {
    struct team *team;
    uint32_t index;
};

// A range of a piece of work.
struct share {
    uint32_t first, count;
};

// The worker's share of `total` things, the first ones for the first member. What cannot be halved goes to `larger`.
static inline struct share team_share(const struct worker *worker, uint32_t total, uint32_t larger) {
    if (worker->team->members == 1) {
        return (struct share){0, total};
    }
    const uint32_t border = (total + (larger == 0)) / 2;
    return worker->index == 0 ? (struct share){0, border} : (struct share){border, total - border};
}

// First member: has the others begin a job, and returns to do its own part. They must have ended the one before, which every
// job does at a barrier. argument: must last until then.
void team_post(struct team *team, uint32_t job, void *argument);

// Other members: waits for the next job.
void team_await(struct team *team, uint32_t jobs_before);

// Waits, in a team of two or more, until every member has come here.
void team_meet(const struct worker *worker);

// The same in any team.
static inline void team_barrier(const struct worker *worker) {
    if (worker->team->members > 1) {
        team_meet(worker);
    }
}

#endif
