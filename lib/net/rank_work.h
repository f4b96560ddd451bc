/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of a rank-space step share: how its work is cut, a worker's memory, and a task. */
#ifndef SFI_RANK_WORK_H
#define SFI_RANK_WORK_H

#include "kernels.h"
#include "rank_step.h"
#include "sizes.h"

/* A strip of channels times pixels fits the first-level cache beside its sources and weights. */
#define SFI_RANK_STRIP 96
#define SFI_RANK_CHANNELS 64
/* More elements of a map than the caches of a core hold. */
#define SFI_RANK_LARGE 262144
/* Channels of a stored map that so many mixed maps are made of are brought together first. */
#define SFI_RANK_DEEP 32

/* How the work on one base is cut, by its shape alone. */
typedef struct sfi_rank_cut {
    sfi_shape shape;
    int64_t plane;
    /* Rows are cut at multiples of this. */
    int64_t row_step;
    int64_t most_rows;
    int64_t channels_per_task;
    /* All rows of some channels follow each other. */
    int64_t row_tasks;
    /* Of an odd number of tasks of rows the middle one is two, of half of the channels each. */
    bool halves_middle;
    int64_t tasks_per_image;
    bool pooled;
    /* Tasks are channels, all rows of them. */
    bool averaged;
} sfi_rank_cut;

/* Where task `task` of row_tasks begins, or ends the one before it. */
static inline int64_t sfi_rank_first_row(const sfi_rank_cut *cut, int64_t task)
{
    const int64_t steps = sfi_ceil_div(cut->shape.h, cut->row_step);
    return sfi_min(cut->shape.h, sfi_spread_begin(steps, cut->row_tasks, task) * cut->row_step);
}

/* One sink during one task. */
typedef struct sfi_rank_open {
    const sfi_rank_sink *sink;
    sfi_rank_maps maps;
    const float *const *weights;
    int64_t mixed_count;
    const float *bias;
    /* Where the mixed maps go, row m at to + m·stride. */
    float *to;
    int64_t stride;
    /* They are the consumer's maps already. */
    bool direct;
    /* And hold what an earlier sink has mixed. */
    bool adds;
} sfi_rank_open;

/* A worker's memory: tables of pointers, mixed maps of each sink. */
typedef struct sfi_rank_bench {
    sfi_rank_open *sinks;
    float *mixed;
    /* Of a unit, see sfk_pair. */
    const float **taps;
    const float **residuals;
    sfk_mixed *mixed_maps;
    float *tiles;
    /* Of a stored map: its channels, brought together; pooled; rows of them, of the lower of two
     * rows, and pooled. */
    float *strip;
    float *pooled;
    const float **rows;
    const float **lower_rows;
    const float **pooled_rows;
    /* Of a stem in lines: sums at the points, and rows of outputs that wait for their pooling; the
     * former also the values of the sources of four rows at once. */
    float *points;
    float *lines;
    /* The channels of a task, of a map that is averaged. */
    float *averaged;
    /* A band: its rows, those of the pooled map, and what row_tiles needs. */
    float *band;
    float *pooled_band;
    float *row_tiles;
} sfi_rank_bench;

/* A stem in lines, see rank_stem.c. */
typedef struct sfi_rank_stem {
    /* Its full map, which nobody stores. */
    sfi_shape full;
    /* Of a row of it, and with room for whole vectors behind. */
    int64_t tiles;
    int64_t pitch;
    /* Sources of a sum. */
    int64_t depth;
    /* Pooled rows that are worked on at once, rows that are kept for them, and what a point of a
     * channel takes. */
    int64_t pooled_rows;
    int64_t kept_rows;
    int64_t span;
    /* Channels that are worked on at once. */
    int64_t channels;
} sfi_rank_stem;

/* Of a unit: one row of `depth` weights a channel, and a bias, with BatchNorm taken in. */
typedef struct sfi_rank_folded {
    /* The rows follow each other. */
    float *weights;
    float *bias;
    const float **rows;
} sfi_rank_folded;

/* Weights of a step as it takes them, see rank_weights.c. */
typedef struct sfi_rank_weights {
    /* Of the sinks, one after the other, those of the pooled map last: a row of weights for each
     * mixed map, and the distance of its elements. */
    const float **mix;
    int64_t *mix_step;
    /* Of a stem in lines. */
    sfi_rank_folded folded;
    /* Of other units: both products as strip_pair takes them, or the first as quad_expand does, and
     * what they are packed from: rows and scales [part][channel], a bias, and the weights of stems
     * with the vertical taps innermost. */
    float *packed;
    sfk_pair_part *parts;
    /* Of a part with spectral normalization, what its rows are divided by; 1 of the others. */
    double *divisors;
    const float **rows;
    float *scales;
    float *bias;
    float *reordered;
    /* Of the sinks in tiles, one after the other, see rank_tiles.c. */
    float *tiled;
} sfi_rank_weights;

/* What the sinks of a base mix in all, but those in tiles. */
typedef struct sfi_rank_mixing {
    int32_t sinks;
    /* Mixed maps of the map as it is, and of the pooled one. */
    int64_t full;
    int64_t pooled;
    /* Of a task's mixed maps that are shifted before they reach the consumers' maps. */
    int64_t elements;
} sfi_rank_mixing;

typedef struct sfi_rank_job {
    const sfconv_run *run;
    const sfk_table *kernels;
    int32_t node;
    sfi_rank_cut cut;
    /* Without parts where the map is there already. */
    sfi_rank_unit unit;
    sfi_rank_mixing mixing;
    /* Elements of the weights of sinks in tiles. */
    int64_t tiled;
    sfi_rank_weights weights;
    /* The stored map, or NULL; in its place averages of all of it, or NULL. */
    float *map;
    float *averages;
    unsigned char *scratch;
    int64_t scratch_per_worker;
} sfi_rank_job;

typedef struct sfi_rank_task {
    const sfi_rank_job *job;
    sfi_rank_bench bench;
    int32_t sink_count;
    int64_t image;
    int64_t first_row;
    int64_t end_row;
    int64_t first_channel;
    int64_t end_channel;
    /* Its channels, from the first on, or NULL: their rows from map_row on, map_plane apart. */
    float *map;
    int64_t map_plane;
    int64_t map_row;
    /* Of a pooled band. */
    int64_t pooled_plane;
} sfi_rank_task;

/* Whether the weights of a unit (none: without parts) are packed: for quad_expand or strip_pair. */
static inline bool sfi_rank_is_packed(const sfi_rank_unit *unit)
{
    return unit->part_count > 0 && !unit->lines;
}

/* Whether a unit is made by strip_pair. */
static inline bool sfi_rank_is_pair(const sfi_rank_unit *unit)
{
    return sfi_rank_is_packed(unit) && !unit->quads;
}

/* The sinks of `node` that mix, but not in tiles, those of the pooled map last: the one behind
 * *index, which begins at 0; NULL at the end. */
const sfi_rank_sink *sfi_rank_next_mixed(const sfi_rank_plan *plan, int32_t node, int32_t *index);

/* Whether the channels of a stored map are brought together: where many maps are mixed of them, or
 * the map comes from memory. Two rows that are pooled are read where they lie. */
static inline bool sfi_rank_gathers(const sfi_rank_mixing *mixing, sfi_shape shape)
{
    return mixing->pooled == 0 &&
           (mixing->full >= SFI_RANK_DEEP || shape.c * shape.h * shape.w > SFI_RANK_LARGE);
}

/* Pixels that are brought together at a time: few of many channels, so that they stay in a cache.
 */
static inline int64_t sfi_rank_gathered_pixels(int64_t channels)
{
    return channels <= 128 ? SFI_RANK_STRIP : SFI_RANK_STRIP / 2;
}

/* Whether the map of a pair that nothing is mixed of is so large that it is written in long runs of
 * each channel. */
static inline bool sfi_rank_stores_runs(const sfi_rank_unit *unit, const sfi_rank_mixing *mixing,
                                        sfi_shape shape)
{
    return unit->band == SFI_BAND_NONE && mixing->sinks == 0 &&
           shape.c * shape.h * shape.w > SFI_RANK_LARGE;
}

sfi_rank_mixing sfi_rank_mixing_of(const sfi_plan *plan, const sfconv_net *net, int32_t node);

/* A map that an up-sampled or pooled base mixes for each horizontal tap. */
static inline int64_t sfi_rank_mixed_count(const sfi_rank_maps *maps)
{
    return maps->count * maps->taps;
}

sfi_rank_cut sfi_rank_cut_of(const sfi_plan *plan, int32_t node);
/* Without horizontal taps, and with rows in the order of the image, mixing is all there is to do;
 * not, where another sink of the same base has mixed into the same maps. */
bool sfi_rank_is_direct(const sfi_rank_plan *plan, const sfi_rank_sink *sink,
                        const sfi_rank_maps *maps);
/* Distance between mixed maps in a worker's memory. */
int64_t sfi_rank_mixed_stride(const sfi_rank_cut *cut, enum sfi_rank_via via);
/* Lays out a worker's memory from address `memory` on and returns its bytes. */
int64_t sfi_rank_lay_out(sfi_rank_bench *bench, const sfi_plan *plan, const sfconv_net *net,
                         int32_t node, uintptr_t memory);
/* The most of that, or of sinks in tiles, that a step of forward needs. */
int64_t sfi_rank_worker_bytes(const sfi_plan *plan, const sfconv_net *net);
/* The next block from address *at on, on its own cache lines. Sizes are found by laying out from
 * address 0, hence no pointer. */
static inline void *sfi_rank_take(uintptr_t *at, int64_t count, size_t size)
{
    void *taken = (void *)*at;
    *at += (uintptr_t)sfi_round64(count * (int64_t)size);
    return taken;
}

/* Training: y = scale·(P·p) + shift of a BatchNorm behind P, by the statistics of the batch. */
void sfi_rank_batch_line(const sfconv_run *run, int32_t norm, int64_t channel, double *scale,
                         double *shift);
/* Takes memory from address *memory on; folds the parts of a unit into it. */
sfi_rank_folded sfi_rank_folded_at(const sfi_rank_unit *unit, int64_t channels, uintptr_t *memory);
void sfi_rank_fold(const sfi_rank_folded *folded, const sfconv_run *run, const sfi_rank_unit *unit,
                   int64_t channels);
/* Lays out the weights of a step from address `memory` on and returns their bytes; `job` knows its
 * node, cut, unit and mixing. Then makes them. */
int64_t sfi_rank_lay_out_weights(sfi_rank_job *job, const sfconv_net *net, uintptr_t memory);
void sfi_rank_make_weights(sfi_rank_job *job);
/* Channels that are worth a task of their own where `elements` weights of each are laid out. */
static inline int64_t sfi_rank_channels_of_task(int64_t elements)
{
    return sfi_max(32, 16384 / (1 + elements));
}
/* P of an sfconv2d [out][rank][kh], or the weight of a stem [out][in][kh][kw]; and the bias, NULL
 * where there is none. */
const float *sfi_rank_expanding_weights(const sfconv_layer *layer);
const float *sfi_rank_bias(const sfconv_layer *layer);
/* Q of an sfconv2d [rank][in][kw], or the weight of a 1x1 convolution [out][in]. */
const float *sfi_rank_mixing_weights(const sfconv_layer *layer);
/* Where tap `tap` of a gathered map lies, counted from the first. */
static inline int64_t sfi_rank_tap_offset(const sfi_rank_maps *maps, int64_t tap)
{
    const int64_t row = tap * maps->spacing;
    return (row % maps->residues * maps->rows + row / maps->residues) * maps->width;
}
/* Where each tap of the convolution's maps finds output pixel 0 of image `image`. */
void sfi_rank_point_at_taps(const sfconv_run *run, int32_t conv, int64_t image, const float **taps);

sfi_rank_stem sfi_rank_stem_of(const sfi_plan *plan, const sfconv_net *net, int32_t conv);
int64_t sfi_rank_stem_macs(const sfi_plan *plan, const sfconv_net *net, int32_t conv);
/* Floats of the two buffers in a worker's memory. */
int64_t sfi_rank_stem_points(const sfi_rank_stem *stem);
int64_t sfi_rank_stem_lines(const sfi_rank_stem *stem);
/* The task's rows of the pooled map. */
void sfi_rank_stem_rows(const sfi_rank_task *task);

/* Both products of a unit. */
void sfi_rank_run_pairs(const sfi_rank_task *task);

/* Contracts a task's part of a stored map for its sinks. */
void sfi_rank_run_strips(const sfi_rank_task *task);

#endif
