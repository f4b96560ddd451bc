/* SPDX-License-Identifier: BSD-2-Clause */
/* Singular values and weights of the factors of a network, layer by layer, and how both are
 * distributed. */
#ifndef SFCONV_TOOL_SPECTRA_H
#define SFCONV_TOOL_SPECTRA_H

#include "image.h"

#include "sfconv/sfconv.h"

#include <stdio.h>

/* One factor of one layer. */
struct spectra_factor {
    char *layer;
    const char *name; /* "P" or "Q" */
    sfconv_spectrum measures;
    double *values; /* measures.count of them, falling */
};

struct spectra {
    int64_t count;
    struct spectra_factor *factors; /* in the order of the net; P, then Q */
    int64_t weight_count;
    float *weights; /* of all factors */
};

/* Empty for a net without factorized layers. `what` begins the reason of a failure. Refreshes the
 * cached spectra of the layers, so it needs the net alone. */
bool spectra_collect(struct spectra *spectra, sfconv_context *context, sfconv_net *net,
                     const char *what, struct image_error *error);
void spectra_destroy(struct spectra *spectra);

/* Counts of equal bins; what lies beyond the ends is in the outermost ones. */
#define SPECTRA_BINS 60
struct histogram {
    double low;
    double high;
    int64_t counts[SPECTRA_BINS];
    int64_t total;
    double mean;
    double variance;
};
struct histogram histogram_of_weights(const struct spectra *spectra, double reach);
struct histogram histogram_of_values(const struct spectra *spectra, double high);
/* Ends that suit: five deviations of the weights, the largest singular value. */
double histogram_reach_of_weights(const struct spectra *spectra);
double histogram_reach_of_values(const struct spectra *spectra);

/* "PREFIXquantity,low,high,count,density" for each bin. */
void histogram_write(FILE *stream, const char *prefix, const char *quantity,
                     const struct histogram *histogram);
#define HISTOGRAM_HEAD "quantity,low,high,count,density"
double histogram_density(const struct histogram *histogram, int64_t bin);

#endif
