// SPDX-License-Identifier: MIT
// How long training takes a chip: clock cycles of a step as a function of shape, text and cores. A formula whose terms follow from
// the algorithm; `scons bench` finds the coefficients in counts of the emulated core.
// By the cycle model of site_scons/mgbuild/emulated/lx6.py, not measured on a chip.
#ifndef TRAINING_TIME_H
#define TRAINING_TIME_H

#include <stdint.h>

#include "core/shape.h"

// What the time of a step follows from of the documents that are learned: means over them.
struct positions {
    float count;   // positions of a document: its characters and BOS, at most block_size
    float squared; // the square of that
};

// Of all documents of a text, each as likely. offsets: documents + 1, as struct dataset has them; documents and block_size within
// their limits. Linear in the documents.
struct positions positions_of_text(const uint32_t *offsets, uint32_t documents, uint32_t block_size);

// What the time of a step follows from of the weights: how far they are trained.
struct effort {
    float active;  // share of hidden values that ReLU lets pass, 0 to 1
    float careful; // share of weights for which Adam takes epsilon into account in full (core/adam.h), 0 to 1; of a pair with one
                   // such, two thirds, for both go one by one
};

// Their means over a run of so many steps that begins at this learning rate: an estimate, for they follow from the text too.
struct effort effort_of_run(const struct model_shape *shape, const struct positions *positions, uint32_t steps,
                            float learning_rate);

#define EFFORT_FACTORS 6 // logarithms and 1: of n_embd, n_layer, positions; of steps, the first of which change little; of
                         // 1 + learning rate * steps
#define FIRST_STEPS 60.0f
#define CAREFUL_AFTER 900u // steps: as long as a second moment without a gradient takes to become small
#define EFFORT_TERMS (EFFORT_FACTORS * (EFFORT_FACTORS + 1) / 2) // every product of two, row by row

// name, value: what cycles are a sum of, each times a coefficient. L layers, E n_embd, H heads, D head size, B block_size,
// V vocabulary, T positions; A: of these, those at which a hidden value is not zero; K: heads of the core that has more.
#define TERMS(TERM)                                                                                                      \
    TERM(positions, T)                                                          /* each by itself */                     \
    TERM(layers, L)                                                                                                      \
    TERM(units, L * E)                                                          /* rows of weights */                    \
    TERM(rows, L * T * E)                                                       /* norms, ReLU, tiles of products */     \
    TERM(products, L * T * E * E)                                               /* dense ones */                         \
    TERM(sparse_products, L * A * E * E)                                        /* around ReLU */                        \
    TERM(sparse_values, L * A * E)                                              /* finding what is not zero */           \
    TERM(sparse_columns, L * A * E * (float)(shape->n_embd % 8))                /* beside tiles of 8 */                  \
    TERM(logits, T * V)                                                         /* softmax */                            \
    TERM(logit_products, T * V * E)                                                                                      \
    TERM(attention, L * H * T2)                                                 /* softmax, products of heads of size 4 */\
    TERM(wide_heads, HEAD_SIZE(shape) == 4 ? 0.0f : L * K * D * T2)             /* products of others */                 \
    TERM(head_rows, L * H * T)                                                                                           \
    TERM(weights, L * E * E)                                                    /* Adam */                               \
    TERM(careful_weights, L * E * E * effort->careful)                                                                   \
    TERM(token_weights, V * E)                                                                                           \
    TERM(position_weights, B * E)

#define TERM_ID(name, value) TERM_##name,
enum training_term { TERMS(TERM_ID) TRAINING_TERMS };
#undef TERM_ID

// What `scons bench` finds, and writes to core/training_fit.c.
struct training_fit {
    float cycles[2][TRAINING_TERMS]; // coefficients of the terms, for one core and for two
    float active[EFFORT_TERMS];      // of the products of factors, whose sum makes a share
    float careful[EFFORT_TERMS];     // the same, of the steps beyond CAREFUL_AFTER
    float least[EFFORT_FACTORS];     // between which factors these were found
    float most[EFFORT_FACTORS];
};
extern const struct training_fit training_fit;

// The factors and the terms themselves, for who finds the coefficients. Arguments as for effort_of_run() and training_cycles().
void effort_factors(const struct model_shape *shape, const struct positions *positions, uint32_t steps, float learning_rate,
                    float factors[EFFORT_FACTORS]);
void training_terms(const struct model_shape *shape, const struct positions *positions, const struct effort *effort,
                    uint32_t cores, float terms[TRAINING_TERMS]);

// Cycles of a step, the mean over the documents. shape: as shape_check() accepts it. cores: 1 or 2
float training_cycles(const struct model_shape *shape, const struct positions *positions, const struct effort *effort,
                      uint32_t cores);

// Seconds of a run of so many steps that begins at this learning rate, on cores of so many MHz.
float training_seconds(const struct model_shape *shape, const struct positions *positions, uint32_t steps, float learning_rate,
                       uint32_t cores, float mhz);

#endif
