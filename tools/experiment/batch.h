/* SPDX-License-Identifier: BSD-2-Clause */
/* Images into a run: augmentation, normalization, one place of a batch each. */
#ifndef EXPERIMENT_BATCH_H
#define EXPERIMENT_BATCH_H

#include "augment.h"
#include "experiment.h"

/* Mean and deviation of each channel over a set. */
bool batch_measure(struct experiment_model *model, const struct dataset *set,
                   struct image_error *error);

/* Writes the normalized image to place `index` of the batch; what lies beyond the image gets 0, the
 * mean. The image is converted to the view's channels and must not be larger than its maps. */
bool batch_put_image(const struct experiment_model *model, const sfconv_view *batch, int64_t index,
                     const struct image *image, struct image_error *error);
/* The same for a mask, as it is. */
void batch_put_mask(const sfconv_view *batch, int64_t index, const struct image *mask);

/* `size` rounded up or down to what the network takes. */
int64_t batch_round_up(const struct experiment_model *model, int64_t size);
int64_t batch_round_down(const struct experiment_model *model, int64_t size);

#endif
