/* SPDX-License-Identifier: BSD-2-Clause */
/* What every kind of layer is to the rest of the library. One file a kind implements the calls of
 * sfi_layer_class; nets and runs know nothing else of it. */
#ifndef SFI_LAYER_CLASS_H
#define SFI_LAYER_CLASS_H

#include "ctx.h"
#include "finish.h"
#include "macs.h"

#include "sfconv/layer.h"

#include <stdbool.h>

#define SFI_MAX_PARAMETERS 6
#define SFI_MAX_INPUTS 16
#define SFI_MAX_NAME 200

/* Sizes of an activation, each at least 1; products are checked before a shape is accepted. */
typedef struct sfi_shape {
    int64_t n;
    int64_t c;
    int64_t h;
    int64_t w;
} sfi_shape;

/* An axis of a map that may be a window of a larger one: `size` positions from `start` of `whole`.
 */
typedef struct sfi_span {
    int64_t size;
    int64_t start;
    int64_t whole;
} sfi_span;

static inline int64_t sfi_shape_count(sfi_shape shape)
{
    return shape.n * shape.c * shape.h * shape.w;
}

typedef struct sfi_parameter {
    /* Static text, "q.weight". */
    const char *name;
    int32_t role;
    int32_t rank;
    int64_t shape[4];
    int64_t count;
    /* The layer's own memory. */
    float *data;
} sfi_parameter;

/* What one pass of one node needs. Sizes in bytes. "Tape" lives from forward to backward of a
 * training run; "scratch" dies with the call. */
typedef struct sfi_layer_memory {
    int64_t tape;
    int64_t scratch_forward;
    int64_t scratch_backward;
    /* Whether backward reads the inputs or the output of forward; what nobody reads is not kept. */
    bool keeps_inputs;
    bool keeps_output;
} sfi_layer_memory;

/* One pass over one node. All pointers are contiguous NCHW, 64-byte aligned. */
typedef struct sfi_pass {
    sfconv_context *context;
    bool training;
    /* Key of the node's random numbers: dropout draws stream `random_stream` of `seed`, number
     * `index` + step · count. */
    uint64_t seed;
    uint64_t random_stream;
    uint64_t step;
    int32_t input_count;
    const sfi_shape *in_shape;
    sfi_shape out_shape;
    /* Height and width of the first input. */
    sfi_span in_span[2];
    const float *const *in;
    float *out;
    /* Backward only. grad_in[i] is NULL where nobody wants it; accumulate[i] says whether to add to
     * it or to overwrite it. grad_parameter[i] is added to; NULL for buffers. */
    const float *grad_out;
    float *const *grad_in;
    const bool *accumulate;
    float *const *grad_parameter;
    void *tape;
    void *scratch;
    /* Inference only: what `freeze` made, or NULL. */
    const void *frozen;
    /* Inference of kinds that finish: what to do to the output before it is stored, or NULL. */
    const sfi_finish *finish;
} sfi_pass;

#define SFI_REGULARIZER_PARTS 2

/* What a part of a regularizer gave. */
typedef struct sfi_term {
    double value;
    /* NULL, or why it is not defined (NUMERIC), and for which parameter: NULL for all. */
    const char *reason;
    const char *parameter;
} sfi_term;

/* Multiply-adds of forward, and of backward without the gradient of the input and what that adds.
 */
typedef struct sfi_layer_macs {
    sfi_macs forward;
    sfi_macs backward;
    sfi_macs input_gradient;
} sfi_layer_macs;

typedef struct sfi_layer_class {
    /* Public name of the kind. */
    const char *kind;
    int32_t min_inputs;
    int32_t max_inputs;
    /* Bytes of the kind's structure, which begins with struct sfconv_layer. */
    size_t bytes;
    /* Output shape for these inputs, or SHAPE / OVERFLOW with the reason "expected …, got …" in the
     * context. The caller has checked that each input's element count does not overflow. */
    sfconv_status (*infer)(const sfconv_layer *layer, bool training, const sfi_shape *in,
                           int32_t count, sfi_shape *out);
    /* Pixels of the input between neighbours of the output, 2 for a stride of 2; axis 0 is the
     * height. NULL for kinds where it is 1. */
    double (*spacing)(const sfconv_layer *layer, int axis);
    /* Fills `memory` (zeroed by the caller) for a pass of these shapes; NULL for kinds that keep
     * and need nothing. */
    sfconv_status (*memory)(const sfconv_layer *layer, bool training, const sfi_shape *in,
                            int32_t count, sfi_shape out, sfi_layer_memory *memory);
    /* Multiply-adds of a forward pass; NULL for kinds that count none. */
    int64_t (*macs)(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out);
    /* Those of them whose factor is the input; NULL where it is so for all. Backward repeats `macs`
     * for the gradients of the weights and once more for those of what they are multiplied with,
     * but without these where the gradient of the input is not wanted. */
    int64_t (*input_macs)(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out);
    /* The passes as the context computes them; NULL for kinds that know direct sums alone. */
    sfi_layer_macs (*count)(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out);
    /* Parameters in the form that forward reads soonest, made once for many passes of inference of
     * these shapes. Bytes, 0 where nothing is gained and `freeze` is not called, or OVERFLOW; NULL
     * for kinds without. Forward gives the same bits with it. */
    sfconv_status (*frozen_bytes)(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out,
                                  int64_t *bytes);
    void (*freeze)(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out, void *frozen);
    void (*forward)(sfconv_layer *layer, const sfi_pass *pass);
    /* Inference gives the input as it is; forward is called in training alone. */
    bool passes_in_inference;
    /* Whether forward does what pass->finish says. */
    bool finishes;
    void (*backward)(sfconv_layer *layer, const sfi_pass *pass);
    /* Draws parameters, resets buffers; NULL for kinds without parameters. */
    sfconv_status (*initialize)(sfconv_layer *layer, uint64_t seed);
    /* Frees what the kind holds beyond its parameters; may be NULL. */
    void (*destroy)(sfconv_layer *layer);
    /* Whether a regularizer with λ > 0 is set; NULL for kinds without. */
    bool (*regularizes)(const sfconv_layer *layer);
    /* Parts of the regularizer, which may be evaluated at the same time: their number, and for each
     * how much work it is, by which the caller orders them. NULL for kinds without. */
    int32_t (*regularizer_parts)(const sfconv_layer *layer, double work[SFI_REGULARIZER_PARTS]);
    /* One part: adds λ · gradient to grad_parameter, which no other part touches, and gives λ · F,
     * or says what failed and adds nothing. `scratch` has regularizer_scratch() bytes, which do not
     * depend on the regularizer that is set. Any thread of the context's; allocates nothing. */
    sfi_term (*regularize)(const sfconv_layer *layer, int32_t part, float *const *grad_parameter,
                           void *scratch);
    int64_t (*regularizer_scratch)(const sfconv_layer *layer);
} sfi_layer_class;

struct sfconv_layer {
    uint32_t magic;
    atomic_int references;
    const sfi_layer_class *kind;
    sfconv_context *context;
    int32_t parameter_count;
    sfi_parameter parameters[SFI_MAX_PARAMETERS];
};

#define SFI_LAYER_MAGIC 0x5fc04c59u

/* NUMERIC with the reason of a term that has one, in front of it the parameter. */
sfconv_status sfi_fail_term(sfconv_context *context, const sfi_term *term);

/* A zeroed structure of kind->bytes with its common part filled, one reference; NULL when memory
 * runs out. */
sfconv_layer *sfi_layer_new(sfconv_context *context, const sfi_layer_class *kind);
/* Adds a zeroed parameter of `rank` sizes: OVERFLOW or MEMORY with the reason. */
sfconv_status sfi_layer_add_parameter(sfconv_layer *layer, const char *name, int32_t role,
                                      int32_t rank, const int64_t *shape);
sfconv_layer *sfi_layer_retain(sfconv_layer *layer);
/* NULL is allowed, so that it serves a fail: label. */
void sfi_layer_release(sfconv_layer *layer);

/* Fills a parameter with numbers uniform in ±bound, a function of seed and the parameter's name. */
void sfi_parameter_uniform(sfi_parameter *parameter, uint64_t seed, double bound);
void sfi_parameter_fill(sfi_parameter *parameter, float value);

/* 0 for kinds that count none. */
sfi_layer_macs sfi_layer_count(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out);

/* The `infer` of kinds that work element by element and take any shape. */
sfconv_status sfi_infer_unchanged(const sfconv_layer *layer, bool training, const sfi_shape *in,
                                  int32_t count, sfi_shape *out);

/* Output size of a sliding window; 0 or less when it does not fit. */
int64_t sfi_window_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding,
                        int64_t dilation);

#endif
