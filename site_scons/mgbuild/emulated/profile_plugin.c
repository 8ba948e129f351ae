// SPDX-License-Identifier: MIT
// A plugin of QEMU's that counts runs of instructions: which follow which, how often, and on behalf of whom.
//
// A run is a stretch of instructions without a jump. What is executed from the first instruction of a phase's function until
// control is back behind its call counts to the phase, but to a phase called from there while that one lasts; so with
// kernels, apart from phases.
// Arguments: out=FILE; phase=START, kernel=START for each, the address of its function (hexadecimal), both numbered from 0;
// keep=N: what phase N calls counts to it in any case. At exit FILE gets a line for each pair of runs: "core phase kernel first
// last then_first then_last count": phase and kernel of the second run (-1: none), the addresses of the first and the last
// instruction of both, 0 0 where nothing ran before.
// With costs=FILE, lines "first last then_first then_last cycles", FILE out gets instead a line for each stretch between two
// entries into the phases of mark=N: "core", the phase at its end, and the cycles in each phase, none first. alone=N: phase N
// counts by itself, wherever it is called.
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What is used of QEMU's plugin interface: it is the same in version 1 (QEMU up to 8) and in version 2 and later (from 9).
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                                  void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int, void *);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);

extern int qemu_plugin_num_vcpus(void) __attribute__((weak)); // in QEMU since version 2, which refuses plugins of version 1

__attribute__((visibility("default"))) int qemu_plugin_version;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t, const struct qemu_info_t *, int, char **);

// Runs while the plugin is loaded, before QEMU reads the version.
__attribute__((constructor)) static void choose_version(void) { qemu_plugin_version = qemu_plugin_num_vcpus ? 2 : 1; }

enum { MAX_SCOPES = 64, MAX_DEPTH = 32, MAX_CORES = 2, TABLE_SIZE = 1 << 18, NONE = -1 };

struct run {
    uint32_t first, last;
};

struct scope {
    int phase, kernel;
};

struct pair {
    struct scope scope;
    struct run run, then;
    uint64_t count; // of times; of a table of costs, cycles and one
};

struct stretch {
    int phase; // at its end
    uint64_t cycles[MAX_SCOPES + 1]; // by phase, NONE first
};

static struct {
    uint32_t address; // of its function
    bool is_kernel;
    int number;
} functions[MAX_SCOPES];
static int function_count, phase_count, kernel_count;
static bool keeps[MAX_SCOPES], marks[MAX_SCOPES], is_alone[MAX_SCOPES]; // by phase
static const char *out_path;
static struct pair *costs; // NULL: pairs are counted

// What a core has done. Each runs in a thread of its own, which touches nothing else.
static struct core {
    struct pair table[TABLE_SIZE];
    uint32_t pairs;
    struct run before;  // the run before the one that goes on
    struct run current; // the run that goes on
    uint32_t behind;    // the address behind it; 0 before the first
    struct scope scope;
    struct {
        uint32_t function, return_address;
        struct scope scope; // to return to
    } calls[MAX_DEPTH];
    int depth;
    struct stretch stretch;    // the one that goes on
    struct stretch *stretches; // those that have ended
    size_t ended, room;
} cores[MAX_CORES];

static _Noreturn void fail(const char *what, const char *text) {
    fprintf(stderr, "profile: %s%s\n", what, text);
    exit(1);
}

static bool is_same(const struct pair *pair, const struct scope *scope, const struct run *run, const struct run *then) {
    return pair->scope.phase == scope->phase && pair->scope.kernel == scope->kernel && pair->run.first == run->first &&
           pair->run.last == run->last && pair->then.first == then->first && pair->then.last == then->last;
}

// The place of a pair in a table; its count is 0 if it is not there.
static struct pair *find(struct pair *table, const struct scope *scope, const struct run *run, const struct run *then) {
    const uint32_t hash = run->first * 2654435761u ^ run->last * 2246822519u ^ then->first * 3266489917u ^
                          then->last * 668265263u ^ (uint32_t)(scope->phase * 64 + scope->kernel) * 374761393u;
    uint32_t slot = (hash ^ hash >> 15) % TABLE_SIZE;
    while (table[slot].count > 0 && !is_same(&table[slot], scope, run, then)) {
        slot = (slot + 1) % TABLE_SIZE;
    }
    return &table[slot];
}

static void add_pair(struct pair *table, uint32_t *pairs, const struct pair *pair) {
    struct pair *place = find(table, &pair->scope, &pair->run, &pair->then);
    if (place->count == 0) {
        if (++*pairs == TABLE_SIZE) {
            fail("too many pairs of runs", "");
        }
        *place = *pair;
        place->count = 0;
    }
    place->count += pair->count;
}

static const struct scope no_scope = {NONE, NONE};

static void count_pair(struct core *core) {
    if (costs == NULL) {
        const struct pair once = {core->scope, core->before, core->current, 1};
        add_pair(core->table, &core->pairs, &once);
        return;
    }
    const uint64_t found = find(costs, &no_scope, &core->before, &core->current)->count;
    core->stretch.cycles[core->scope.phase + 1] += found > 0 ? found - 1 : 0;
}

static void end_stretch(struct core *core) {
    if (core->ended == core->room) {
        core->room = core->room * 2 + 1024;
        core->stretches = realloc(core->stretches, core->room * sizeof(core->stretch));
        if (core->stretches == NULL) {
            fail("out of memory", "");
        }
    }
    core->stretch.phase = core->scope.phase;
    core->stretches[core->ended++] = core->stretch;
    memset(&core->stretch, 0, sizeof(core->stretch));
}

// Follows a jump to `address` from the instruction that ends at `behind`.
static void change_scope(struct core *core, uint32_t address) {
    const int depth = core->depth;
    if (depth > 0 && address == core->calls[depth - 1].return_address) {
        core->scope = core->calls[--core->depth].scope;
        return;
    }
    if (depth > 0 && address == core->calls[depth - 1].function) {
        return; // once more, after a window exception: none of these calls itself
    }
    for (int i = 0; i < function_count; ++i) {
        if (address == functions[i].address) {
            if (depth == MAX_DEPTH) {
                fail("calls nest too deep", "");
            }
            core->calls[depth].function = address;
            core->calls[depth].return_address = core->behind;
            core->calls[core->depth++].scope = core->scope;
            break;
        }
    }
    for (int i = 0; i < function_count; ++i) {
        if (address == functions[i].address) {
            if (functions[i].is_kernel) {
                core->scope.kernel = functions[i].number;
                continue;
            }
            const int phase = functions[i].number;
            if (marks[phase]) {
                end_stretch(core);
            }
            if (is_alone[phase] || core->scope.phase == NONE || !keeps[core->scope.phase]) {
                core->scope.phase = phase;
            }
        }
    }
}

static void executed(unsigned cpu, void *packed) {
    struct core *core = &cores[cpu % MAX_CORES];
    const uint32_t address = (uint32_t)((uintptr_t)packed >> 3);
    if (address != core->behind) {
        if (core->behind != 0) {
            count_pair(core);
            core->before = core->current;
        }
        change_scope(core, address);
        core->current.first = address;
    }
    core->current.last = address;
    core->behind = address + (uint32_t)((uintptr_t)packed & 7);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
        const uintptr_t packed = (uintptr_t)qemu_plugin_insn_vaddr(insn) << 3 | qemu_plugin_insn_size(insn);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, 0, (void *)packed);
    }
}

static void finish(qemu_plugin_id_t id, void *unused) {
    (void)id;
    (void)unused;
    FILE *out = fopen(out_path, "w");
    if (out == NULL) {
        fail("cannot write ", out_path);
    }
    for (int number = 0; number < MAX_CORES; ++number) {
        struct core *core = &cores[number];
        if (core->behind != 0) {
            count_pair(core);
        }
        for (uint32_t i = 0; costs == NULL && i < TABLE_SIZE; ++i) {
            const struct pair *pair = &core->table[i];
            if (pair->count > 0) {
                fprintf(out, "%d %d %d %" PRIx32 " %" PRIx32 " %" PRIx32 " %" PRIx32 " %" PRIu64 "\n", number,
                        pair->scope.phase, pair->scope.kernel, pair->run.first, pair->run.last, pair->then.first,
                        pair->then.last, pair->count);
            }
        }
        for (size_t i = 0; costs != NULL && i < core->ended; ++i) {
            const struct stretch *stretch = &core->stretches[i];
            fprintf(out, "%d %d", number, stretch->phase);
            for (int phase = 0; phase <= phase_count; ++phase) {
                fprintf(out, " %" PRIu64, stretch->cycles[phase]);
            }
            fprintf(out, "\n");
        }
    }
    if (fclose(out) != 0) {
        fail("cannot write ", out_path);
    }
}

static bool add_function(const char *argument) {
    const bool is_kernel = strncmp(argument, "kernel=", 7) == 0;
    if (function_count == MAX_SCOPES ||
        sscanf(argument, is_kernel ? "kernel=%" SCNx32 : "phase=%" SCNx32, &functions[function_count].address) != 1) {
        return false;
    }
    functions[function_count].is_kernel = is_kernel;
    functions[function_count++].number = is_kernel ? kernel_count++ : phase_count++;
    return true;
}

static void read_costs(const char *path) {
    FILE *file = fopen(path, "r");
    costs = calloc(TABLE_SIZE, sizeof(*costs));
    if (file == NULL || costs == NULL) {
        fail("cannot read ", path);
    }
    uint32_t pairs = 0;
    struct pair pair = {.scope = no_scope};
    while (fscanf(file, "%" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNu64, &pair.run.first, &pair.run.last,
                  &pair.then.first, &pair.then.last, &pair.count) == 5) {
        ++pair.count;
        add_pair(costs, &pairs, &pair);
    }
    fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; ++i) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            out_path = argv[i] + 4;
        } else if (strncmp(argv[i], "keep=", 5) == 0) {
            keeps[atoi(argv[i] + 5) % MAX_SCOPES] = true;
        } else if (strncmp(argv[i], "costs=", 6) == 0) {
            read_costs(argv[i] + 6);
        } else if (strncmp(argv[i], "mark=", 5) == 0) {
            marks[atoi(argv[i] + 5) % MAX_SCOPES] = true;
        } else if (strncmp(argv[i], "alone=", 6) == 0) {
            is_alone[atoi(argv[i] + 6) % MAX_SCOPES] = true;
        } else if (!add_function(argv[i])) {
            fprintf(stderr, "profile: cannot use %s\n", argv[i]);
            return 1;
        }
    }
    for (int number = 0; number < MAX_CORES; ++number) {
        cores[number].scope = no_scope;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return out_path == NULL;
}
