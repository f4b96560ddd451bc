/* SPDX-License-Identifier: BSD-2-Clause */
#include "spectra.h"

#include "experiment.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    int32_t number;
    const char *name;
} factor_kinds[] = {{SFCONV_FACTOR_P, "P"}, {SFCONV_FACTOR_Q, "Q"}};
#define FACTORS 2

void spectra_destroy(struct spectra *spectra)
{
    for (int64_t i = 0; i < spectra->count; i++) {
        free(spectra->factors[i].layer);
        free(spectra->factors[i].values);
    }
    free(spectra->factors);
    free(spectra->weights);
    *spectra = (struct spectra){0};
}

static bool add_factor(struct spectra *spectra, sfconv_context *context, sfconv_layer *layer,
                       const char *layer_name, int kind, const char *what,
                       struct image_error *error)
{
    const int64_t rank = sfconv_sfconv2d_rank(layer);
    const int32_t number = factor_kinds[kind].number;
    int64_t count = 0;
    struct spectra_factor *f = &spectra->factors[spectra->count++];
    *f = (struct spectra_factor){.layer = strdup(layer_name),
                                 .name = factor_kinds[kind].name,
                                 .measures = SFCONV_SPECTRUM_INIT,
                                 .values = calloc((size_t)rank, sizeof *f->values)};
    if (!f->layer || !f->values) {
        return image_fail(error, "%s: out of memory", what);
    }
    return experiment_check(context, sfconv_layer_spectrum(layer, number, &f->measures), what,
                            error) &&
           experiment_check(context,
                            sfconv_layer_singular_values(layer, number, f->values, rank, &count),
                            what, error);
}

static bool add_layer(struct spectra *spectra, sfconv_context *context, sfconv_net *net,
                      int32_t node, const char *what, struct image_error *error)
{
    sfconv_layer *layer = sfconv_net_node_layer(net, node);
    bool ok =
        experiment_check(context, sfconv_layer_svd_update(layer, SFCONV_SVD_EXACT), what, error);
    for (int i = 0; ok && i < FACTORS; i++) {
        ok = add_factor(spectra, context, layer, sfconv_net_node_name(net, node), i, what, error);
    }
    return ok;
}

static bool is_factor(const sfconv_net *net, int32_t index, sfconv_view *view)
{
    sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
    if (sfconv_net_parameter(net, index, &info) != SFCONV_OK) {
        return false;
    }
    *view = info.view;
    return info.role == SFCONV_PARAMETER_FACTOR_P || info.role == SFCONV_PARAMETER_FACTOR_Q;
}

static bool add_weights(struct spectra *spectra, const sfconv_net *net, const char *what,
                        struct image_error *error)
{
    int64_t total = 0;
    sfconv_view view;
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        total += is_factor(net, i, &view) ? sfconv_view_count(&view) : 0;
    }
    spectra->weights = calloc((size_t)total + 1, sizeof *spectra->weights);
    if (!spectra->weights) {
        return image_fail(error, "%s: out of memory", what);
    }
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        if (is_factor(net, i, &view)) {
            const int64_t count = sfconv_view_count(&view);
            memcpy(spectra->weights + spectra->weight_count, view.data,
                   (size_t)count * sizeof *view.data);
            spectra->weight_count += count;
        }
    }
    return true;
}

bool spectra_collect(struct spectra *spectra, sfconv_context *context, sfconv_net *net,
                     const char *what, struct image_error *error)
{
    const int32_t nodes = sfconv_net_node_count(net);
    *spectra =
        (struct spectra){.factors = calloc((size_t)nodes * FACTORS + 1, sizeof *spectra->factors)};
    bool ok = spectra->factors || image_fail(error, "%s: out of memory", what);
    for (int32_t node = 0; ok && node < nodes; node++) {
        if (sfconv_sfconv2d_rank(sfconv_net_node_layer(net, node)) > 0) {
            ok = add_layer(spectra, context, net, node, what, error);
        }
    }
    ok = ok && add_weights(spectra, net, what, error);
    if (!ok) {
        spectra_destroy(spectra);
    }
    return ok;
}

/* Adds to the sums that `mean` and `variance` hold until histogram_finish(). */
static void count_value(struct histogram *h, double value)
{
    const double place = (value - h->low) / (h->high - h->low) * SPECTRA_BINS;
    const int64_t bin = place < 0.0 ? 0 : place >= SPECTRA_BINS ? SPECTRA_BINS - 1 : (int64_t)place;
    h->counts[bin]++;
    h->total++;
    h->mean += value;
    h->variance += value * value;
}

static void finish(struct histogram *h)
{
    h->mean /= (double)h->total;
    h->variance = fmax(h->variance / (double)h->total - h->mean * h->mean, 0.0);
}

struct histogram histogram_of_weights(const struct spectra *spectra, double reach)
{
    struct histogram h = {.low = -reach, .high = reach};
    for (int64_t i = 0; i < spectra->weight_count; i++) {
        count_value(&h, (double)spectra->weights[i]);
    }
    finish(&h);
    return h;
}

struct histogram histogram_of_values(const struct spectra *spectra, double high)
{
    struct histogram h = {.low = 0.0, .high = high};
    for (int64_t i = 0; i < spectra->count; i++) {
        for (int64_t k = 0; k < spectra->factors[i].measures.count; k++) {
            count_value(&h, spectra->factors[i].values[k]);
        }
    }
    finish(&h);
    return h;
}

double histogram_reach_of_weights(const struct spectra *spectra)
{
    const double deviation = sqrt(histogram_of_weights(spectra, 1.0).variance);
    return deviation > 0.0 ? 5.0 * deviation : 1.0;
}

double histogram_reach_of_values(const struct spectra *spectra)
{
    double largest = 0.0;
    for (int64_t i = 0; i < spectra->count; i++) {
        largest = fmax(largest, spectra->factors[i].measures.largest);
    }
    return largest > 0.0 ? largest : 1.0;
}

double histogram_density(const struct histogram *h, int64_t bin)
{
    return (double)h->counts[bin] / (double)h->total / ((h->high - h->low) / SPECTRA_BINS);
}

void histogram_write(FILE *stream, const char *prefix, const char *quantity,
                     const struct histogram *h)
{
    const double step = (h->high - h->low) / SPECTRA_BINS;
    for (int64_t bin = 0; bin < SPECTRA_BINS; bin++) {
        fprintf(stream, "%s%s,%.9g,%.9g,%" PRId64 ",%.9g\n", prefix, quantity,
                h->low + step * (double)bin, h->low + step * (double)(bin + 1), h->counts[bin],
                histogram_density(h, bin));
    }
}
