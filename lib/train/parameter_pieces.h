/* SPDX-License-Identifier: BSD-2-Clause */
/* All parameters of a net as one long row of numbers, cut into chunks for the threads. A chunk's
 * part of one parameter is a piece. */
#ifndef SFI_PARAMETER_PIECES_H
#define SFI_PARAMETER_PIECES_H

#include "chunks.h"
#include "graph.h"

typedef struct sfi_piece {
    int64_t chunk;
    /* Number in the net's table. */
    int32_t parameter;
    int64_t begin;
    int64_t count;
} sfi_piece;

typedef void (*sfi_piece_fn)(void *argument, const sfi_piece *piece);

/* Calls `work` for each piece of the parameters, of the trainable ones alone unless `buffers`; the
 * pieces of one chunk come in order and from one thread. */
void sfi_for_each_piece(const sfconv_net *net, bool buffers, sfi_piece_fn work, void *argument);

/* Numbers that somebody keeps for each parameter: `slots` arrays of the parameter's size, in one
 * block of memory. */
typedef struct sfi_parameter_store {
    sfconv_context *context;
    int32_t slots;
    int32_t parameter_count;
    /* Size of each parameter when the store was made; 0 where nothing is kept. */
    int64_t *counts;
    /* arrays[slot · parameter_count + parameter], NULL where nothing is kept. */
    float **arrays;
    float *block;
    size_t block_bytes;
} sfi_parameter_store;

/* Zeroed arrays for the trainable parameters, and for buffers too when `buffers`. MEMORY or
 * OVERFLOW, and then nothing is held. */
sfconv_status sfi_store_create(sfi_parameter_store *store, const sfconv_net *net, int32_t slots,
                               bool buffers);
void sfi_store_destroy(sfi_parameter_store *store);

/* STATE when the net got or lost parameters since the store was made. */
sfconv_status sfi_store_check(const sfi_parameter_store *store, const sfconv_net *net);

static inline float *sfi_store_array(const sfi_parameter_store *store, int32_t slot,
                                     int32_t parameter)
{
    return store->arrays[slot * store->parameter_count + parameter];
}

/* One array as a checkpoint sees it: names borrowed from the net and from static text. */
typedef struct sfi_state_array {
    const char *parameter;
    const char *slot;
    float *data;
    int64_t count;
} sfi_state_array;

/* Number of arrays that are not NULL, and number `index` of them in the order of slots and
 * parameters; `slot_names` has a name for each slot. */
int32_t sfi_store_state_count(const sfi_parameter_store *store);
sfi_state_array sfi_store_state(const sfi_parameter_store *store, const sfconv_net *net,
                                const char *const *slot_names, int32_t index);

#endif
