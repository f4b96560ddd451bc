/* SPDX-License-Identifier: BSD-2-Clause */
/* Tiles by pixels: channels of one pixel lie side by side, and lanes run over them. */
#include "vec.h"

#define MAX_VECTORS 2

typedef sfv pixel_sums[SFV_TILE_ROWS][MAX_VECTORS];

/* What happens to the sums of a tile, a constant at every call: an activation, residuals before it,
 * or the gradient of one, with and without a slope. */
enum ending { ACTIVATION, RESIDUALS, PASSED_OR_ZERO, PASSED_OR_BENT };

SFV_INLINE void start_tile(pixel_sums sums, const sfk_pixels *p, int64_t n, int64_t channel,
                           int rows, int vectors)
{
    sfv start[MAX_VECTORS];
    if (p->accumulate) {
        SFV_UNROLL
        for (int r = 0; r < rows; r++) {
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[r][v] = sfv_load(p->to + (n + r) * p->stride + channel + v * SFV_LANES);
            }
        }
        return;
    }
    SFV_UNROLL
    for (int v = 0; v < vectors; v++) {
        start[v] = p->bias ? sfv_load(p->bias + channel + v * SFV_LANES) : sfv_zero();
    }
    SFV_UNROLL
    for (int r = 0; r < rows; r++) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sums[r][v] = start[v];
        }
    }
}

SFV_INLINE void add_residuals(pixel_sums sums, const sfk_pixels *p, int64_t n, int64_t channel,
                              int rows, int vectors)
{
    for (int64_t i = 0; i < p->residual_count; i++) {
        const float *from = p->residuals[i] + n * p->stride + channel;
        SFV_UNROLL
        for (int r = 0; r < rows; r++) {
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[r][v] = sfv_add(sums[r][v], sfv_load(from + r * p->stride + v * SFV_LANES));
            }
        }
    }
}

/* What an activation that gave `value` lets through. */
SFV_INLINE sfv let_through(sfv value, sfv gradient, sfv slope, bool bent)
{
    return bent ? sfv_if_greater(value, sfv_zero(), gradient, sfv_mul(slope, gradient))
                : sfv_where_greater(value, sfv_zero(), gradient);
}

SFV_INLINE void pass_tile(pixel_sums sums, const sfk_pixels *p, int64_t n, int64_t channel,
                          int rows, int vectors, bool bent)
{
    const sfv slope = sfv_set1(p->slope);
    float *to = p->to + n * p->stride + channel;
    const float *values = p->passed + n * p->stride + channel;
    float *total = p->sums + channel;
    sfv totals[MAX_VECTORS];
    SFV_UNROLL
    for (int v = 0; v < vectors; v++) {
        totals[v] = sfv_load(total + v * SFV_LANES);
    }
    SFV_UNROLL
    for (int r = 0; r < rows; r++, values += p->stride, to += p->stride) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            const sfv value = sfv_load(values + v * SFV_LANES);
            const sfv passed = let_through(value, sums[r][v], slope, bent);
            totals[v] = sfv_add(totals[v], passed);
            sfv_store(to + v * SFV_LANES, passed);
        }
    }
    SFV_UNROLL
    for (int v = 0; v < vectors; v++) {
        sfv_store(total + v * SFV_LANES, totals[v]);
    }
}

SFV_INLINE void activate_tile(pixel_sums sums, const sfk_pixels *p, int64_t n, int64_t channel,
                              int rows, int vectors)
{
    const sfv slope = sfv_set1(p->slope);
    const sfv floor = sfv_set1(p->activation == SFK_RELU ? 0.0f : -__builtin_inff());
    float *to = p->to + n * p->stride + channel;
    if (p->activation == SFK_LEAKY_RELU) {
        SFV_UNROLL
        for (int r = 0; r < rows; r++) {
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[r][v] = sfv_max(sfv_mul(slope, sums[r][v]), sums[r][v]);
            }
        }
    }
    SFV_UNROLL
    for (int r = 0; r < rows; r++, to += p->stride) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sfv_store(to + v * SFV_LANES, sfv_max(floor, sums[r][v]));
        }
    }
}

/* `rows` pixels of `vectors` vectors of channels, both constants at every call. */
SFV_INLINE void run_tile(const sfk_pixels *p, int64_t n, int64_t channel, int rows, int vectors,
                         enum ending ending)
{
    const float *const *sources = p->sources;
    const float *weights = p->weights + channel;
    const int64_t first = p->first + n, depth = p->depth, stride = p->weight_stride;
    pixel_sums sums;
    start_tile(sums, p, n, channel, rows, vectors);
    for (int64_t k = 0; k < depth; k++, weights += stride) {
        const float *source = sources[k] + first;
        sfv kept[MAX_VECTORS];
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            kept[v] = sfv_load(weights + v * SFV_LANES);
        }
        SFV_UNROLL
        for (int r = 0; r < rows; r++) {
            const sfv factor = sfv_set1(source[r]);
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[r][v] = sfv_fma(factor, kept[v], sums[r][v]);
            }
        }
    }
    if (ending == RESIDUALS) {
        add_residuals(sums, p, n, channel, rows, vectors);
    }
    if (ending == PASSED_OR_ZERO || ending == PASSED_OR_BENT) {
        pass_tile(sums, p, n, channel, rows, vectors, ending == PASSED_OR_BENT);
    } else {
        activate_tile(sums, p, n, channel, rows, vectors);
    }
}

/* Some channels of all pixels. */
SFV_INLINE void run_channels(const sfk_pixels *product, int64_t channel, int vectors,
                             enum ending ending)
{
    /* A store could change the product as far as the compiler knows. */
    const sfk_pixels p = *product;
    int64_t n = 0;
    for (; n + SFV_TILE_ROWS <= p.pixels; n += SFV_TILE_ROWS) {
        run_tile(&p, n, channel, SFV_TILE_ROWS, vectors, ending);
    }
    for (; n + 2 <= p.pixels; n += 2) {
        run_tile(&p, n, channel, 2, vectors, ending);
    }
    if (n < p.pixels) {
        run_tile(&p, n, channel, 1, vectors, ending);
    }
}

SFV_INLINE void run_product(const sfk_pixels *product, enum ending ending)
{
    int64_t channel = 0;
    for (; channel + MAX_VECTORS * SFV_LANES <= product->channels;
         channel += MAX_VECTORS * SFV_LANES) {
        run_channels(product, channel, MAX_VECTORS, ending);
    }
    /* 16 channels may be one vector. */
    if (channel < product->channels) {
        run_channels(product, channel, 1, ending);
    }
}

void SFK_NAME(pixel_product)(const sfk_pixels *product)
{
    if (product->passed && product->slope == 0.0f) {
        run_product(product, PASSED_OR_ZERO);
    } else if (product->passed) {
        run_product(product, PASSED_OR_BENT);
    } else if (product->residual_count > 0) {
        run_product(product, RESIDUALS);
    } else {
        run_product(product, ACTIVATION);
    }
}

void SFK_NAME(mask_pixels)(float *gradient, const float *values, float slope, float *sums,
                           int64_t stride, int64_t pixels, int64_t channels)
{
    const sfv below = sfv_set1(slope);
    for (int64_t channel = 0; channel < channels; channel += SFV_LANES) {
        sfv sum = sfv_load(sums + channel);
        for (int64_t n = 0; n < pixels; n++) {
            float *at = gradient + n * stride + channel;
            const sfv value =
                let_through(sfv_load(values + n * stride + channel), sfv_load(at), below, true);
            sum = sfv_add(sum, value);
            sfv_store(at, value);
        }
        sfv_store(sums + channel, sum);
    }
}

void SFK_NAME(pool_pixels)(float *out, const float *upper, const float *lower, int64_t stride,
                           int64_t count, int64_t channels)
{
    for (int64_t x = 0; x < count; x++) {
        const float *above = upper + 2 * x * stride;
        const float *below = lower + 2 * x * stride;
        for (int64_t c = 0; c < channels; c += SFV_LANES) {
            const sfv first = sfv_max_or_nan(sfv_load(above + c), sfv_load(below + c));
            const sfv second =
                sfv_max_or_nan(sfv_load(above + stride + c), sfv_load(below + stride + c));
            sfv_store(out + x * stride + c, sfv_max_or_nan(first, second));
        }
    }
}

SFV_INLINE void add_share(float *to, sfv share)
{
    sfv_store(to, sfv_add(sfv_load(to), share));
}

void SFK_NAME(unpool_pixels)(float *grad_upper, float *grad_lower, const float *upper,
                             const float *lower, const float *grad, int64_t stride, int64_t count,
                             int64_t channels)
{
    for (int64_t x = 0; x < count; x++) {
        for (int64_t c = 0; c < channels; c += SFV_LANES) {
            const int64_t left = 2 * x * stride + c, right = left + stride;
            const sfv cells[4] = {sfv_load(upper + left), sfv_load(upper + right),
                                  sfv_load(lower + left), sfv_load(lower + right)};
            const sfv whole = sfv_load(grad + x * stride + c);
            sfv shares[4] = {whole, sfv_zero(), sfv_zero(), sfv_zero()};
            sfv best = cells[0];
            SFV_UNROLL
            for (int i = 1; i < 4; i++) {
                SFV_UNROLL
                for (int j = 0; j < i; j++) {
                    shares[j] = sfv_if_beats(cells[i], best, sfv_zero(), shares[j]);
                }
                shares[i] = sfv_if_beats(cells[i], best, whole, sfv_zero());
                best = sfv_if_beats(cells[i], best, cells[i], best);
            }
            add_share(grad_upper + left, shares[0]);
            add_share(grad_upper + right, shares[1]);
            add_share(grad_lower + left, shares[2]);
            add_share(grad_lower + right, shares[3]);
        }
    }
}
