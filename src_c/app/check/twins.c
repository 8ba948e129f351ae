// SPDX-License-Identifier: MIT
// Compiles the plain kernels once more, each under its twin's name; whatever they call beside each other keeps its own.
#include "app/check/twins.h"

#define matmul_nt twin_matmul_nt
#define matmul_nt_add twin_matmul_nt_add
#define matmul_nn twin_matmul_nn
#define matmul_tn twin_matmul_tn
#define matmul_nt_add_sparse twin_matmul_nt_add_sparse
#define matmul_nn_masked twin_matmul_nn_masked
#define matmul_nn_sparse twin_matmul_nn_sparse
#define matmul_tn_sparse twin_matmul_tn_sparse
#define matmul_tn_sparse_w twin_matmul_tn_sparse_w
#define causal_nt twin_causal_nt
#define causal_nn twin_causal_nn
#define causal_tn twin_causal_tn
#define softmax twin_softmax
#define softmax_backward twin_softmax_backward
#define rmsnorm twin_rmsnorm
#define rmsnorm_backward twin_rmsnorm_backward
#define relu twin_relu
#define vector_zero twin_vector_zero
#define vector_add twin_vector_add
#define adam_update twin_adam_update
#define adam_update_large twin_adam_update_large
#define adam_decay twin_adam_decay

#include "kernels/plain/adam.c"
#include "kernels/plain/elementwise.c"
#include "kernels/plain/products.c"
#include "kernels/plain/rmsnorm.c"
#include "kernels/plain/softmax.c"
