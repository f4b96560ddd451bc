/* SPDX-License-Identifier: BSD-2-Clause */
/* Spectral normalization of a factorized layer: it computes with P / σ(P·Q) and Q. */
#include "sfconv2d.h"

#include "error.h"
#include "memory.h"
#include "sigma.h"
#include "sizes.h"
#include "unfold.h"

#include <string.h>

/* What a forward pass leaves; the memory of the iteration follows on the next cache line. */
struct state {
    /* False where σ is not a positive number: the weight then goes undivided. */
    bool defined;
    sfi_sigma sigma;
};

#define STATE_BYTES ((int64_t)((sizeof(struct state) + 63) / 64 * 64))

/* Blocks of `work`, each of the size of P or Q; forward uses the first three. */
enum {
    SCALED,
    MATRIX_P,
    MATRIX_QT,
    EFFECTIVE_WEIGHT,
    EFFECTIVE_MATRIX,
    GRADIENT_P,
    GRADIENT_QT,
    BLOCKS
};

static int64_t block_bytes(const sfi_factors *sizes, int block)
{
    const bool like_q = block == MATRIX_QT || block == GRADIENT_QT;
    const int64_t count = like_q ? sfi_count_q(sizes) : sfi_count_p(sizes);
    return sfi_round64(count * (int64_t)sizeof(float));
}

static bool blocks_bytes(const sfi_factors *sizes, int count, int64_t *bytes)
{
    *bytes = 0;
    for (int block = 0; block < count; block++) {
        if (!sfi_add(bytes, *bytes, block_bytes(sizes, block))) {
            return false;
        }
    }
    return true;
}

static float *block_of(const sfi_sfconv2d *layer, void *work, int block)
{
    const sfi_factors sizes = sfi_sfconv2d_sizes(layer);
    int64_t offset;
    blocks_bytes(&sizes, block, &offset);
    return (float *)((unsigned char *)work + offset);
}

static void *iteration_memory(void *state)
{
    return (unsigned char *)state + STATE_BYTES;
}

bool sfi_norm_bytes(const sfi_sfconv2d *layer, sfi_norm_memory *memory)
{
    const sfi_factors sizes = sfi_sfconv2d_sizes(layer);
    return sfi_sigma_scratch(&memory->state, sizes.p_rows, sizes.q_cols, sizes.rank) &&
           sfi_add(&memory->state, memory->state, STATE_BYTES) &&
           blocks_bytes(&sizes, EFFECTIVE_WEIGHT, &memory->work_forward) &&
           blocks_bytes(&sizes, BLOCKS, &memory->work_backward);
}

static sfi_factors factors_in(const sfi_sfconv2d *layer, void *work)
{
    return sfi_sfconv2d_factors(layer, block_of(layer, work, MATRIX_P),
                                block_of(layer, work, MATRIX_QT));
}

static void store_vector(float *to, const double *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] = (float)from[i];
    }
}

const float *sfi_norm_weight(const sfi_sfconv2d *layer, const void *state_memory, void *work)
{
    const struct state *state = state_memory;
    const sfi_parameter *p = &layer->base.parameters[1];
    const double divisor = state->defined ? state->sigma.sigma : 1.0;
    float *scaled = block_of(layer, work, SCALED);
    for (int64_t i = 0; i < p->count; i++) {
        scaled[i] = (float)((double)p->data[i] / divisor);
    }
    return scaled;
}

const float *sfi_norm_forward(const sfi_sfconv2d *layer, bool training, void *state_memory,
                              void *work)
{
    struct state *state = state_memory;
    const sfi_factors factors = factors_in(layer, work);
    const sfconv_status status = sfi_sigma_forward(
        &factors, training ? 1 : 0, sfi_sfconv2d_u(layer), &state->sigma, iteration_memory(state));
    state->defined = status == SFCONV_OK;
    if (state->defined && training) {
        store_vector(sfi_sfconv2d_v(layer), state->sigma.v, factors.q_cols);
    }
    return sfi_norm_weight(layer, state, work);
}

int64_t sfi_norm_divisor_bytes(const sfi_sfconv2d *layer)
{
    sfi_norm_memory bytes;
    sfi_norm_bytes(layer, &bytes);
    return bytes.state + bytes.work_forward;
}

double sfi_norm_divisor(const sfi_sfconv2d *layer, void *memory)
{
    sfi_norm_memory bytes;
    sfi_sigma sigma;
    sfi_norm_bytes(layer, &bytes);
    const sfi_factors factors = factors_in(layer, (unsigned char *)memory + bytes.state);
    const sfconv_status status =
        sfi_sigma_forward(&factors, 0, sfi_sfconv2d_u(layer), &sigma, iteration_memory(memory));
    return status == SFCONV_OK ? sigma.sigma : 1.0;
}

float *sfi_norm_gradient(const sfi_sfconv2d *layer, void *work)
{
    return block_of(layer, work, EFFECTIVE_WEIGHT);
}

static void add_to(float *sum, const float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        sum[i] += values[i];
    }
}

void sfi_norm_backward(const sfi_sfconv2d *layer, void *state_memory, void *work, float *gradient_p,
                       float *gradient_q)
{
    const sfconv_sfconv2d_desc *desc = &layer->desc;
    struct state *state = state_memory;
    const sfi_factors factors = factors_in(layer, work);
    const int64_t count_p = sfi_count_p(&factors);
    const int64_t count_q = sfi_count_q(&factors);
    float *effective_weight = block_of(layer, work, EFFECTIVE_WEIGHT);
    float *effective = block_of(layer, work, EFFECTIVE_MATRIX);
    float *p_matrix = block_of(layer, work, GRADIENT_P);
    float *qt_matrix = block_of(layer, work, GRADIENT_QT);
    if (!state->defined) {
        add_to(gradient_p, effective_weight, count_p);
        return;
    }
    memset(p_matrix, 0, (size_t)count_p * sizeof(float));
    memset(qt_matrix, 0, (size_t)count_q * sizeof(float));
    sfi_p_from_weight(desc->out_channels, desc->rank, desc->kernel[0], effective_weight, effective);
    sfi_sigma_backward(&factors, &state->sigma, effective, p_matrix, qt_matrix,
                       iteration_memory(state));
    /* The two effective blocks are free now: they take the gradients in the order of the weights.
     */
    sfi_p_to_weight(desc->out_channels, desc->rank, desc->kernel[0], p_matrix, effective_weight);
    add_to(gradient_p, effective_weight, count_p);
    for (int64_t t = 0; t < factors.rank; t++) {
        for (int64_t column = 0; column < factors.q_cols; column++) {
            gradient_q[t * factors.q_cols + column] += qt_matrix[column * factors.rank + t];
        }
    }
}

sfconv_status sfi_norm_settle(const sfi_sfconv2d *layer, int32_t iterations, double *sigma)
{
    sfconv_context *context = layer->base.context;
    sfi_norm_memory bytes;
    sfi_sigma result;
    sfi_norm_bytes(layer, &bytes);
    const size_t total = (size_t)(bytes.state + bytes.work_forward);
    unsigned char *memory = sfi_alloc(context, total);
    if (!memory) {
        return sfi_fail_memory(context, "spectral norm", total);
    }
    const sfi_factors factors = factors_in(layer, memory + bytes.state);
    const sfconv_status status = sfi_sigma_forward(&factors, iterations, sfi_sfconv2d_u(layer),
                                                   &result, iteration_memory(memory));
    if (status == SFCONV_OK) {
        if (iterations > 0) {
            store_vector(sfi_sfconv2d_v(layer), result.v, factors.q_cols);
        }
        if (sigma) {
            *sigma = result.sigma;
        }
    }
    sfi_free(context, memory, total);
    if (status < 0) {
        return sfi_fail(context, status, "spectral norm: expected a positive finite number, got %g",
                        result.sigma);
    }
    return SFCONV_OK;
}
