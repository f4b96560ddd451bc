/* SPDX-License-Identifier: BSD-2-Clause */
#include "dense_weights.h"

#include "error.h"
#include "factorize.h"
#include "memory.h"
#include "sizes.h"
#include "unfold.h"

#include <assert.h>
#include <string.h>

#define Q_ENDING ".q.weight"
#define P_ENDING ".p.weight"
#define DENSE_ENDING ".weight"

/* A tensor's name with the ending of a first factor replaced, or "" when it has another ending or
 * no name of the library is that long. */
static void replace_ending(char *name, size_t capacity, const char *q_name, const char *ending)
{
    const size_t length = strlen(q_name);
    const size_t kept = length - sizeof Q_ENDING + 1;
    name[0] = '\0';
    if (length >= sizeof Q_ENDING && strcmp(q_name + kept, Q_ENDING) == 0 &&
        length + strlen(ending) < capacity) {
        memcpy(name, q_name, kept);
        strcpy(name + kept, ending);
    }
}

static sfi_state_tensor *find_target(sfi_state *state, const char *name)
{
    for (size_t i = 0; i < state->count; i++) {
        if (strcmp(state->tensors[i].name, name) == 0) {
            return &state->tensors[i];
        }
    }
    return NULL;
}

bool sfi_dense_weight_find(sfi_dense_weight *weight, sfi_state *state, sfi_state_tensor *q,
                           const sfi_file_reader *reader)
{
    char name[2 * SFI_MAX_NAME];
    replace_ending(name, sizeof name, q->name, DENSE_ENDING);
    weight->q = q;
    weight->dense = sfi_file_header_find(sfi_file_reader_header(reader), name);
    replace_ending(name, sizeof name, q->name, P_ENDING);
    weight->p = find_target(state, name);
    return weight->dense && weight->p;
}

sfconv_status sfi_dense_weight_check(const sfi_dense_weight *weight, const sfi_file_reader *reader)
{
    const sfi_state_tensor *q = weight->q;
    assert(q->rank == 4 && weight->p->rank == 4);
    const int64_t shape[4] = {weight->p->shape[0], q->shape[1], weight->p->shape[2], q->shape[3]};
    return sfi_file_tensor_check(reader, weight->dense, 4, shape);
}

sfconv_status sfi_dense_weight_stage(const sfi_dense_weight *weight, sfi_file_reader *reader,
                                     sfconv_progress_fn progress, void *user)
{
    sfconv_context *context = sfi_file_reader_header(reader)->context;
    const int64_t *shape = weight->dense->shape;
    const int64_t rank = weight->q->shape[0];
    const int64_t rows = shape[0] * shape[2];
    const int64_t cols = shape[1] * shape[3];
    const size_t dense_bytes = (size_t)weight->dense->count * sizeof(float);
    const size_t p_bytes = (size_t)weight->p->count * sizeof(float);
    double error;
    float *dense = sfi_alloc(context, dense_bytes);
    float *matrix = sfi_alloc(context, dense_bytes);
    float *p = sfi_alloc(context, p_bytes);
    sfconv_status status = SFCONV_OK;
    if (!dense || !matrix || !p) {
        status = sfi_fail_memory(context, weight->dense->name, 2 * dense_bytes + p_bytes);
    }
    if (status == SFCONV_OK) {
        status = sfi_file_reader_read(reader, weight->dense, dense);
    }
    if (status == SFCONV_OK) {
        sfi_unfold(shape[0], shape[1], shape[2], shape[3], dense, matrix);
        sfi_error_scope scope = {.name = weight->dense->name};
        sfi_error_enter(context, &scope);
        status = sfi_decompose(context, rows, cols, matrix, rank, SFI_SVD_EXACT, p,
                               weight->q->staged, &error, NULL, (sfi_progress){progress, user});
        sfi_error_leave(context, &scope);
    }
    if (status == SFCONV_OK) {
        sfi_p_to_weight(shape[0], rank, shape[2], p, weight->p->staged);
    }
    sfi_free(context, dense, dense_bytes);
    sfi_free(context, matrix, dense_bytes);
    sfi_free(context, p, p_bytes);
    return status;
}
