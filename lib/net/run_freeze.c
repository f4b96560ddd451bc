/* SPDX-License-Identifier: BSD-2-Clause */
/* Weights of an inference run in the form that forward reads soonest, made once for many forwards.
 */
#include "run.h"

#include "error.h"
#include "memory.h"
#include "rank_step.h"

static void freeze_layer(const sfconv_run *run, int32_t index, unsigned char *frozen)
{
    const sfi_node *node = &run->net->nodes[index];
    sfi_shape in[SFI_MAX_INPUTS];
    for (int32_t j = 0; j < node->input_count; j++) {
        in[j] = run->plan.steps[node->inputs[j]].shape;
    }
    node->layer->kind->freeze(node->layer, in, run->plan.steps[index].shape, frozen);
}

static void freeze_all(const sfconv_run *run, unsigned char *frozen)
{
    const sfi_rank_plan *ranked = &run->plan.rank;
    for (int32_t i = 0; i < run->net->node_count; i++) {
        const int64_t of_layer = run->plan.steps[i].frozen;
        if (of_layer != SFI_NO_BUFFER) {
            freeze_layer(run, i, frozen + of_layer);
        }
        if (sfi_rank_has_step(ranked, i) && ranked->nodes[i].frozen != SFI_NO_BUFFER) {
            sfi_rank_freeze(run, i, frozen + ranked->nodes[i].frozen);
        }
    }
}

sfconv_status sfi_run_freeze(sfconv_run *run, void *memory, int64_t bytes)
{
    const int64_t needed = run->plan.frozen_bytes;
    unsigned char *frozen = memory;
    if (memory && bytes < needed) {
        return sfi_fail(run->context, SFCONV_ERROR_ARGUMENT,
                        "run: lent memory for frozen weights has %lld bytes, expected %lld",
                        (long long)bytes, (long long)needed);
    }
    if (!memory && run->frozen_owned) {
        /* Frozen again, in its own memory. */
        freeze_all(run, run->frozen);
        return SFCONV_OK;
    }
    if (!memory && needed > 0) {
        frozen = sfi_alloc(run->context, (size_t)needed);
        if (!frozen) {
            return sfi_fail_memory(run->context, "run: frozen weights", (size_t)needed);
        }
    }
    freeze_all(run, frozen);
    sfi_run_thaw(run);
    run->is_frozen = true;
    run->frozen = frozen;
    run->frozen_owned = memory ? 0 : (size_t)needed;
    return SFCONV_OK;
}

void sfi_run_thaw(sfconv_run *run)
{
    if (run->frozen_owned) {
        sfi_free(run->context, run->frozen, run->frozen_owned);
    }
    run->is_frozen = false;
    run->frozen = NULL;
    run->frozen_owned = 0;
}
