/* SPDX-License-Identifier: BSD-2-Clause */
/* The promise that outputs and gradients of a layer have the same bits for any number of workers
 * and every instruction set of this machine. */
#ifndef TESTS_LAYER_BITS_H
#define TESTS_LAYER_BITS_H

#include "layer_harness.h"

/* Makes the layer under test in `context`. */
typedef sfconv_layer *(*layer_maker)(sfconv_context *context, const void *settings);

/* Outputs, gradients and parameters of one forward and backward, one after the other. */
typedef struct layer_bits {
    unsigned char *bytes;
    size_t count;
} layer_bits;

static inline void layer_bits_append(layer_bits *bits, const void *memory, int64_t bytes)
{
    bits->bytes = realloc(bits->bytes, bits->count + (size_t)bytes);
    ck_assert_ptr_nonnull(bits->bytes);
    memcpy(bits->bytes + bits->count, memory, (size_t)bytes);
    bits->count += (size_t)bytes;
}

static inline layer_bits layer_bits_of(sfconv_context *context, layer_maker make,
                                       const void *settings, const sfi_shape *in, int32_t count)
{
    layer_bits bits = {NULL, 0};
    harness bench;
    sfconv_layer *layer = make(context, settings);
    harness_open(&bench, layer, true, in, count);
    harness_forward(&bench);
    harness_backward(&bench);
    layer_bits_append(&bits, harness_memory(&bench.out), bench.out.bytes);
    for (int32_t i = 0; i < count; i++) {
        layer_bits_append(&bits, harness_memory(&bench.grad_in[i]), bench.grad_in[i].bytes);
    }
    for (int32_t i = 0; i < layer->parameter_count; i++) {
        layer_bits_append(&bits, layer->parameters[i].data,
                          layer->parameters[i].count * (int64_t)sizeof(float));
        if (bench.grad_parameter[i].base) {
            layer_bits_append(&bits, harness_memory(&bench.grad_parameter[i]),
                              bench.grad_parameter[i].bytes);
        }
    }
    harness_close(&bench);
    sfi_layer_release(layer);
    return bits;
}

static inline void check_same_bits(layer_maker make, const void *settings, const sfi_shape *in,
                                   int32_t count)
{
    static const int32_t isas[] = {SFCONV_ISA_REFERENCE, SFCONV_ISA_AVX2, SFCONV_ISA_AVX512,
                                   SFCONV_ISA_NEON};
    static const int32_t workers[] = {1, 2, 3, 16};
    layer_bits first = {NULL, 0};
    for (int i = 0; i < 4; i++) {
        for (int w = 0; w < 4 && sfk_table_for(isas[i]); w++) {
            sfconv_context *context = harness_context(workers[w], isas[i]);
            const layer_bits bits = layer_bits_of(context, make, settings, in, count);
            if (!first.bytes) {
                first = bits;
            } else {
                ck_assert_uint_eq(bits.count, first.count);
                ck_assert_msg(memcmp(bits.bytes, first.bytes, bits.count) == 0,
                              "instruction set %d with %d workers: other bits", (int)isas[i],
                              (int)workers[w]);
                free(bits.bytes);
            }
            sfi_context_release(context);
        }
    }
    free(first.bytes);
}

/* The fastest instruction set and two workers. */
static inline sfconv_context *best_context(void)
{
    return harness_context(2, sfk_best_isa(SFCONV_ISA_BEST));
}

#endif
