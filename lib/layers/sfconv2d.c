/* SPDX-License-Identifier: BSD-2-Clause */
#include "sfconv2d.h"

#include "error.h"
#include "memory.h"
#include "random.h"
#include "sizes.h"
#include "unfold.h"

#include <math.h>
#include <string.h>

enum { Q, P, FIRST_OPTIONAL };

/* Steps of the power iteration when u is drawn, so that σ is near from the first pass on. */
#define INITIAL_ITERATIONS 15

/* The two convolutions of one pass. */
struct stages {
    sfi_conv_shape q;
    sfi_conv_shape p;
};

static const sfi_sfconv2d *sfconv2d(const sfconv_layer *layer)
{
    return (const sfi_sfconv2d *)layer;
}

float *sfi_sfconv2d_q(const sfi_sfconv2d *layer)
{
    return layer->base.parameters[Q].data;
}

float *sfi_sfconv2d_p(const sfi_sfconv2d *layer)
{
    return layer->base.parameters[P].data;
}

float *sfi_sfconv2d_bias(const sfi_sfconv2d *layer)
{
    return layer->desc.has_bias ? layer->base.parameters[FIRST_OPTIONAL].data : NULL;
}

static float *power_vector(const sfi_sfconv2d *layer, int32_t index)
{
    const int32_t first = FIRST_OPTIONAL + (layer->desc.has_bias ? 1 : 0);
    return layer->desc.spectral_norm ? layer->base.parameters[first + index].data : NULL;
}

float *sfi_sfconv2d_u(const sfi_sfconv2d *layer)
{
    return power_vector(layer, 0);
}

float *sfi_sfconv2d_v(const sfi_sfconv2d *layer)
{
    return power_vector(layer, 1);
}

sfi_factors sfi_sfconv2d_sizes(const sfi_sfconv2d *layer)
{
    const sfconv_sfconv2d_desc *desc = &layer->desc;
    return (sfi_factors){
        .p_rows = desc->out_channels * desc->kernel[0],
        .q_cols = desc->in_channels * desc->kernel[1],
        .rank = desc->rank,
    };
}

int64_t sfi_count_p(const sfi_factors *factors)
{
    return factors->p_rows * factors->rank;
}

int64_t sfi_count_q(const sfi_factors *factors)
{
    return factors->q_cols * factors->rank;
}

sfi_factors sfi_sfconv2d_factors(const sfi_sfconv2d *layer, float *p, float *qt)
{
    const sfconv_sfconv2d_desc *desc = &layer->desc;
    sfi_factors factors = sfi_sfconv2d_sizes(layer);
    sfi_p_from_weight(desc->out_channels, desc->rank, desc->kernel[0], sfi_sfconv2d_p(layer), p);
    sfi_transpose(factors.rank, factors.q_cols, sfi_sfconv2d_q(layer), qt);
    factors.p = p;
    factors.qt = qt;
    return factors;
}

void sfi_sfconv2d_set_factors(sfi_sfconv2d *layer, const float *p, const float *qt)
{
    const sfconv_sfconv2d_desc *desc = &layer->desc;
    const sfi_factors sizes = sfi_sfconv2d_sizes(layer);
    sfi_p_to_weight(desc->out_channels, desc->rank, desc->kernel[0], p, sfi_sfconv2d_p(layer));
    sfi_transpose(sizes.q_cols, sizes.rank, qt, sfi_sfconv2d_q(layer));
}

static struct stages stages_of(const sfi_sfconv2d *self, sfi_shape in, sfi_shape out)
{
    const sfconv_sfconv2d_desc *desc = &self->desc;
    const int64_t kernel[2][2] = {{1, desc->kernel[1]}, {desc->kernel[0], 1}};
    const int64_t stride[2][2] = {{1, desc->stride[1]}, {desc->stride[0], 1}};
    const int64_t padding[2][2] = {{0, desc->padding[1]}, {desc->padding[0], 0}};
    const int64_t dilation[2][2] = {{1, desc->dilation[1]}, {desc->dilation[0], 1}};
    const sfi_window windows[2] = {{kernel[0], stride[0], padding[0], dilation[0]},
                                   {kernel[1], stride[1], padding[1], dilation[1]}};
    const sfi_shape middle = {in.n, desc->rank, in.h, out.w};
    return (struct stages){
        .q = sfi_window_shape(&windows[0], 1, in, middle),
        .p = sfi_window_shape(&windows[1], 1, middle, out),
    };
}

static int64_t middle_bytes(const struct stages *stages)
{
    const sfi_conv_shape *q = &stages->q;
    return q->batch * q->out_channels * q->out_height * q->out_width * (int64_t)sizeof(float);
}

static sfconv_status infer(const sfconv_layer *layer, bool training, const sfi_shape *in,
                           int32_t count, sfi_shape *out)
{
    const sfconv_sfconv2d_desc *desc = &sfconv2d(layer)->desc;
    const sfi_window window = {desc->kernel, desc->stride, desc->padding, desc->dilation};
    (void)training;
    (void)count;
    sfconv_status status =
        sfi_window_infer(layer->context, &window, desc->in_channels, desc->out_channels, *in, out);
    if (status < 0) {
        return status;
    }
    const struct stages stages = stages_of(sfconv2d(layer), *in, *out);
    status = sfi_dense_check(layer->context, &stages.q);
    return status < 0 ? status : sfi_dense_check(layer->context, &stages.p);
}

/* Bytes of the blocks one after the other, each on its own cache lines; false on overflow. */
static bool add_blocks(int64_t *total, const int64_t *bytes, int count)
{
    *total = 0;
    for (int i = 0; i < count; i++) {
        if (!sfi_add(total, *total, bytes[i]) || !sfi_add(total, *total, 63)) {
            return false;
        }
        *total = *total / 64 * 64;
    }
    return true;
}

static void *take_block(unsigned char **memory, int64_t bytes)
{
    void *block = *memory;
    *memory += sfi_round64(bytes);
    return block;
}

/* Training keeps the middle activation and the state of the normalization on the tape; inference
 * has them in scratch. */
static sfconv_status memory(const sfconv_layer *layer, bool training, const sfi_shape *in,
                            int32_t count, sfi_shape out, sfi_layer_memory *memory)
{
    const sfi_sfconv2d *self = sfconv2d(layer);
    const struct stages stages = stages_of(self, *in, out);
    const int64_t middle = middle_bytes(&stages);
    sfi_norm_memory norm = {0, 0, 0};
    int64_t q_forward, q_backward, p_forward, p_backward;
    sfconv_status status;
    (void)count;
    if ((status = sfi_dense_scratch(layer->context, &stages.q, training, &q_forward, &q_backward)) <
            0 ||
        (status = sfi_dense_scratch(layer->context, &stages.p, training, &p_forward, &p_backward)) <
            0) {
        return status;
    }
    const int64_t engine_forward = sfi_max(q_forward, p_forward);
    const int64_t engine_backward = sfi_max(q_backward, p_backward);
    bool fits = !self->desc.spectral_norm || sfi_norm_bytes(self, &norm);
    memory->keeps_inputs = true;
    if (training) {
        fits = fits && add_blocks(&memory->tape, (int64_t[]){middle, norm.state}, 2) &&
               add_blocks(&memory->scratch_forward, (int64_t[]){norm.work_forward, engine_forward},
                          2) &&
               add_blocks(&memory->scratch_backward,
                          (int64_t[]){middle, norm.work_backward, engine_backward}, 3);
    } else {
        fits = fits &&
               add_blocks(&memory->scratch_forward,
                          (int64_t[]){middle, norm.state, norm.work_forward, engine_forward}, 4);
    }
    return fits ? SFCONV_OK
                : sfi_fail(layer->context, SFCONV_ERROR_OVERFLOW, "scratch: its size overflows");
}

static int64_t macs(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out)
{
    const struct stages stages = stages_of(sfconv2d(layer), *in, out);
    return sfi_dense_macs(&stages.q) + sfi_dense_macs(&stages.p);
}

static sfi_layer_macs count(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out)
{
    const struct stages stages = stages_of(sfconv2d(layer), *in, out);
    const sfi_conv_counts q = sfi_conv_count(layer->context, &stages.q);
    const sfi_conv_counts p = sfi_conv_count(layer->context, &stages.p);
    return (sfi_layer_macs){sfi_macs_sum(q.forward, p.forward),
                            sfi_macs_sum(q.weight, sfi_macs_sum(p.weight, p.data)), q.data};
}

static sfi_norm_memory norm_memory(const sfi_sfconv2d *self)
{
    sfi_norm_memory norm = {0, 0, 0};
    if (self->desc.spectral_norm) {
        sfi_norm_bytes(self, &norm);
    }
    return norm;
}

static void forward(sfconv_layer *layer, const sfi_pass *pass)
{
    const sfi_sfconv2d *self = sfconv2d(layer);
    const struct stages stages = stages_of(self, pass->in_shape[0], pass->out_shape);
    const sfi_norm_memory norm = norm_memory(self);
    unsigned char *scratch = pass->scratch;
    unsigned char *tape = pass->tape;
    unsigned char **kept = pass->training ? &tape : &scratch;
    float *middle = take_block(kept, middle_bytes(&stages));
    void *state = take_block(kept, norm.state);
    void *work = take_block(&scratch, norm.work_forward);
    const float *p = self->desc.spectral_norm ? sfi_norm_forward(self, pass->training, state, work)
                                              : sfi_sfconv2d_p(self);
    sfi_conv_forward(pass->context, &stages.q, pass->in[0], sfi_sfconv2d_q(self), NULL, NULL, NULL,
                     middle, scratch);
    sfi_conv_forward(pass->context, &stages.p, middle, p, NULL, sfi_sfconv2d_bias(self), NULL,
                     pass->out, scratch);
}

static void backward(sfconv_layer *layer, const sfi_pass *pass)
{
    const sfi_sfconv2d *self = sfconv2d(layer);
    const struct stages stages = stages_of(self, pass->in_shape[0], pass->out_shape);
    const sfi_norm_memory norm = norm_memory(self);
    const bool normalized = self->desc.spectral_norm;
    unsigned char *tape = pass->tape;
    unsigned char *scratch = pass->scratch;
    const float *middle = take_block(&tape, middle_bytes(&stages));
    void *state = take_block(&tape, norm.state);
    float *middle_gradient = take_block(&scratch, middle_bytes(&stages));
    void *work = take_block(&scratch, norm.work_backward);
    const float *p = normalized ? sfi_norm_weight(self, state, work) : sfi_sfconv2d_p(self);
    float *p_gradient = normalized ? sfi_norm_gradient(self, work) : pass->grad_parameter[P];

    sfi_conv_backward_weight(pass->context, &stages.p, middle, pass->grad_out, p_gradient,
                             !normalized, scratch);
    if (self->desc.has_bias) {
        sfi_conv_backward_bias(pass->context, &stages.p, pass->grad_out,
                               pass->grad_parameter[FIRST_OPTIONAL], true);
    }
    sfi_conv_backward_data(pass->context, &stages.p, pass->grad_out, p, middle_gradient, false,
                           scratch);
    sfi_conv_backward_weight(pass->context, &stages.q, pass->in[0], middle_gradient,
                             pass->grad_parameter[Q], true, scratch);
    if (pass->grad_in[0]) {
        sfi_conv_backward_data(pass->context, &stages.q, middle_gradient, sfi_sfconv2d_q(self),
                               pass->grad_in[0], pass->accumulate[0], scratch);
    }
    if (normalized) {
        sfi_norm_backward(self, state, work, pass->grad_parameter[P], pass->grad_parameter[Q]);
    }
}

static void draw_kaiming(sfi_sfconv2d *self, uint64_t seed)
{
    const sfconv_sfconv2d_desc *desc = &self->desc;
    const double fan_q = (double)(desc->in_channels * desc->kernel[1]);
    const double fan_p = (double)(desc->rank * desc->kernel[0]);
    sfi_parameter_uniform(&self->base.parameters[Q], seed, sqrt(6.0 / fan_q));
    sfi_parameter_uniform(&self->base.parameters[P], seed, sqrt(6.0 / fan_p));
}

/* The factors nearest to the weight that a dense layer draws from the same seed. */
static sfconv_status draw_spectral(sfi_sfconv2d *self, uint64_t seed)
{
    const sfconv_sfconv2d_desc *desc = &self->desc;
    sfconv_conv2d_desc dense_desc = {
        .struct_size = sizeof dense_desc,
        .in_channels = desc->in_channels,
        .out_channels = desc->out_channels,
        .kernel = {desc->kernel[0], desc->kernel[1]},
        .stride = {1, 1},
        .dilation = {1, 1},
        .groups = 1,
        .seed = seed,
    };
    const sfi_progress no_progress = {NULL, NULL};
    sfconv_sfconv2d_desc factors_alone = *desc;
    sfconv_layer *dense;
    sfconv_layer *drawn = NULL;
    factors_alone.has_bias = 0;
    factors_alone.spectral_norm = 0;
    sfconv_status status = sfi_conv2d_new(&dense, self->base.context, &dense_desc);
    if (status < 0) {
        return status;
    }
    status = sfi_sfconv2d_decompose(&drawn, dense, &factors_alone, NULL, no_progress);
    if (status == SFCONV_OK) {
        for (int32_t i = Q; i <= P; i++) {
            const sfi_parameter *parameter = &drawn->parameters[i];
            memcpy(self->base.parameters[i].data, parameter->data,
                   (size_t)parameter->count * sizeof(float));
        }
    }
    sfi_layer_release(drawn);
    sfi_layer_release(dense);
    return status;
}

static void draw_power_vector(sfi_parameter *u, uint64_t seed)
{
    const sfi_random random = {seed, sfi_random_stream(u->name)};
    for (int64_t i = 0; i < u->count; i++) {
        u->data[i] = (float)sfi_random_normal(random, (uint64_t)i);
    }
}

/* Draws all parameters of a layer that nobody has yet; a failure leaves some of them drawn. */
static sfconv_status draw(sfi_sfconv2d *self, uint64_t seed)
{
    int32_t next = FIRST_OPTIONAL;
    if (self->desc.initialization == SFCONV_INITIALIZATION_SPECTRAL) {
        const sfconv_status status = draw_spectral(self, seed);
        if (status < 0) {
            return status;
        }
    } else {
        draw_kaiming(self, seed);
    }
    if (self->desc.has_bias) {
        const double fan_in = (double)(self->desc.rank * self->desc.kernel[0]);
        sfi_parameter_uniform(&self->base.parameters[next++], seed, 1.0 / sqrt(fan_in));
    }
    if (!self->desc.spectral_norm) {
        return SFCONV_OK;
    }
    draw_power_vector(&self->base.parameters[next], seed);
    return sfi_norm_settle(self, INITIAL_ITERATIONS, NULL);
}

static bool may_fail_to_draw(const sfi_sfconv2d *self)
{
    return self->desc.spectral_norm || self->desc.initialization == SFCONV_INITIALIZATION_SPECTRAL;
}

/* Where drawing may fail, a twin is drawn first, so that a failure changes nothing. */
static sfconv_status initialize(sfconv_layer *layer, uint64_t seed)
{
    sfi_sfconv2d *self = sfi_as_sfconv2d(layer);
    sfi_sfconv2d *twin;
    if (!may_fail_to_draw(self)) {
        return draw(self, seed);
    }
    sfconv_status status = sfi_sfconv2d_allocate(&twin, layer->context, &self->desc);
    if (status < 0) {
        return status;
    }
    status = draw(twin, seed);
    for (int32_t i = 0; status >= 0 && i < layer->parameter_count; i++) {
        memcpy(layer->parameters[i].data, twin->base.parameters[i].data,
               (size_t)layer->parameters[i].count * sizeof(float));
    }
    sfi_layer_release(&twin->base);
    return status;
}

static void destroy(sfconv_layer *layer)
{
    sfi_sfconv2d *self = sfi_as_sfconv2d(layer);
    sfi_svd_destroy(layer->context, &self->svd_p);
    sfi_svd_destroy(layer->context, &self->svd_q);
}

static bool regularizes(const sfconv_layer *layer)
{
    const sfconv_sfconv2d_desc *desc = &sfconv2d(layer)->desc;
    return desc->regularizer != SFCONV_REGULARIZER_NONE && desc->regularizer_weight > 0;
}

static double spacing(const sfconv_layer *layer, int axis)
{
    return (double)sfconv2d(layer)->desc.stride[axis];
}

static const sfi_layer_class sfconv2d_class = {
    .kind = "sfconv2d",
    .min_inputs = 1,
    .max_inputs = 1,
    .bytes = sizeof(sfi_sfconv2d),
    .infer = infer,
    .spacing = spacing,
    .memory = memory,
    .macs = macs,
    .count = count,
    .forward = forward,
    .backward = backward,
    .initialize = initialize,
    .destroy = destroy,
    .regularizes = regularizes,
    .regularizer_parts = sfi_sfconv2d_regularizer_parts,
    .regularize = sfi_sfconv2d_regularize,
    .regularizer_scratch = sfi_sfconv2d_regularizer_scratch,
};

sfi_sfconv2d *sfi_as_sfconv2d(sfconv_layer *layer)
{
    return layer->kind == &sfconv2d_class ? (sfi_sfconv2d *)layer : NULL;
}

const sfi_sfconv2d *sfi_as_const_sfconv2d(const sfconv_layer *layer)
{
    return layer->kind == &sfconv2d_class ? sfconv2d(layer) : NULL;
}

static sfconv_status add_parameters(sfconv_layer *layer, const sfconv_sfconv2d_desc *desc)
{
    const int64_t q[] = {desc->rank, desc->in_channels, 1, desc->kernel[1]};
    const int64_t p[] = {desc->out_channels, desc->rank, desc->kernel[0], 1};
    sfconv_status status;
    if ((status = sfi_layer_add_parameter(layer, "q.weight", SFCONV_PARAMETER_FACTOR_Q, 4, q)) <
            0 ||
        (status = sfi_layer_add_parameter(layer, "p.weight", SFCONV_PARAMETER_FACTOR_P, 4, p)) <
            0) {
        return status;
    }
    if (desc->has_bias) {
        status =
            sfi_layer_add_parameter(layer, "bias", SFCONV_PARAMETER_BIAS, 1, &desc->out_channels);
    }
    if (status < 0 || !desc->spectral_norm) {
        return status;
    }
    const int64_t u = desc->out_channels * desc->kernel[0];
    const int64_t v = desc->in_channels * desc->kernel[1];
    if ((status = sfi_layer_add_parameter(layer, "u", SFCONV_PARAMETER_BUFFER, 1, &u)) < 0) {
        return status;
    }
    return sfi_layer_add_parameter(layer, "v", SFCONV_PARAMETER_BUFFER, 1, &v);
}

sfconv_status sfi_sfconv2d_allocate(sfi_sfconv2d **out, sfconv_context *context,
                                    const sfconv_sfconv2d_desc *desc)
{
    sfi_norm_memory norm;
    *out = NULL;
    sfconv_layer *layer = sfi_layer_new(context, &sfconv2d_class);
    if (!layer) {
        return sfi_fail_memory(context, sfconv2d_class.kind, sfconv2d_class.bytes);
    }
    sfi_sfconv2d *self = sfi_as_sfconv2d(layer);
    self->desc = *desc;
    sfconv_status status = add_parameters(layer, desc);
    if (status == SFCONV_OK &&
        !(sfi_regularizer_bytes(self, &self->regularizer_bytes) && sfi_norm_bytes(self, &norm))) {
        status = sfi_fail(context, SFCONV_ERROR_OVERFLOW, "%s: its scratch overflows",
                          sfconv2d_class.kind);
    }
    if (status < 0) {
        sfi_layer_release(layer);
        return status;
    }
    *out = self;
    return SFCONV_OK;
}

sfconv_status sfi_sfconv2d_new(sfconv_layer **out, sfconv_context *context,
                               const sfconv_sfconv2d_desc *desc)
{
    sfi_sfconv2d *self;
    *out = NULL;
    sfconv_status status = sfi_sfconv2d_allocate(&self, context, desc);
    if (status < 0) {
        return status;
    }
    status = draw(self, desc->seed);
    if (status < 0) {
        sfi_layer_release(&self->base);
        return status;
    }
    *out = &self->base;
    return SFCONV_OK;
}
