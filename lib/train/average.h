/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_AVERAGE_H
#define SFI_AVERAGE_H

#include "parameter_pieces.h"

#include "sfconv/train.h"

struct sfconv_average {
    uint32_t magic;
    sfconv_net *net;
    double decay;
    /* The net holds the average, and the store the net's own parameters. */
    bool exchanged;
    sfi_parameter_store state;
};

#define SFI_AVERAGE_MAGIC 0x5fc04156u

/* MEMORY, OVERFLOW. */
sfconv_status sfi_average_new(sfconv_average **average, sfconv_net *net, double decay);
void sfi_average_release(sfconv_average *average);
/* STATE while exchanged, or when the net has changed. */
sfconv_status sfi_average_update(sfconv_average *average);
sfconv_status sfi_average_swap(sfconv_average *average);

/* The arrays of the state, "average" of each parameter and buffer; a checkpoint is taken while not
 * exchanged. */
int32_t sfi_average_state_count(const sfconv_average *average);
sfi_state_array sfi_average_state(const sfconv_average *average, int32_t index);

#endif
