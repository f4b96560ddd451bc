/* SPDX-License-Identifier: BSD-2-Clause */
#include "dense_weights.h"
#include "error.h"
#include "memory.h"
#include "sizes.h"
#include "state.h"

#include <string.h>

/* Where the numbers of one target come from. */
typedef struct source {
    /* The tensor of the target's own name, or NULL. */
    const sfi_file_tensor *tensor;
    /* Where the target is the first of two factors that the file holds as one; dense is NULL
     * otherwise. */
    sfi_dense_weight weight;
    bool found;
} source;

typedef struct load {
    sfi_state *state;
    sfi_file_reader *reader;
    const sfi_file_header *header;
    int32_t flags;
    sfconv_progress_fn progress;
    void *user;
    /* One for each target. */
    source *sources;
    /* One for each tensor of the file: somebody wants it. */
    bool *used;
    int64_t done_bytes;
    int64_t current_bytes;
    int64_t total_bytes;
} load;

static void mark_used(load *l, const sfi_file_tensor *tensor)
{
    l->used[tensor - l->header->tensors] = true;
    l->total_bytes += tensor->bytes;
}

/* Finds the tensors of the targets' own names. */
static sfconv_status match_names(load *l)
{
    for (size_t i = 0; i < l->state->count; i++) {
        const sfi_state_tensor *target = &l->state->tensors[i];
        const sfi_file_tensor *tensor = sfi_file_header_find(l->header, target->name);
        if (!tensor) {
            continue;
        }
        const sfconv_status status =
            sfi_file_tensor_check(l->reader, tensor, target->rank, target->shape);
        if (status < 0) {
            return status;
        }
        l->sources[i].tensor = tensor;
        l->sources[i].found = true;
        mark_used(l, tensor);
    }
    return SFCONV_OK;
}

/* Whether factor `i` and its partner are both not in the file, which has their dense weight. */
static bool find_dense_weight(const load *l, size_t i, sfi_dense_weight *weight)
{
    return !l->sources[i].found &&
           sfi_dense_weight_find(weight, l->state, &l->state->tensors[i], l->reader) &&
           !l->sources[weight->p - l->state->tensors].found;
}

static sfconv_status match_dense_weights(load *l)
{
    for (size_t i = 0; i < l->state->count; i++) {
        sfi_dense_weight weight;
        if (!find_dense_weight(l, i, &weight)) {
            continue;
        }
        const sfconv_status status = sfi_dense_weight_check(&weight, l->reader);
        if (status < 0) {
            return status;
        }
        l->sources[i].weight = weight;
        l->sources[i].found = true;
        l->sources[weight.p - l->state->tensors].found = true;
        mark_used(l, weight.dense);
    }
    return SFCONV_OK;
}

static bool ends_with(const char *text, const char *ending)
{
    const size_t length = strlen(text);
    const size_t ending_length = strlen(ending);
    return length >= ending_length && strcmp(text + length - ending_length, ending) == 0;
}

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* Tensors that nobody wants and that are no mistake. */
static bool passes_over(const load *l, const char *name)
{
    const bool part = begins_with(name, SFI_PART_OPTIMIZER) || begins_with(name, SFI_PART_AVERAGE);
    return (l->flags & SFCONV_LOAD_IGNORE_UNKNOWN) || ends_with(name, "num_batches_tracked") ||
           (part && (l->flags & SFI_LOAD_PASS_PARTS));
}

/* Without the flag a dense weight is unknown and its factors are missing; how to load it is what
 * the caller wants to know. */
static sfconv_status refuse_dense_weights(const load *l)
{
    for (size_t i = 0; i < l->state->count; i++) {
        sfi_dense_weight weight;
        if (!find_dense_weight(l, i, &weight) ||
            ((l->flags & SFCONV_LOAD_KEEP_MISSING) && passes_over(l, weight.dense->name))) {
            continue;
        }
        return sfi_fail(l->state->context, SFCONV_ERROR_NOT_FOUND,
                        "%s: tensor \"%.100s\": expected its factors, got a dense weight, which "
                        "SFCONV_LOAD_DECOMPOSE decomposes",
                        sfi_file_reader_name(l->reader), weight.dense->name);
    }
    return SFCONV_OK;
}

static sfconv_status refuse_unknown_and_missing(const load *l)
{
    for (size_t i = 0; i < l->header->count; i++) {
        const char *name = l->header->tensors[i].name;
        if (!l->used[i] && !passes_over(l, name)) {
            return sfi_fail(l->state->context, SFCONV_ERROR_NOT_FOUND,
                            "%s: tensor \"%.100s\": expected in the net, got none of that name",
                            sfi_file_reader_name(l->reader), name);
        }
    }
    for (size_t i = 0; i < l->state->count; i++) {
        if (!l->sources[i].found && !(l->flags & SFCONV_LOAD_KEEP_MISSING)) {
            return sfi_fail(l->state->context, SFCONV_ERROR_NOT_FOUND,
                            "%s: tensor \"%.100s\": expected in the file, got none of that name",
                            sfi_file_reader_name(l->reader), l->state->tensors[i].name);
        }
    }
    return SFCONV_OK;
}

/* One block for all that will be read. */
static sfconv_status make_staging(load *l)
{
    sfi_state *state = l->state;
    int64_t count = 0;
    int64_t bytes;
    for (size_t i = 0; i < state->count; i++) {
        if (l->sources[i].found && !sfi_add(&count, count, state->tensors[i].count)) {
            return sfi_fail(state->context, SFCONV_ERROR_OVERFLOW, "%s: its size overflows",
                            sfi_file_reader_name(l->reader));
        }
    }
    if (!sfi_mul(&bytes, count, (int64_t)sizeof(float))) {
        return sfi_fail(state->context, SFCONV_ERROR_OVERFLOW, "%s: its size overflows",
                        sfi_file_reader_name(l->reader));
    }
    float *next = sfi_alloc(state->context, (size_t)bytes);
    if (bytes > 0 && !next) {
        return sfi_fail_memory(state->context, sfi_file_reader_name(l->reader), (size_t)bytes);
    }
    state->staging = next;
    state->staging_bytes = (size_t)bytes;
    for (size_t i = 0; i < state->count; i++) {
        if (l->sources[i].found) {
            state->tensors[i].staged = next;
            next += state->tensors[i].count;
        }
    }
    return SFCONV_OK;
}

/* The caller's progress over the whole file from that within one tensor. */
static int32_t report(void *user, double part)
{
    const load *l = user;
    const double done = (double)l->done_bytes + part * (double)l->current_bytes;
    return l->progress ? l->progress(l->user, l->total_bytes ? done / (double)l->total_bytes : 1.0)
                       : 0;
}

static sfconv_status read_all(load *l)
{
    for (size_t i = 0; i < l->state->count; i++) {
        const source *from = &l->sources[i];
        const sfi_file_tensor *tensor = from->tensor ? from->tensor : from->weight.dense;
        if (!tensor) {
            continue;
        }
        l->current_bytes = tensor->bytes;
        const sfconv_status status =
            from->tensor ? sfi_file_reader_read(l->reader, tensor, l->state->tensors[i].staged)
                         : sfi_dense_weight_stage(&from->weight, l->reader, report, l);
        if (status < 0) {
            return status;
        }
        l->done_bytes += tensor->bytes;
        l->current_bytes = 0;
        if (report(l, 0.0) != 0) {
            return sfi_fail(l->state->context, SFCONV_ERROR_CANCELLED, "%s: loading was cancelled",
                            sfi_file_reader_name(l->reader));
        }
    }
    return SFCONV_OK;
}

sfconv_status sfi_state_stage(sfi_state *state, sfi_file_reader *reader, int32_t flags,
                              sfconv_progress_fn progress, void *user)
{
    const sfi_file_header *header = sfi_file_reader_header(reader);
    sfconv_context *context = state->context;
    /* One more of each, so that nothing to load has memory too. */
    const size_t source_count = state->count + 1;
    const size_t used_count = header->count + 1;
    load l = {state, reader, header, flags, progress, user, NULL, NULL, 0, 0, 0};
    l.sources = sfi_calloc(context, source_count, sizeof *l.sources);
    l.used = sfi_calloc(context, used_count, sizeof *l.used);
    sfconv_status status = SFCONV_OK;
    if (!l.sources || !l.used) {
        status = sfi_fail_memory(context, sfi_file_reader_name(reader),
                                 source_count * sizeof *l.sources + used_count);
    }
    if (status == SFCONV_OK) {
        status = match_names(&l);
    }
    if (status == SFCONV_OK) {
        status = flags & SFCONV_LOAD_DECOMPOSE ? match_dense_weights(&l) : refuse_dense_weights(&l);
    }
    if (status == SFCONV_OK) {
        status = refuse_unknown_and_missing(&l);
    }
    if (status == SFCONV_OK) {
        status = make_staging(&l);
    }
    if (status == SFCONV_OK) {
        status = read_all(&l);
    }
    sfi_free(context, l.sources, source_count * sizeof *l.sources);
    sfi_free(context, l.used, used_count * sizeof *l.used);
    return status;
}

void sfi_state_commit(sfi_state *state)
{
    for (size_t i = 0; i < state->count; i++) {
        const sfi_state_tensor *tensor = &state->tensors[i];
        if (tensor->staged) {
            memcpy(tensor->data, tensor->staged, (size_t)tensor->count * sizeof(float));
        }
    }
}
