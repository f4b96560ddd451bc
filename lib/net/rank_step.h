/* SPDX-License-Identifier: BSD-2-Clause */
/* One step of rank-space execution: everything that a base does. */
#ifndef SFI_RANK_STEP_H
#define SFI_RANK_STEP_H

#include "kernels.h"
#include "run.h"

/* What the step of base `node` needs, in bytes; all 0 where it has nothing to do. */
typedef struct sfi_rank_bytes {
    /* Folded weights and tables, the same for all workers. */
    int64_t folded;
    /* Strips of all workers. */
    int64_t scratch;
} sfi_rank_bytes;

sfi_rank_bytes sfi_rank_step_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node);
/* Of `folded` the weights alone; and what of them a frozen run keeps, 0: nothing. */
int64_t sfi_rank_weights_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node);
int64_t sfi_rank_frozen_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node);
void sfi_rank_freeze(const sfconv_run *run, int32_t node, unsigned char *frozen);
/* Bytes of the maps that consumer `node` gathers; 0 for a 1x1 convolution, whose maps are its
 * value. */
int64_t sfi_rank_maps_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node);
/* Bytes of the mixed maps of a sink that wait. */
int64_t sfi_rank_mixed_bytes(const sfi_plan *plan, const sfconv_net *net,
                             const sfi_rank_sink *sink);

/* Expands the unit that ends in `node`, if any, and serves the sinks of its map. */
void sfi_rank_step(const sfconv_run *run, int32_t node);

/* Memory of a consumer's maps. */
float *sfi_rank_target(const sfconv_run *run, int32_t consumer);

/* Sets the maps' rows above and below the image to zero. */
void sfi_rank_clear_padding(const sfi_rank_maps *maps, int64_t images, int64_t height,
                            float *target);
/* Where row `row` of the image lies in a map. */
static inline int64_t sfi_rank_row(const sfi_rank_maps *maps, int64_t row)
{
    const int64_t padded = row + maps->padding;
    return (padded % maps->residues * maps->rows + padded / maps->residues) * maps->width;
}
/* Whether any vertical tap reads row `row` of the image. */
bool sfi_rank_row_is_read(const sfi_rank_maps *maps, int64_t row);

/* From rows of mixed maps, `width` wide and `stride` apart, one for each horizontal tap, to a row
 * of the maps, begun anew; or from the gradient of such a row to theirs. */
static inline sfk_shift sfi_rank_shift_of(const sfi_rank_maps *maps, const float *from,
                                          int64_t stride, int64_t width)
{
    return (sfk_shift){.from = from,
                       .tap_stride = stride,
                       .taps = maps->taps,
                       .stride = maps->stride,
                       .dilation = maps->dilation,
                       .padding = maps->shift,
                       .width = width,
                       .out_width = maps->width};
}

#endif
