/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_OPTIMIZERS_H
#define SFI_OPTIMIZERS_H

#include "parameter_pieces.h"
#include "run.h"

#include "sfconv/train.h"

struct sfconv_optimizer {
    uint32_t magic;
    sfconv_net *net;
    sfconv_optimizer_desc settings;
    /* A checkpoint is this number and the arrays of sfi_optimizer_state(). */
    int64_t steps;
    sfi_parameter_store state;
};

#define SFI_OPTIMIZER_MAGIC 0x5fc04f50u

/* The settings have been checked. MEMORY, OVERFLOW. */
sfconv_status sfi_optimizer_new(sfconv_optimizer **optimizer, sfconv_net *net,
                                const sfconv_optimizer_desc *settings);
void sfi_optimizer_release(sfconv_optimizer *optimizer);

/* One step with the gradients of a training run of the same net. NUMERIC with the parameter's name,
 * STATE when the net has changed; then nothing is changed. */
sfconv_status sfi_optimizer_step(sfconv_optimizer *optimizer, const sfconv_run *run, double rate);

/* The arrays of the state: "momentum_buffer" of SGD, "exp_avg" and "exp_avg_sq" of Adam. */
int32_t sfi_optimizer_state_count(const sfconv_optimizer *optimizer);
sfi_state_array sfi_optimizer_state(const sfconv_optimizer *optimizer, int32_t index);

#endif
