/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"
#include "kernels.h"
#include "layer_facts.h"
#include "layer_kinds.h"
#include "parallel.h"
#include "sizes.h"

#include <assert.h>
#include <math.h>

/* y = scale·x̂ + shift, x̂ = (x - mean)/σ, σ = √(variance + ε). With M values a channel and g the
 * gradient of y: ∂scale = Σ g·x̂, ∂shift = Σ g,
 * ∂x = scale/σ · (g - Σ g / M - x̂ · Σ g·x̂ / M). */
typedef struct batchnorm2d {
    sfconv_layer layer;
    double epsilon;
    double momentum;
} batchnorm2d;

enum { SCALE, SHIFT, RUNNING_MEAN, RUNNING_VARIANCE };

/* What forward leaves to backward, one a channel. */
typedef struct channel_tape {
    double mean;
    double inverse_deviation;
} channel_tape;

/* A task is a channel: its planes, one an image, are read twice while they are in the cache. */
typedef struct batchnorm_job {
    batchnorm2d *layer;
    const sfi_pass *pass;
    int64_t plane;
} batchnorm_job;

static sfconv_status infer(const sfconv_layer *layer, bool training, const sfi_shape *in,
                           int32_t count, sfi_shape *out)
{
    (void)count;
    const int64_t channels = layer->parameters[SCALE].count;
    if (in->c != channels) {
        return sfi_fail(layer->context, SFCONV_ERROR_SHAPE,
                        "batchnorm2d: expected %lld channels, got %lld", (long long)channels,
                        (long long)in->c);
    }
    if (training && in->n == 1 && in->h == 1 && in->w == 1) {
        return sfi_fail(layer->context, SFCONV_ERROR_SHAPE,
                        "batchnorm2d: expected more than one value a channel in training, got a "
                        "batch of 1 of 1 x 1: its variance is undefined");
    }
    *out = *in;
    return SFCONV_OK;
}

static sfconv_status memory(const sfconv_layer *layer, bool training, const sfi_shape *in,
                            int32_t count, sfi_shape out, sfi_layer_memory *memory)
{
    (void)in, (void)count, (void)out;
    if (training) {
        memory->tape = layer->parameters[SCALE].count * (int64_t)sizeof(channel_tape);
        memory->keeps_inputs = true;
    }
    return SFCONV_OK;
}

static const float *plane_of(const float *tensor, const batchnorm_job *job, int64_t image,
                             int64_t channel)
{
    return tensor + (image * job->pass->in_shape->c + channel) * job->plane;
}

static sfk_normal normal_of(double mean, double scale, double shift)
{
    const float nearest = (float)mean;
    return (sfk_normal){nearest, (float)(mean - (double)nearest), (float)scale, (float)shift};
}

/* What a channel of this mean and 1 / deviation becomes. */
static sfk_normal normal_of_channel(const sfconv_layer *layer, int64_t channel, double mean,
                                    double inverse)
{
    const sfi_parameter *parameters = layer->parameters;
    return normal_of(mean, (double)parameters[SCALE].data[channel] * inverse,
                     (double)parameters[SHIFT].data[channel]);
}

/* Mean and biased variance in one pass. The sums are centred at a value of the channel, whose
 * distance from the mean is at most √M deviations: subtracting the squares costs at most a factor M
 * of the 2^-53 of double, however small the variance is against the mean. */
static void batch_moments(const batchnorm_job *job, int64_t channel, double *mean, double *variance)
{
    const sfi_pass *pass = job->pass;
    const double values = (double)(pass->in_shape->n * job->plane);
    const double centre = (double)*plane_of(pass->in[0], job, 0, channel);
    double sums[2] = {0.0, 0.0};
    for (int64_t n = 0; n < pass->in_shape->n; n++) {
        pass->context->kernels->plane_moments(sums, plane_of(pass->in[0], job, n, channel), centre,
                                              job->plane);
    }
    const double away = sums[0] / values;
    const double square = sums[1] / values - away * away;
    *mean = centre + away;
    *variance = square < 0.0 ? 0.0 : square;
}

static void update_running(batchnorm2d *self, int64_t channel, double mean, double variance,
                           double values)
{
    float *running_mean = &self->layer.parameters[RUNNING_MEAN].data[channel];
    float *running_variance = &self->layer.parameters[RUNNING_VARIANCE].data[channel];
    const double keep = 1.0 - self->momentum;
    const double unbiased = variance * values / (values - 1.0);
    *running_mean = (float)(keep * (double)*running_mean + self->momentum * mean);
    *running_variance = (float)(keep * (double)*running_variance + self->momentum * unbiased);
}

static void forward_channel(void *argument, int64_t channel, int32_t worker)
{
    (void)worker;
    const batchnorm_job *job = argument;
    const sfi_pass *pass = job->pass;
    batchnorm2d *self = job->layer;
    const sfi_parameter *parameters = self->layer.parameters;
    double mean = (double)parameters[RUNNING_MEAN].data[channel];
    double variance = (double)parameters[RUNNING_VARIANCE].data[channel];
    if (pass->training) {
        batch_moments(job, channel, &mean, &variance);
        update_running(self, channel, mean, variance, (double)(pass->in_shape->n * job->plane));
    }
    const double inverse = 1.0 / sqrt(variance + self->epsilon);
    if (pass->training) {
        ((channel_tape *)pass->tape)[channel] = (channel_tape){mean, inverse};
    }
    const sfk_normal normal = normal_of_channel(&job->layer->layer, channel, mean, inverse);
    for (int64_t n = 0; n < pass->in_shape->n; n++) {
        float *out = pass->out + (n * pass->in_shape->c + channel) * job->plane;
        pass->context->kernels->normalize(out, plane_of(pass->in[0], job, n, channel), &normal,
                                          job->plane);
    }
}

static void backward_channel(void *argument, int64_t channel, int32_t worker)
{
    (void)worker;
    const batchnorm_job *job = argument;
    const sfi_pass *pass = job->pass;
    const sfk_table *kernels = pass->context->kernels;
    const channel_tape tape = ((const channel_tape *)pass->tape)[channel];
    const int64_t images = pass->in_shape->n;
    const double values = (double)(images * job->plane);
    /* Σ g and Σ g·(x - mean). */
    double sums[2] = {0.0, 0.0};
    for (int64_t n = 0; n < images; n++) {
        kernels->plane_products(sums, plane_of(pass->in[0], job, n, channel),
                                plane_of(pass->grad_out, job, n, channel), tape.mean, job->plane);
    }
    const double product = sums[1] * tape.inverse_deviation;
    pass->grad_parameter[SCALE][channel] += (float)product;
    pass->grad_parameter[SHIFT][channel] += (float)sums[0];
    if (!pass->grad_in[0]) {
        return;
    }
    const double scale = (double)job->layer->layer.parameters[SCALE].data[channel];
    const double slope = scale * tape.inverse_deviation;
    const sfk_normal normal = normal_of(
        tape.mean, -slope * tape.inverse_deviation * product / values, -slope * sums[0] / values);
    for (int64_t n = 0; n < images; n++) {
        float *grad_in = pass->grad_in[0] + (n * pass->in_shape->c + channel) * job->plane;
        kernels->normalize_gradient(grad_in, plane_of(pass->in[0], job, n, channel),
                                    plane_of(pass->grad_out, job, n, channel), (float)slope,
                                    &normal, pass->accumulate[0], job->plane);
    }
}

static void forward(sfconv_layer *layer, const sfi_pass *pass)
{
    batchnorm_job job = {(batchnorm2d *)layer, pass, pass->in_shape->h * pass->in_shape->w};
    sfi_parallel_for(pass->context, pass->in_shape->c, forward_channel, &job);
}

static void backward(sfconv_layer *layer, const sfi_pass *pass)
{
    assert(pass->training);
    batchnorm_job job = {(batchnorm2d *)layer, pass, pass->in_shape->h * pass->in_shape->w};
    sfi_parallel_for(pass->context, pass->in_shape->c, backward_channel, &job);
}

static sfconv_status initialize(sfconv_layer *layer, uint64_t seed)
{
    (void)seed;
    sfi_parameter_fill(&layer->parameters[SCALE], 1.0f);
    sfi_parameter_fill(&layer->parameters[SHIFT], 0.0f);
    sfi_parameter_fill(&layer->parameters[RUNNING_MEAN], 0.0f);
    sfi_parameter_fill(&layer->parameters[RUNNING_VARIANCE], 1.0f);
    return SFCONV_OK;
}

static const sfi_layer_class kind = {
    .kind = "batchnorm2d",
    .min_inputs = 1,
    .max_inputs = 1,
    .bytes = sizeof(batchnorm2d),
    .infer = infer,
    .memory = memory,
    .forward = forward,
    .backward = backward,
    .initialize = initialize,
};

bool sfi_is_batchnorm2d(const sfconv_layer *layer)
{
    return layer->kind == &kind;
}

void sfi_batchnorm2d_line(const sfconv_layer *layer, int64_t channel, double *scale, double *shift)
{
    const sfi_parameter *parameters = layer->parameters;
    const double mean = (double)parameters[RUNNING_MEAN].data[channel];
    const double variance = (double)parameters[RUNNING_VARIANCE].data[channel];
    const double epsilon = ((const batchnorm2d *)layer)->epsilon;
    *scale = (double)parameters[SCALE].data[channel] / sqrt(variance + epsilon);
    *shift = (double)parameters[SHIFT].data[channel] - *scale * mean;
}

void sfi_batchnorm2d_normals(const sfconv_layer *layer, sfk_normal *normals)
{
    const sfi_parameter *parameters = layer->parameters;
    const double epsilon = ((const batchnorm2d *)layer)->epsilon;
    for (int64_t channel = 0; channel < parameters[SCALE].count; channel++) {
        const double variance = (double)parameters[RUNNING_VARIANCE].data[channel];
        const double inverse = 1.0 / sqrt(variance + epsilon);
        normals[channel] = normal_of_channel(
            layer, channel, (double)parameters[RUNNING_MEAN].data[channel], inverse);
    }
}

void sfi_batchnorm2d_affine(const sfconv_layer *layer, int64_t channel, double *scale,
                            double *shift)
{
    *scale = (double)layer->parameters[SCALE].data[channel];
    *shift = (double)layer->parameters[SHIFT].data[channel];
}

double sfi_batchnorm2d_observe(sfconv_layer *layer, int64_t channel, double mean, double variance,
                               double values)
{
    batchnorm2d *self = (batchnorm2d *)layer;
    update_running(self, channel, mean, variance, values);
    return 1.0 / sqrt(variance + self->epsilon);
}

sfconv_status sfi_batchnorm2d_new(sfconv_layer **out, sfconv_context *context,
                                  const sfconv_batchnorm2d_desc *desc)
{
    static const struct {
        const char *name;
        int32_t role;
    } parameters[] = {
        [SCALE] = {"weight", SFCONV_PARAMETER_SCALE},
        [SHIFT] = {"bias", SFCONV_PARAMETER_SHIFT},
        [RUNNING_MEAN] = {"running_mean", SFCONV_PARAMETER_BUFFER},
        [RUNNING_VARIANCE] = {"running_var", SFCONV_PARAMETER_BUFFER},
    };
    *out = NULL;
    sfconv_layer *layer = sfi_layer_new(context, &kind);
    if (!layer) {
        return sfi_fail_memory(context, kind.kind, kind.bytes);
    }
    ((batchnorm2d *)layer)->epsilon = desc->epsilon;
    ((batchnorm2d *)layer)->momentum = desc->momentum;
    for (int i = SCALE; i <= RUNNING_VARIANCE; i++) {
        const sfconv_status status = sfi_layer_add_parameter(
            layer, parameters[i].name, parameters[i].role, 1, &desc->channels);
        if (status) {
            sfi_layer_release(layer);
            return status;
        }
    }
    initialize(layer, 0);
    *out = layer;
    return SFCONV_OK;
}
