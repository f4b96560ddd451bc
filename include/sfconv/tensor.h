/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFCONV_TENSOR_H
#define SFCONV_TENSOR_H

#include "sfconv/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A window on float32 numbers that somebody else owns. Element (i0, i1, …) is at
 * data[i0 * stride[0] + i1 * stride[1] + …]; axes at and behind `rank` are ignored. Activations
 * have rank 4: batch, channels, height, width. A view that a call hands out names how long it is
 * valid. Since: 0.1
 */
typedef struct sfconv_view {
    float *data;
    /** Number of axes, 1 to 4. */
    int32_t rank;
    /** Zero. */
    int32_t reserved;
    int64_t shape[4];
    /** In elements; not negative. */
    int64_t stride[4];
} sfconv_view;

/**
 * Fills `view` for contiguous numbers in the order of `shape`.
 * Errors: ARGUMENT (NULL, rank outside 1 to 4, a size below 1), OVERFLOW. Any thread.
 * Since: 0.1
 */
SFCONV_API sfconv_status sfconv_view_init(sfconv_view *view, float *data, int32_t rank,
                                          const int64_t *shape);

/** Number of elements of a view, 0 for NULL or a view that is not valid. Any thread. Since: 0.1 */
SFCONV_API int64_t sfconv_view_count(const sfconv_view *view);

/**
 * Copies the elements of `source` to `target`, whatever the strides; the two must not overlap.
 * Errors: ARGUMENT, SHAPE (the shapes differ). No context takes part, so none keeps the reason:
 * sfconv_run_set_input() fills the input of a run and names both shapes. Any thread.
 * Since: 0.1
 */
SFCONV_API sfconv_status sfconv_view_copy(const sfconv_view *target, const sfconv_view *source);

#ifdef __cplusplus
}
#endif

#endif
