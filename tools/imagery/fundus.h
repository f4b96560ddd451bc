/* SPDX-License-Identifier: BSD-2-Clause */
/* Made photographs of the back of the eye with signs of diabetic retinopathy in five grades: round
 * field of view, optic disc, macula, vessels, uneven light, noise. From grade to grade there are
 * more and larger microaneurysms (dark dots), haemorrhages (dark blots) and exudates (pale specks),
 * in the last also new vessels; the numbers overlap, every grade has specks of dust that mean
 * nothing, and the mean colour is drawn without regard to the grade. Photograph `index` of `seed`
 * is the same each time on one machine. Errors: as in image.h. */
#ifndef IMAGERY_FUNDUS_H
#define IMAGERY_FUNDUS_H

#include "dataset.h"

#define FUNDUS_GRADES 5

/* RGB, each side at least 16 pixels; made for about 64 x 64. `grade` is 0 ... FUNDUS_GRADES - 1. */
bool fundus_create(struct image *result, int64_t width, int64_t height, int32_t grade,
                   uint64_t seed, uint64_t index, struct image_error *error);

/* Photographs first ... first + count - 1 of the seed; the grade of a photograph is its index
 * modulo FUNDUS_GRADES. */
bool fundus_dataset(struct dataset *result, int64_t first, int64_t count, int64_t width,
                    int64_t height, uint64_t seed, struct image_error *error);

#endif
