/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_RUN_H
#define SFI_RUN_H

#include "plan.h"

/* The part of a larger image that the inputs of a run are, height and width; `whole` is 0 while
 * they are all of it. */
typedef struct sfi_image_part {
    int64_t start[2];
    int64_t whole[2];
} sfi_image_part;

struct sfconv_run {
    uint32_t magic;
    sfconv_context *context;
    sfconv_net *net;
    bool training;
    bool want_input_gradients;
    /* SFCONV_ENGINE_… of the next reshape. */
    int32_t engine;
    /* A plan is in force. */
    bool shaped;
    /* A forward whose tape no backward has used. */
    bool taped;
    uint64_t seed;
    uint64_t step;
    sfi_image_part window;
    sfi_plan plan;
    /* Where reshape prepares the next plan, so that a failure keeps the present one. */
    sfi_plan next;
    unsigned char *memory;
    /* What to give back to the allocator; 0 when the memory is lent. */
    size_t owned_bytes;
    /* Weights as forward reads them soonest, the plan's frozen_bytes; NULL while the parameters
     * themselves are read. frozen_owned: what to give back. */
    bool is_frozen;
    unsigned char *frozen;
    size_t frozen_owned;
    /* Gradient of each parameter of the net in `memory`; NULL for buffers. */
    float **gradients;
};

#define SFI_RUN_MAGIC 0x5fc05255u

sfconv_status sfi_run_new(sfconv_run **run, sfconv_net *net, int32_t mode);
void sfi_run_release(sfconv_run *run);
sfconv_status sfi_run_reshape(sfconv_run *run, const sfconv_shape *inputs, int32_t count,
                              void *memory, int64_t bytes);
/* Bytes that sfi_run_reshape() would take. */
sfconv_status sfi_run_bytes(const sfconv_run *run, const sfconv_shape *inputs, int32_t count,
                            int64_t *bytes);
/* SHAPE where an input does not fit into the window, or where a map that depends on the whole does
 * not begin and end at its pixels. */
sfconv_status sfi_run_set_window(sfconv_run *run, sfi_image_part window);
/* Height (axis 0) or width of a node's map as a window of the whole. */
sfi_span sfi_run_span(const sfconv_run *run, int32_t node, int axis);
/* Makes the frozen weights of the present parameters in `memory`, or in the allocator's. ARGUMENT
 * or MEMORY, and then nothing has changed. */
sfconv_status sfi_run_freeze(sfconv_run *run, void *memory, int64_t bytes);
void sfi_run_thaw(sfconv_run *run);
void sfi_run_forward(sfconv_run *run);
void sfi_run_backward(sfconv_run *run);
void sfi_run_zero_gradients(sfconv_run *run);
sfconv_status sfi_run_regularize(sfconv_run *run, double *value);

/* Value or gradient of a node, NULL where the plan keeps none. */
float *sfi_run_value(const sfconv_run *run, int32_t node);
float *sfi_run_gradient(const sfconv_run *run, int32_t node);

/* The plan in words: writes as snprintf does and returns the whole length. */
size_t sfi_run_describe(const sfconv_run *run, char *buffer, size_t capacity);

#endif
