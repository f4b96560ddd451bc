/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of a backward step in rank space share.
 *
 * Base by base, blocks of rows in tasks, strips of pixels in blocks, and channels in strips: the
 * map a is made again as in forward (or found, where it is stored), its gradient is Σ over sinks of
 * Qᵀ·(gradient of the mixed maps), and what is left of both are sums over pixels: dQ = Σ a·dTᵀ,
 * G = Σ dv·(p - centre)ᵀ, Σ dv, and the gradient of the taps Wᵀ·dv. Each task has its own sums. */
#ifndef SFI_RANK_BACK_H
#define SFI_RANK_BACK_H

#include "rank_training.h"

/* A tile of pixels times channels, of values and of gradients, fits the first-level cache. Channels
 * of a pixel lie side by side: kernels have their lanes there, which few taps and narrow maps would
 * not fill. */
#define SFI_BACK_STRIP 96
#define SFI_BACK_CHANNELS 32
#define SFI_BACK_TILE (SFI_BACK_STRIP * SFI_BACK_CHANNELS)

/* Channels in whole vectors of every instruction set. */
static inline int64_t sfi_back_lanes(int64_t channels)
{
    return sfi_ceil_div(channels, SFK_SLACK) * SFK_SLACK;
}

/* Mixed maps of the sinks at one size: all that see the map as it is, or all that see it pooled. */
typedef struct sfi_back_mixed {
    int64_t count;
    /* Of each map a row of weights, a channel each. */
    float *weights;
} sfi_back_mixed;

/* Sums of one task. */
typedef struct sfi_back_sums {
    /* [tap][channel], [mixed map][channel], the same of pooled ones, [channel]. */
    float *taps;
    float *full;
    float *half;
    double *channel;
} sfi_back_sums;

typedef struct sfi_back_job {
    const sfconv_run *run;
    const sfk_table *kernels;
    int32_t node;
    sfi_rank_cut cut;
    int64_t blocks;
    int64_t tasks;
    bool has_unit;
    sfi_rank_unit unit;
    /* Taps and channels in whole vectors. */
    int64_t tap_pitch;
    int64_t channel_pitch;
    sfi_back_mixed full;
    sfi_back_mixed half;
    /* The folded weights [tap][channel], their bias, and the same weights [channel][tap]. */
    float *expansion;
    float *bias;
    float *contraction;
    /* Of all parts; 0 where no BatchNorm follows. */
    float *centre;
    /* The stored map and its gradient, or NULL; what is written to the latter is added where
     * `begun`. */
    const float *map;
    float *gradient;
    bool begun;
    float *residual_gradient[SFI_MAX_INPUTS];
    bool residual_begun[SFI_MAX_INPUTS];
    /* [image][tap][pixel] */
    float *tap_gradient;
    unsigned char *sums;
    int64_t sums_per_task;
    /* What the tasks have summed of taps, full and half, in their order. */
    double *totals;
    unsigned char *scratch;
    int64_t scratch_per_worker;
    /* For the corrections: P in double, [channel][pitch], and of each channel the factors of K and
     * k0; K and -k0 in float. */
    double *weights;
    double *factors;
    double *offsets;
    float *correction;
    const float **correction_rows;
    float *correction_bias;
} sfi_back_job;

/* Memory of one strip: tiles by pixels, taps less their centre, and the gradients of the taps. */
typedef struct sfi_back_side {
    float *values;
    float *gradients;
    float *centred;
    const float **centred_rows;
    float *tap_gradient;
} sfi_back_side;

/* A worker's memory: strips of two rows and of the pooled one; pointers to taps; gradients of the
 * mixed maps of a block. */
typedef struct sfi_back_bench {
    sfi_back_side sides[2];
    float *pooled_values;
    float *pooled_gradients;
    /* A tile for each residual; sums over the pixels of a tile; a tile by rows, on its way to a map
     * in memory. */
    float *residuals;
    float *channel_sums;
    float *rows_of_tile;
    const float **taps;
    const float **full;
    const float **half;
    float *full_maps;
    int64_t full_stride;
    float *half_maps;
    int64_t half_stride;
    /* For the corrections: rows of four channels. */
    double *rows;
    double *products;
    double *totals;
} sfi_back_bench;

typedef struct sfi_back_task {
    const sfi_back_job *job;
    sfi_back_bench bench;
    sfi_back_sums sums;
    /* The block at hand. */
    int64_t image;
    int64_t first_row;
    int64_t end_row;
    /* Its sums hold something: those of the maps at full size, those of the pooled one. */
    bool begun;
    bool half_begun;
} sfi_back_task;

/* The sink of `node` at or behind *index that mixes; *index moves behind it. NULL at the end. */
static inline const sfi_rank_sink *sfi_back_next_sink(const sfi_rank_plan *plan, int32_t node,
                                                      int32_t *index)
{
    while (*index < plan->sink_count) {
        const sfi_rank_sink *sink = &plan->sinks[(*index)++];
        if (sink->base == node && sink->via != SFI_VIA_COPY) {
            return sink;
        }
    }
    return NULL;
}

/* A channel in front of BatchNorm `norm`: its row of P in double and of P·M, G, S1, and where the
 * gradient of the row is added. */
typedef struct sfi_back_channel {
    int32_t norm;
    int64_t channel;
    const double *weights;
    const double *products;
    const double *totals;
    double sum;
    float *gradient;
} sfi_back_channel;

/* Of a channel: the factors of K and k0. */
typedef struct sfi_back_factors {
    double factor;
    double offset;
} sfi_back_factors;

/* Adds the gradients of the row and of the BatchNorm, see rank_correct.c. */
sfi_back_factors sfi_back_correct_channel(const sfconv_run *run, const sfi_rank_batch *batch,
                                          const sfi_back_channel *channel);

void sfi_back_lay_out_bench(sfi_back_bench *bench, const sfi_back_job *job, int32_t worker);
sfi_back_sums sfi_back_sums_of(const sfi_back_job *job, int64_t task);
/* Sums of taps, full and half together, which follow each other. */
int64_t sfi_back_summed(const sfi_back_job *job);
/* Takes the block at hand back, strip by strip. */
void sfi_back_run_strips(sfi_back_task *task);
/* What the activation lets through of a gradient where its value is not above 0. */
float sfi_back_slope(const sfi_rank_unit *unit);
/* From the sums of all tasks: gradients of parameters, and of the maps that the unit gathered. */
void sfi_back_finish(const sfi_back_job *job);

#endif
