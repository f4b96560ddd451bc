/* SPDX-License-Identifier: BSD-2-Clause */
#include "overlap.h"

#include "grid.h"

struct counts {
    /* [in the mask][predicted] */
    int64_t pixels[2][2];
};

static void count_row(struct counts *counts, const sfi_grid *logits, const sfi_grid *mask,
                      int64_t plane, int64_t row, double threshold)
{
    const float *x = sfi_grid_row(logits, plane, row);
    const float *m = sfi_grid_row(mask, plane, row);
    for (int64_t j = 0; j < logits->shape[3]; j++) {
        const int truth = m[j * mask->stride[3]] > 0.5f;
        const int predicted = (double)x[j * logits->stride[3]] > threshold;
        counts->pixels[truth][predicted]++;
    }
}

sfconv_status sfi_overlap_add(sfconv_context *context, sfconv_overlap *overlap,
                              const sfconv_view *logits, const sfconv_view *mask, double threshold)
{
    const sfi_grid logit_grid = sfi_grid_of(logits);
    const sfi_grid mask_grid = sfi_grid_of(mask);
    struct counts counts = {{{0, 0}, {0, 0}}};
    sfconv_status status = sfi_grid_check(context, "logits", &logit_grid, sfi_is_nan,
                                          SFCONV_ERROR_NUMERIC, "a number");
    if (status < 0) {
        return status;
    }
    status =
        sfi_grid_check(context, "mask", &mask_grid, sfi_is_nan, SFCONV_ERROR_NUMERIC, "a number");
    if (status < 0) {
        return status;
    }
    for (int64_t plane = 0; plane < sfi_grid_planes(&logit_grid); plane++) {
        for (int64_t row = 0; row < logit_grid.shape[2]; row++) {
            count_row(&counts, &logit_grid, &mask_grid, plane, row, threshold);
        }
    }
    overlap->true_positive += counts.pixels[1][1];
    overlap->false_positive += counts.pixels[0][1];
    overlap->false_negative += counts.pixels[1][0];
    overlap->true_negative += counts.pixels[0][0];
    return SFCONV_OK;
}
