/* SPDX-License-Identifier: BSD-2-Clause */
/* A network that answers image after image. */
#ifndef EXPERIMENT_JUDGE_H
#define EXPERIMENT_JUDGE_H

#include "experiment.h"

/* One run that takes images one after another, reshaped where their size changes. */
struct judge {
    const struct experiment_model *model;
    sfconv_run *run;
    int64_t width;
    int64_t height;
    bool frozen; /* for images of this size */
    double seconds;
    double logit; /* above it a pixel is foreground */
    struct image_error *error;
};

/* Where an image lies in a larger one. */
struct judge_place {
    int64_t left;
    int64_t top;
    int64_t width; /* of the larger one */
    int64_t height;
};

bool judge_open(struct judge *judge, const struct experiment_model *model,
                struct image_error *error);
void judge_close(struct judge *judge);

/* Logits of one image, which is in the form that the model wants. Only the network's own work is
 * timed. What lies beyond the image is filled up with the mean. `place` NULL: an image by itself.
 */
bool judge_compute(struct judge *judge, const struct image *image, const struct judge_place *place,
                   sfconv_view *logits);

/* Probabilities of the classes. */
void judge_softmax(float *probability, const sfconv_view *logits);

/* false with "WHAT: reason of the library" unless status is success. */
bool judge_check(struct judge *judge, sfconv_status status, const char *what);

#endif
