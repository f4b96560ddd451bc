/* SPDX-License-Identifier: BSD-2-Clause */
/* The numbers of a net (and of whatever trains it) by name, as a file holds them. Loading has two
 * steps: stage reads and checks everything without touching the targets, commit cannot fail. */
#ifndef SFI_STATE_H
#define SFI_STATE_H

#include "graph.h"
#include "metadata.h"
#include "safetensors_reader.h"

/* Beside the public SFCONV_LOAD_… flags: other parts of a checkpoint are no unknown tensors. */
#define SFI_LOAD_PASS_PARTS (1 << 16)
#define SFI_PART_OPTIMIZER "optimizer."
#define SFI_PART_AVERAGE "average."

typedef struct sfi_state_tensor {
    char *name;
    int32_t rank;
    int64_t shape[4];
    int64_t count;
    /* The owner's; read by save, written by commit. */
    float *data;
    /* In the staging block; NULL where the file has nothing for it. */
    float *staged;
} sfi_state_tensor;

typedef struct sfi_state {
    sfconv_context *context;
    sfi_state_tensor *tensors;
    size_t count;
    size_t capacity;
    float *staging;
    size_t staging_bytes;
} sfi_state;

void sfi_state_init(sfi_state *state, sfconv_context *context);
void sfi_state_clear(sfi_state *state);

/* Adds a tensor called `prefix` followed by `name`; `shape` holds `rank` sizes whose product does
 * not overflow. MEMORY. */
sfconv_status sfi_state_add(sfi_state *state, const char *prefix, const char *name, int32_t rank,
                            const int64_t *shape, float *data);
/* Adds all parameters and buffers of a net by their names. MEMORY. */
sfconv_status sfi_state_add_net(sfi_state *state, const sfconv_net *net);

/* Writes all tensors with `metadata`, which may be NULL. As sfi_file_write(). */
sfconv_status sfi_state_save(const sfi_state *state, const char *path,
                             const sfconv_metadata *metadata);

/* Reads what the file has for the tensors; `flags` and errors as sfconv_net_load(). */
sfconv_status sfi_state_stage(sfi_state *state, sfi_file_reader *reader, int32_t flags,
                              sfconv_progress_fn progress, void *user);
/* Copies what was staged to its targets. */
void sfi_state_commit(sfi_state *state);

#endif
