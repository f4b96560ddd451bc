/* SPDX-License-Identifier: BSD-2-Clause */
/* Why the planner leaves a node to its layer, or has the map of a unit stored. */
#ifndef SFI_RANK_REASON_H
#define SFI_RANK_REASON_H

#include <stddef.h>
#include <stdint.h>

struct sfconv_net;
struct sfi_rank_node;

enum sfi_rank_reason {
    SFI_REASON_NONE,
    /* Its kind has no part in rank space. */
    SFI_REASON_KIND,
    SFI_REASON_SPECTRAL_NORM,
    /* In training, statistics from the moments of its many taps take longer than a stored map. */
    SFI_REASON_MOMENTS,
    /* Sizes that a step multiplies overflow. */
    SFI_REASON_SIZES,
    /* What makes a dense convolution more than a mixing of channels, or too wide a one. */
    SFI_REASON_KERNEL,
    SFI_REASON_STRIDE,
    SFI_REASON_PADDING,
    SFI_REASON_GROUPS,
    SFI_REASON_CHANNELS,
    /* Of a dense convolution of an input: too many taps for a stem, or a stem in training that
     * lacks what SFI_REASON_STEM says of it in words. */
    SFI_REASON_TAPS,
    SFI_REASON_STEM,
    SFI_REASON_ACTIVATION,
    /* It follows no unit; or does, but others read the map of `reader` between them. */
    SFI_REASON_APART,
    SFI_REASON_SHARED,
    /* An average pooling behind which very many maps are mixed. */
    SFI_REASON_AVERAGED,
    /* The map is wanted: as output, by node `reader`, or as the pooled rows of a stem. */
    SFI_REASON_OUTPUT,
    SFI_REASON_READ,
    SFI_REASON_POOLED
};

/* The reason of node `index`, as snprintf() writes; an empty text where there is none. */
void sfi_rank_reason_text(const struct sfi_rank_node *self, const struct sfconv_net *net,
                          int32_t index, char *text, size_t capacity);

#endif
