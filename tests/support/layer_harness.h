/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs one layer without a net: random inputs, memory of exactly the size the layer asks for with
 * canaries on both sides, scratch full of NaN, and what the layer does not keep taken away before
 * backward. */
#ifndef TESTS_LAYER_HARNESS_H
#define TESTS_LAYER_HARNESS_H

#include "support.h"

#include "kernels.h"
#include "layer_class.h"
#include "random.h"

#include <math.h>
#include <string.h>

#define HARNESS_SEED 20240301u
#define HARNESS_CANARY 64

/* A block of memory between two canaries. */
typedef struct harness_block {
    unsigned char *base;
    int64_t bytes;
} harness_block;

typedef struct harness {
    sfconv_layer *layer;
    bool training;
    int32_t input_count;
    sfi_shape in_shape[SFI_MAX_INPUTS];
    sfi_shape out_shape;
    sfi_layer_memory memory;
    harness_block in[SFI_MAX_INPUTS];
    harness_block grad_in[SFI_MAX_INPUTS];
    harness_block grad_parameter[SFI_MAX_PARAMETERS];
    harness_block out;
    harness_block grad_out;
    harness_block tape;
    harness_block scratch_forward;
    harness_block scratch_backward;
    /* Free to change between passes. */
    bool accumulate[SFI_MAX_INPUTS];
    bool want_grad_in[SFI_MAX_INPUTS];
    uint64_t step;
} harness;

/* A context with this many workers and instruction set; NULL where the machine lacks the latter. */
static inline sfconv_context *harness_context(int32_t workers, int32_t isa)
{
    const sfk_table *table = sfk_table_for(isa);
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context = NULL;
    if (!table) {
        return NULL;
    }
    desc.workers = workers;
    ck_assert_int_eq(sfi_context_create(&context, &desc, table, isa), SFCONV_OK);
    return context;
}

static inline harness_block harness_block_new(int64_t bytes)
{
    const size_t whole = (size_t)((bytes + 63) / 64 * 64 + 2 * HARNESS_CANARY);
    harness_block block = {aligned_alloc(64, whole), bytes};
    ck_assert_ptr_nonnull(block.base);
    memset(block.base, 0xa5, whole);
    return block;
}

static inline void *harness_memory(const harness_block *block)
{
    return block->base ? block->base + HARNESS_CANARY : NULL;
}

static inline float *harness_floats(const harness_block *block)
{
    return harness_memory(block);
}

static inline int64_t harness_count(const harness_block *block)
{
    return block->bytes / (int64_t)sizeof(float);
}

static inline void harness_check_canaries(const harness_block *block, const char *name)
{
    for (int64_t i = 0; block->base && i < HARNESS_CANARY; i++) {
        ck_assert_msg(block->base[i] == 0xa5, "%s: written before its begin", name);
        ck_assert_msg(block->base[HARNESS_CANARY + block->bytes + i] == 0xa5,
                      "%s: written behind its end", name);
    }
}

/* All bytes 0xff: NaN in float and double. */
static inline void harness_spoil(const harness_block *block)
{
    if (block->base) {
        memset(harness_memory(block), 0xff, (size_t)block->bytes);
    }
}

static inline void harness_zero(const harness_block *block)
{
    if (block->base) {
        memset(harness_memory(block), 0, (size_t)block->bytes);
    }
}

/* Numbers uniform in ±1. */
static inline void harness_fill(float *values, int64_t count, uint64_t stream)
{
    const sfi_random random = {HARNESS_SEED, stream};
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)(2 * sfi_random_uniform(random, (uint64_t)i) - 1);
    }
}

/* Opens a bench for the layer with these input shapes: random inputs and output gradient, zero
 * parameter gradients. The layer stays the caller's. */
static inline void harness_open(harness *bench, sfconv_layer *layer, bool training,
                                const sfi_shape *in, int32_t count)
{
    *bench = (harness){.layer = layer, .training = training, .input_count = count};
    memcpy(bench->in_shape, in, (size_t)count * sizeof *in);
    ck_assert_int_eq(layer->kind->infer(layer, training, in, count, &bench->out_shape), SFCONV_OK);
    if (layer->kind->memory) {
        ck_assert_int_eq(
            layer->kind->memory(layer, training, in, count, bench->out_shape, &bench->memory),
            SFCONV_OK);
    }
    const int64_t out_bytes = sfi_shape_count(bench->out_shape) * (int64_t)sizeof(float);
    for (int32_t i = 0; i < count; i++) {
        const int64_t bytes = sfi_shape_count(in[i]) * (int64_t)sizeof(float);
        bench->in[i] = harness_block_new(bytes);
        bench->grad_in[i] = harness_block_new(bytes);
        bench->want_grad_in[i] = true;
        harness_fill(harness_floats(&bench->in[i]), sfi_shape_count(in[i]), (uint64_t)i);
    }
    for (int32_t i = 0; i < layer->parameter_count; i++) {
        if (layer->parameters[i].role != SFCONV_PARAMETER_BUFFER) {
            bench->grad_parameter[i] =
                harness_block_new(layer->parameters[i].count * (int64_t)sizeof(float));
            harness_zero(&bench->grad_parameter[i]);
        }
    }
    bench->out = harness_block_new(out_bytes);
    bench->grad_out = harness_block_new(out_bytes);
    harness_fill(harness_floats(&bench->grad_out), sfi_shape_count(bench->out_shape), 100);
    bench->tape = harness_block_new(bench->memory.tape);
    bench->scratch_forward = harness_block_new(bench->memory.scratch_forward);
    bench->scratch_backward = harness_block_new(bench->memory.scratch_backward);
}

static inline void harness_close(harness *bench)
{
    for (int32_t i = 0; i < SFI_MAX_INPUTS; i++) {
        free(bench->in[i].base);
        free(bench->grad_in[i].base);
    }
    for (int32_t i = 0; i < SFI_MAX_PARAMETERS; i++) {
        free(bench->grad_parameter[i].base);
    }
    free(bench->out.base);
    free(bench->grad_out.base);
    free(bench->tape.base);
    free(bench->scratch_forward.base);
    free(bench->scratch_backward.base);
}

static inline void harness_check_all_canaries(const harness *bench)
{
    for (int32_t i = 0; i < bench->input_count; i++) {
        harness_check_canaries(&bench->in[i], "input");
        harness_check_canaries(&bench->grad_in[i], "input gradient");
    }
    for (int32_t i = 0; i < SFI_MAX_PARAMETERS; i++) {
        harness_check_canaries(&bench->grad_parameter[i], "parameter gradient");
    }
    harness_check_canaries(&bench->out, "output");
    harness_check_canaries(&bench->grad_out, "output gradient");
    harness_check_canaries(&bench->tape, "tape");
    harness_check_canaries(&bench->scratch_forward, "scratch of forward");
    harness_check_canaries(&bench->scratch_backward, "scratch of backward");
}

/* The pass record; pointers to its arrays stay valid until the next call. */
typedef struct harness_pass {
    sfi_pass pass;
    const float *in[SFI_MAX_INPUTS];
    float *grad_in[SFI_MAX_INPUTS];
    float *grad_parameter[SFI_MAX_PARAMETERS];
} harness_pass;

static inline void harness_prepare(harness *bench, harness_pass *record,
                                   const harness_block *scratch)
{
    for (int32_t i = 0; i < bench->input_count; i++) {
        record->in[i] = harness_floats(&bench->in[i]);
        record->grad_in[i] = bench->want_grad_in[i] ? harness_floats(&bench->grad_in[i]) : NULL;
    }
    for (int32_t i = 0; i < SFI_MAX_PARAMETERS; i++) {
        record->grad_parameter[i] = harness_floats(&bench->grad_parameter[i]);
    }
    record->pass = (sfi_pass){
        .context = bench->layer->context,
        .training = bench->training,
        .seed = HARNESS_SEED,
        .random_stream = 7,
        .step = bench->step,
        .input_count = bench->input_count,
        .in_shape = bench->in_shape,
        .out_shape = bench->out_shape,
        .in_span = {{bench->in_shape[0].h, 0, bench->in_shape[0].h},
                    {bench->in_shape[0].w, 0, bench->in_shape[0].w}},
        .in = record->in,
        .out = harness_floats(&bench->out),
        .grad_out = harness_floats(&bench->grad_out),
        .grad_in = record->grad_in,
        .accumulate = bench->accumulate,
        .grad_parameter = record->grad_parameter,
        .tape = bench->memory.tape ? harness_memory(&bench->tape) : NULL,
        .scratch = scratch->bytes ? harness_memory(scratch) : NULL,
    };
}

static inline void harness_forward(harness *bench)
{
    harness_pass record;
    harness_spoil(&bench->out);
    harness_spoil(&bench->tape);
    harness_spoil(&bench->scratch_forward);
    harness_prepare(bench, &record, &bench->scratch_forward);
    record.pass.grad_out = NULL;
    record.pass.grad_in = NULL;
    record.pass.accumulate = NULL;
    record.pass.grad_parameter = NULL;
    if (!bench->training) {
        record.pass.tape = NULL;
    }
    bench->layer->kind->forward(bench->layer, &record.pass);
    harness_spoil(&bench->scratch_forward);
    harness_check_all_canaries(bench);
}

/* Needs a training forward before. Input gradients that do not accumulate are NaN before it. */
static inline void harness_backward(harness *bench)
{
    harness_pass record;
    harness_block kept[SFI_MAX_INPUTS];
    for (int32_t i = 0; i < bench->input_count; i++) {
        kept[i] = harness_block_new(bench->in[i].bytes);
        memcpy(harness_memory(&kept[i]), harness_memory(&bench->in[i]), (size_t)bench->in[i].bytes);
        if (!bench->memory.keeps_inputs) {
            harness_spoil(&bench->in[i]);
        }
        if (!bench->accumulate[i]) {
            harness_spoil(&bench->grad_in[i]);
        }
    }
    if (!bench->memory.keeps_output) {
        harness_spoil(&bench->out);
    }
    harness_spoil(&bench->scratch_backward);
    harness_prepare(bench, &record, &bench->scratch_backward);
    bench->layer->kind->backward(bench->layer, &record.pass);
    harness_check_all_canaries(bench);
    for (int32_t i = 0; i < bench->input_count; i++) {
        memcpy(harness_memory(&bench->in[i]), harness_memory(&kept[i]), (size_t)bench->in[i].bytes);
        free(kept[i].base);
    }
}

static inline double harness_dot(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)a[i] * b[i];
    }
    return sum;
}

/* Σ outputs · output gradient after a forward with the layer's buffers as they were. */
static inline double harness_value(harness *bench)
{
    sfconv_layer *layer = bench->layer;
    float *saved[SFI_MAX_PARAMETERS] = {NULL};
    for (int32_t i = 0; i < layer->parameter_count; i++) {
        const sfi_parameter *parameter = &layer->parameters[i];
        const size_t bytes = (size_t)parameter->count * sizeof(float);
        saved[i] = malloc(bytes);
        memcpy(saved[i], parameter->data, bytes);
    }
    harness_forward(bench);
    for (int32_t i = 0; i < layer->parameter_count; i++) {
        memcpy(layer->parameters[i].data, saved[i],
               (size_t)layer->parameters[i].count * sizeof(float));
        free(saved[i]);
    }
    return harness_dot(harness_floats(&bench->out), harness_floats(&bench->grad_out),
                       sfi_shape_count(bench->out_shape));
}

/* Central difference of harness_value() along a random direction of ±1 against ⟨gradient,
 * direction⟩, which is as large as the gradient's norm in the mean. */
static inline void harness_check_direction(harness *bench, float *values, const float *gradient,
                                           int64_t count, uint64_t stream, double step,
                                           double tolerance, const char *name)
{
    const sfi_random random = {HARNESS_SEED, stream};
    const size_t bytes = (size_t)count * sizeof(float);
    float *before = malloc(bytes);
    float *direction = malloc(bytes);
    double side[2];
    memcpy(before, values, bytes);
    for (int64_t i = 0; i < count; i++) {
        direction[i] = sfi_random_bits(random, (uint64_t)i) & 1 ? 1.0f : -1.0f;
    }
    for (int s = 0; s < 2; s++) {
        for (int64_t i = 0; i < count; i++) {
            values[i] = before[i] + (float)(s ? -step : step) * direction[i];
        }
        side[s] = harness_value(bench);
    }
    memcpy(values, before, bytes);
    const double measured = (side[0] - side[1]) / (2 * step);
    const double expected = harness_dot(gradient, direction, count);
    const double scale = sqrt(harness_dot(gradient, gradient, count)) + 1e-6;
    ck_assert_msg(fabs(measured - expected) <= tolerance * scale,
                  "%s, direction %llu of seed %u: difference quotient %.9g, gradient %.9g", name,
                  (unsigned long long)stream, HARNESS_SEED, measured, expected);
    free(before);
    free(direction);
}

/* All gradients of the layer against difference quotients of width `step` along four directions a
 * tensor; `tolerance` is relative to the norm of the gradient. Random numbers of the layer
 * (dropout) stay the same through it. */
static inline void harness_check_gradients(harness *bench, double step, double tolerance)
{
    sfconv_layer *layer = bench->layer;
    ck_assert(bench->training);
    for (int32_t i = 0; i < layer->parameter_count; i++) {
        harness_zero(&bench->grad_parameter[i]);
    }
    harness_value(bench);
    harness_backward(bench);
    for (uint64_t round = 0; round < 4; round++) {
        for (int32_t i = 0; i < bench->input_count; i++) {
            harness_check_direction(
                bench, harness_floats(&bench->in[i]), harness_floats(&bench->grad_in[i]),
                harness_count(&bench->in[i]), 1000 + round, step, tolerance, "input");
        }
        for (int32_t i = 0; i < layer->parameter_count; i++) {
            if (bench->grad_parameter[i].base) {
                harness_check_direction(bench, layer->parameters[i].data,
                                        harness_floats(&bench->grad_parameter[i]),
                                        layer->parameters[i].count, 2000 + round, step, tolerance,
                                        layer->parameters[i].name);
            }
        }
    }
}

/* Backward adds to parameter gradients always, and to input gradients where it is told to. */
static inline void harness_check_accumulation(harness *bench, double tolerance)
{
    float *once[SFI_MAX_INPUTS + SFI_MAX_PARAMETERS];
    harness_block *gradients[SFI_MAX_INPUTS + SFI_MAX_PARAMETERS];
    int32_t count = 0;
    for (int32_t i = 0; i < bench->input_count; i++) {
        gradients[count++] = &bench->grad_in[i];
    }
    for (int32_t i = 0; i < SFI_MAX_PARAMETERS; i++) {
        if (bench->grad_parameter[i].base) {
            harness_zero(&bench->grad_parameter[i]);
            gradients[count++] = &bench->grad_parameter[i];
        }
    }
    harness_value(bench);
    harness_backward(bench);
    for (int32_t i = 0; i < count; i++) {
        once[i] = malloc((size_t)gradients[i]->bytes);
        memcpy(once[i], harness_memory(gradients[i]), (size_t)gradients[i]->bytes);
    }
    memset(bench->accumulate, 1, sizeof bench->accumulate);
    harness_value(bench);
    harness_backward(bench);
    memset(bench->accumulate, 0, sizeof bench->accumulate);
    for (int32_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < harness_count(gradients[i]); j++) {
            ck_assert_double_le(fabs(harness_floats(gradients[i])[j] - 2.0 * once[i][j]),
                                tolerance * (1 + fabs(once[i][j])));
        }
        free(once[i]);
    }
}

#endif
