/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_RANKS_H
#define SFI_RANKS_H

#include "ctx.h"

/* Rank of a factorized convolution: round(ratio * min(in, out)), a half to the even number (the
 * published counts come from a language that rounds so), at least `least` (>= 1) and at most
 * min(in*kw, out*kh), beyond which a factor would have more columns than rows. */
int64_t sfi_rank_of_ratio(int64_t out, int64_t in, int64_t kh, int64_t kw, double ratio,
                          int64_t least);

/* A layer whose rank is to be chosen. */
typedef struct sfi_rank_layer {
    const double *values; /* singular values of the dense weight, `most` of them, descending */
    int64_t most;         /* greatest rank */
    int64_t least;        /* 1 … most */
    int64_t cost;         /* > 0: parameters or MACs that one unit of rank adds */
} sfi_rank_layer;

/* What ranks cost and keep. A layer's energy is the part of its sum of squared singular values that
 * its rank keeps (1 for a layer of zeros); `energy` is the mean over the layers. */
typedef struct sfi_rank_choice {
    int64_t cost;
    double energy;
} sfi_rank_choice;

/* Both start from the least ranks and add, one at a time, the unit of rank that keeps the most
 * energy for its cost (the first layer among equals); units that keep nothing are never bought.
 * Units that no longer fit are passed over for smaller ones that do. ranks: `count` numbers,
 * written on success. Errors: SHAPE (the least ranks cost more than the budget: the reason names
 * their cost), ARGUMENT (an energy outside (0, 1]), NUMERIC (a value that is not finite), OVERFLOW,
 * MEMORY. */
sfconv_status sfi_ranks_for_cost(sfconv_context *context, int64_t count,
                                 const sfi_rank_layer *layers, int64_t budget, int64_t *ranks,
                                 sfi_rank_choice *choice);
sfconv_status sfi_ranks_for_energy(sfconv_context *context, int64_t count,
                                   const sfi_rank_layer *layers, double energy, int64_t *ranks,
                                   sfi_rank_choice *choice);

#endif
