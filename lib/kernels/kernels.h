/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFK_KERNELS_H
#define SFK_KERNELS_H

#include "row_tiles.h"

#include <stdbool.h>
#include <stdint.h>

/* Inner loops: no memory, no threads, no errors. Each is compiled once per instruction set from one
 * body, and every instruction set gives the same bits. Recipe: docs/kernels.md. */

/* One tile of a matrix product whose operands need not be matrices in memory:
 *   c[m][n] = start + Σ_k a[m * a_row + k * a_step] * b[b_steps[k] + n]
 * with one chain of fma in the order of k for each element. Steps count elements. */
typedef struct sfk_tile {
    const float *a;
    /* 1 and tile_rows where pack_rows has laid the rows of the tile out. */
    int64_t a_row;
    int64_t a_step;
    /* Whole vectors are read: up to 15 elements behind the last column must exist. */
    const float *b;
    const int64_t *b_steps;
    float *c;
    int64_t c_stride;
    /* Where the chain starts: NULL: 0, otherwise bias[m]; unless `accumulate`: then c[m][n]. */
    const float *bias;
    bool accumulate;
    /* rows <= tile_rows, columns <= tile_columns of the table; depth may be 0. */
    int32_t rows;
    int32_t columns;
    int64_t depth;
} sfk_tile;

/* One tile of the same product with lanes over channels, which have no ends of rows to waste:
 *   to[m·panel_columns + n] = start + Σ_k pixels[steps[k] + places[m]] * weights[k·panel_columns +
 * n] for m < rows and all n < panel_columns, with one chain of fma in the order of k for each
 * element.
 */
typedef struct sfk_panel_tile {
    const float *pixels;
    const int64_t *steps;
    const int64_t *places;
    /* A panel, as pack_panel() of the layers lays it out. */
    const float *weights;
    /* Asked for meanwhile, into the second-level cache: a line for each step or less, so that those
     * of the sums need not wait for a place. Never read; NULL for nothing. */
    const float *next;
    const float *next_end;
    float *to;
    /* Where the chain starts: NULL: 0, otherwise bias[n] for n < channels and 0 behind; unless
     * `accumulate`: then to[m][n]. */
    const float *bias;
    bool accumulate;
    /* rows <= panel_rows, channels <= panel_columns of the table; depth may be 0. */
    int32_t rows;
    int32_t channels;
    int64_t depth;
} sfk_panel_tile;

#define SFK_IDENTITY 0
#define SFK_RELU 1
#define SFK_LEAKY_RELU 2

/* Rows of sums over a strip of pixels that follow each other:
 *   to[m][n] = activation(start + Σ_k weights[m][weight_first + k·weight_step]
 *                         * sources[k][first + n] + Σ_i residuals[i][m][first + n])
 * with one chain of fma in the order of k for each element, then the residuals in their order.
 * Taps to channels (expansion) and channels to mixed maps (contraction) are both of this form. */
typedef struct sfk_strip {
    const float *const *weights;
    int64_t weight_first;
    int64_t weight_step;
    /* Whole vectors are read of sources and residuals: up to 15 elements behind the last column
     * must exist. */
    const float *const *sources;
    int64_t first;
    int64_t depth;
    /* NULL, or the sources of another product, which are asked for meanwhile from `next_first` on:
     * as many lines of each as there are blocks of rows, of each tile of columns. */
    const float *const *next;
    int64_t next_first;
    const float *const *residuals;
    int64_t residual_count;
    /* From row to row of a residual. */
    int64_t residual_stride;
    float *to;
    int64_t to_stride;
    int64_t rows;
    int64_t columns;
    /* Where the chain starts: NULL: 0, otherwise bias[m]; unless `accumulate`: then to[m][n]. */
    const float *bias;
    bool accumulate;
    /* SFK_IDENTITY, SFK_RELU or SFK_LEAKY_RELU with 0 < slope <= 1. */
    int32_t activation;
    float slope;
} sfk_strip;

/* What is mixed of a map whose channels lie `plane` elements apart, as a sfk_strip whose sources
 * they are has it: to[m][n] = start + Σ_c weights[m][c·weight_step] · map[c·plane + n], one chain
 * of fma in the order of c. Made for maps that are larger than a cache: the channels of `strip`
 * pixels are copied side by side first, and those of the next strip asked for meanwhile. */
typedef struct sfk_mix {
    const float *const *weights;
    int64_t weight_step;
    /* Whole vectors are read: up to 15 elements behind the last column must exist. */
    const float *map;
    int64_t plane;
    int64_t channels;
    int64_t columns;
    /* A multiple of 16. */
    int64_t strip;
    float *to;
    int64_t to_stride;
    int64_t rows;
    /* Where the chain starts: NULL: 0, otherwise bias[m]; unless `accumulate`: then to[m][n]. */
    const float *bias;
    bool accumulate;
    /* channels · strip elements. */
    float *scratch;
} sfk_mix;

/* A mixed map of a pair: where its pixels go, and where its sums start: at `start`, or where
 * `accumulate`, as no pooled map may have it, at what is there. */
typedef struct sfk_mixed {
    float *to;
    float start;
    bool accumulate;
} sfk_mixed;

/* Both products of a strip at once, taps to channels to mixed maps, without a channel being stored:
 *   a[c][n] = activation(bias[c] + Σ_k expand[c][k] · sources[k][first + n]
 *                        + Σ_i residuals[i][c·plane + first + n])
 *   mixed[j].to[mixed_first + n] = start + Σ_c mix[j][c] · a[c][n]
 * each sum one chain of fma in the order of k or c, the residuals added in theirs. Where `rows` is
 * 2, as only pooled maps need it, the same for the pixels `lower` elements behind, one row below,
 * and from both rows pooled[j].to[pooled_first + x] = start + Σ_c mix[mixed_count + j][c] ·
 * largest(a[c][2x], a[c][2x + 1], a[c][lower + 2x], a[c][lower + 2x + 1]) for x < columns / 2, the
 * largest as pool_pairs has it. */
typedef struct sfk_pair {
    /* As pack_pair leaves them. */
    const float *weights;
    int64_t channels;
    /* Whole vectors are read of sources and residuals: up to 15 elements behind the last column
     * must exist. */
    const float *const *sources;
    int64_t depth;
    int64_t first;
    int64_t columns;
    int64_t rows;
    int64_t lower;
    const float *const *residuals;
    int64_t residual_count;
    /* From channel to channel of residuals and map. */
    int64_t plane;
    /* NULL, or where the channels are kept: a[c][n] at map[c·plane + first + n]. */
    float *map;
    const sfk_mixed *mixed;
    int64_t mixed_count;
    int64_t mixed_first;
    const sfk_mixed *pooled;
    int64_t pooled_count;
    int64_t pooled_first;
    /* SFK_IDENTITY, SFK_RELU or SFK_LEAKY_RELU with 0 < slope <= 1. */
    int32_t activation;
    float slope;
    /* SFK_PAIR_PIXELS elements for each source and each mixed or pooled map; for strip_store
     * sfk_stored_pixels(depth) for each source. */
    float *scratch;
} sfk_pair;

/* Pixels of the largest tile of any instruction set. */
#define SFK_PAIR_PIXELS 64

/* Pixels of a strip of strip_store: a long run of each channel, from taps that the second-level
 * cache holds. A multiple of the pixels of a tile. */
static inline int64_t sfk_stored_pixels(int64_t depth)
{
    const int64_t tiles = 32768 / (48 * (depth + 1));
    return 48 * (tiles < 1 ? 1 : tiles > 8 ? 8 : tiles);
}

/* Sources of a pair that follow each other, one row of weights for each channel:
 * weights[c][k] · scales[c], rounded once. */
typedef struct sfk_pair_part {
    const float *const *weights;
    int64_t depth;
    const float *scales;
} sfk_pair_part;

/* The weights of a pair as they come; rows of `mix` and `mix_step` are those of the mixed maps,
 * then those of the pooled ones: mix[j][c] at mix[j] + c·mix_step[j]. */
typedef struct sfk_pair_weights {
    int64_t channels;
    /* Packed are the blocks of channels that begin from first_channel on and before end_channel:
     * all, or parts for several calls that share the work. */
    int64_t first_channel;
    int64_t end_channel;
    /* expand[c][k] is part after part; their depths add up to that of the pair. */
    const sfk_pair_part *parts;
    int64_t part_count;
    int64_t depth;
    /* [channels]. */
    const float *bias;
    const float *const *mix;
    const int64_t *mix_step;
    int64_t mixed_count;
    int64_t pooled_count;
} sfk_pair_weights;

/* Some columns of groups of four rows of a map, by Winograd's F(4, 3) along the columns: with the
 * values of the sources at six points of six rows, points[i][k][n], and the weights at these, of
 * three vertical taps each,
 *   y_q[c][n] = bias[c] + row q of Aᵀ · (Σ_k weights[c][i][k] · points[i][k][n])_i,
 *   a[c][q][n] = activation(y_q[c][n] + Σ_i residuals[i][c·residual_plane + at(q, n)]).
 * The columns n go on from one group of rows to the next: n is column x = (column + n) % width of
 * the rows from `row` + 4·((column + n) / width) on, and at(q, n) row q of these, column x.
 * The sums of points 0 and ∞ are one chain of fma each on top of what the inner points give to the
 * first and the last row; residuals are added in their order. */
typedef struct sfk_quad {
    /* As pack_quad leaves them. */
    const float *weights;
    int64_t channels;
    /* points[i·point_stride + k·span + n]; up to 15 elements behind the last of each i must exist
     * for nothing else, as quad_points writes there. */
    const float *points;
    int64_t point_stride;
    int64_t depth;
    int64_t span;
    /* Of the first column. */
    int64_t row;
    int64_t column;
    /* At most SFK_MAX_QUAD_COLUMNS. */
    int64_t columns;
    /* Whole vectors are read: up to 15 elements behind the last column must exist. */
    const float *const *residuals;
    int64_t residual_count;
    int64_t residual_plane;
    int64_t plane;
    int64_t width;
    /* Rows from here on do not exist. */
    int64_t height;
    /* a[c][q][n] at map[c·plane + at(q, n)], where its row exists. */
    float *map;
    /* The map is too large for a cache: what is written soon is asked for meanwhile. */
    bool from_memory;
    /* SFK_IDENTITY, SFK_RELU or SFK_LEAKY_RELU with 0 < slope <= 1. */
    int32_t activation;
    float slope;
} sfk_quad;

/* Channels of the largest block of any instruction set; packed are whole blocks. */
#define SFK_QUAD_BLOCK 8
/* Floats of a channel's packed weights. */
#define SFK_QUAD_PACKED(depth) (1 + SFK_WINOGRAD_WINDOW * (depth))

/* The horizontal taps of a convolution whose channels are mixed already, a row each. shift_add:
 *   to[x] = start + Σ_tap from[tap·tap_stride + x·stride + tap·dilation - padding] for x <
 * out_width, zeros outside the row, in the order of the taps; start is 0 or, where `accumulate`,
 * to[x]. Its transpose, spread_taps: column x of the row of tap `tap` takes what reads it,
 *   to[tap·tap_stride + x] = from[o] where o·stride + tap·dilation - padding = x, 0 <= o <
 * out_width, and 0 where no o does, for x < width; `accumulate` is false. */
typedef struct sfk_shift {
    const float *from;
    int64_t tap_stride;
    int64_t taps;
    int64_t stride;
    int64_t dilation;
    int64_t padding;
    /* Of a row of a tap, and of what the taps are summed to. */
    int64_t width;
    int64_t out_width;
    bool accumulate;
} sfk_shift;

/* Sums over the pixels of a strip, the gradients of both weights of a pair:
 *   to[m][k] = start + Σ_n left[m][left_first + n] * right[n·right_stride + k]
 * with one chain of fma in the order of n for each element; start is 0 or, where `accumulate`,
 * to[m][k]. */
typedef struct sfk_outer {
    const float *const *left;
    int64_t left_first;
    /* By pixels, as pixel_product and transpose_taps leave it. Whole vectors are read: columns up
     * to the next multiple of 16 must exist, finite or not. */
    const float *right;
    int64_t right_stride;
    /* Pixels; may be 0. */
    int64_t depth;
    /* Nothing but `columns` elements of each row is touched. */
    float *to;
    int64_t to_stride;
    int64_t rows;
    int64_t columns;
    bool accumulate;
} sfk_outer;

/* Sums over the channels of a tile by pixels, the gradient of the taps:
 *   to[k·to_stride + n] = start + Σ_c weights[c·weight_stride + k] * from[n·from_stride + c]
 * with one chain of fma in the order of c for each element; start is 0 or, where `accumulate`, to.
 * Pixels and channels up to the next multiples of 16 must exist, in `from` finite or not, and those
 * pixels of `to` are written. */
typedef struct sfk_pull {
    const float *from;
    int64_t from_stride;
    int64_t pixels;
    int64_t channels;
    const float *weights;
    int64_t weight_stride;
    float *to;
    int64_t to_stride;
    int64_t taps;
    bool accumulate;
} sfk_pull;

/* A tile by pixels, whose channels lie side by side, from maps and for each of them a row of
 * weights: to[n·stride + m] = activation(start + Σ_k sources[k][first + n] *
 * weights[k·weight_stride + m]
 *                                 + Σ_i residuals[i][n·stride + m])
 * with one chain of fma in the order of k for each element, then the residuals in their order: the
 * bits of sfk_strip. Channels are a multiple of 16. */
typedef struct sfk_pixels {
    const float *const *sources;
    int64_t first;
    int64_t depth;
    const float *weights;
    int64_t weight_stride;
    const float *const *residuals;
    int64_t residual_count;
    float *to;
    /* Of residuals and `passed` too. */
    int64_t stride;
    int64_t pixels;
    int64_t channels;
    /* Where the chain starts: NULL: 0, otherwise bias[m]; unless `accumulate`: then to. */
    const float *bias;
    bool accumulate;
    /* SFK_IDENTITY, SFK_RELU or SFK_LEAKY_RELU with 0 < slope <= 1. */
    int32_t activation;
    float slope;
    /* Or, where not NULL, what an activation gave whose gradient this is: no `activation` then;
     * where it is not above 0 the gradient is multiplied by `slope`. What is left is added to
     * sums[m] in the order of the pixels. */
    const float *passed;
    float *sums;
} sfk_pixels;

/* y = ((x - mean) - mean_rest)·scale + shift. The mean comes as the sum of two floats: where the
 * deviation is tiny against the mean, the rounding of one float would show in y. */
typedef struct sfk_normal {
    float mean;
    float mean_rest;
    float scale;
    float shift;
} sfk_normal;

/* Each element x becomes activation(x normalized + addend); see normalize and the activations. */
typedef struct sfk_finish {
    /* Both may be NULL: then x stays, and nothing is added. */
    const sfk_normal *normal;
    const float *addend;
    /* SFK_IDENTITY, SFK_RELU or SFK_LEAKY_RELU. */
    int32_t activation;
    float slope;
} sfk_finish;

/* Element i becomes in[i]·scale where the upper 53 bits of number first + i of a Philox stream are
 * at least `threshold`, and 0 elsewhere. */
typedef struct sfk_mask {
    uint64_t seed;
    uint64_t stream;
    uint64_t first;
    int64_t threshold;
    float scale;
} sfk_mask;

/* Gradient of binary losses of logits x with targets t, p = sigmoid(x):
 *   bce·((1 - t)·p - positive_weight·t·(1 - p)) + dice·(overlap - 2t)·p·(1 - p),
 * in double. */
typedef struct sfk_binary {
    double bce;
    double positive_weight;
    double dice;
    double overlap;
} sfk_binary;

/* A row of pooling windows over one plane: window x covers the columns x·stride - padding onwards,
 * of which those outside 0 … width-1 do not count. */
typedef struct sfk_window {
    /* Row `first_row` of the windows in the plane; rows are `width` apart. */
    const float *in;
    int64_t width;
    /* Rows first_row … end_row-1 of the windows lie inside the plane. */
    int64_t first_row;
    int64_t end_row;
    int64_t kernel_width;
    int64_t stride;
    int64_t padding;
    /* Windows in the row. */
    int64_t columns;
} sfk_window;

/* Pixels of one output row that follow each other. */
typedef struct sfk_run {
    int64_t image;
    int64_t row;
    int64_t column;
    int64_t length;
} sfk_run;

/* Where one tap of a convolution finds its pixels in one channel: pixel (row, column) is at
 * (row * row_step + tap_row, column * column_step + tap_column) of the source, if that is inside.
 */
typedef struct sfk_gather {
    /* The channel of image 0, and the elements from image to image. */
    const float *plane;
    int64_t image_stride;
    int64_t height;
    int64_t width;
    int64_t tap_row;
    int64_t tap_column;
    int64_t row_step;
    int64_t column_step;
    /* Output columns whose source column is inside the image: first_column … end_column - 1. */
    int64_t first_column;
    int64_t end_column;
    const sfk_run *runs;
    int64_t run_count;
} sfk_gather;

/* Elements behind the end that sfk_gather may overwrite. */
#define SFK_SLACK 16
/* Floats of a cache line. */
#define SFK_CACHE_LINE 16
/* Pixels of one block of `moments`. */
#define SFK_MOMENT_BLOCK 96

/* Winograd's F(4x4, 3x3), docs/mathematics.md: a tile of 4x4 outputs from 6x6 inputs through 36
 * products. Coefficient f lies `plane` elements behind coefficient f - 1. */
#define SFK_WINOGRAD_TILE 4
#define SFK_WINOGRAD_WINDOW 6
#define SFK_WINOGRAD_PLANES 36
/* Most tiles that winograd_input takes, and the elements behind its rows that it may read. */
#define SFK_WINOGRAD_RUN 64
#define SFK_WINOGRAD_SLACK 64

/* Tiles of one row back to pixels: `rows` rows of `columns` pixels, at most 4 a tile;
 *   to = (to where `accumulate`) + (value + bias). */
typedef struct sfk_winograd_pixels {
    /* Coefficients: whole vectors are read, up to 15 elements behind the last tile must exist. */
    const float *from;
    int64_t plane;
    float *to;
    int64_t to_stride;
    int64_t rows;
    int64_t columns;
    float bias;
    bool accumulate;
} sfk_winograd_pixels;

/* Channels of the source that lie side by side where lanes run over channels: a multiple of every
 * vector. */
#define SFK_WINOGRAD_BLOCK 16
/* Of two rows of points and a panel. */
#define SFK_WINOGRAD_FILTERS (2 * SFK_WINOGRAD_WINDOW * SFK_MAX_PANEL)

/* With so many tiles and panels of SFK_MAX_PANEL, coefficients of filters are not stored. */
#define SFK_WINOGRAD_KEPT_TILES 4

/* Filters of the target channels of one panel and of some source channels, taps in reversed order
 * where `flipped`, are transformed and multiplied at once, all 36 planes:
 *   sums[plane][tile][m] = (sums where `accumulate`) + Σ_c coefficient(plane, c, m) ·
 *                          source[plane][tile][c] */
typedef struct sfk_winograd_panel {
    /* [source channel][tap][m], panel_columns of m. */
    const float *taps;
    /* As many of another panel that are needed soon, or NULL: they are brought nearer. */
    const float *next;
    /* Blocks of SFK_WINOGRAD_BLOCK channels: [block][plane][tile][channel]. */
    const float *source;
    float *sums;
    /* For coefficients of the filters: SFK_WINOGRAD_FILTERS of them for each source channel. */
    float *filters;
    int64_t tiles;
    int64_t channels;
    bool flipped;
    bool accumulate;
} sfk_winograd_panel;

/* Winograd's F(4, 4) along the rows of a convolution of stride 2 and at most 8 horizontal taps,
 * docs/mathematics.md: 4 outputs that follow each other are a tile; the even columns under it are a
 * convolution of stride 1 and at most 4 taps, the odd ones another, and both are summed at 7
 * points.
 */
#define SFK_LINE_TILE 4
#define SFK_LINE_TAPS 4
#define SFK_LINE_POINTS 7
#define SFK_LINE_PHASES 2

/* A row of an image to coefficients: tile t sees columns 8t - padding … 8t + 13 - padding, zeros
 * outside the row; coefficient f of its columns of parity p goes to
 * to[f·point_stride + p·phase_stride + t]. Nothing but `tiles` elements each is touched. */
typedef struct sfk_line {
    const float *from;
    int64_t width;
    int64_t padding;
    float *to;
    int64_t point_stride;
    int64_t phase_stride;
    int64_t tiles;
} sfk_line;

/* Rows of outputs, [column % 4][tile], to a row of their 3x3 maxima of stride 2 and padding 1:
 *   out[x] = activation(largest of columns 2x - 1 … 2x + 1 of the rows + bias); a NaN wins. */
typedef struct sfk_line_pool {
    /* NULL where a row is outside; the middle one never is. Whole vectors are read: up to 15
     * elements behind the last tile must exist. */
    const float *rows[3];
    int64_t stride;
    /* Of the rows; out has half as many, rounded up. */
    int64_t columns;
    float bias;
    /* SFK_IDENTITY, SFK_RELU or SFK_LEAKY_RELU with 0 < slope <= 1. */
    int32_t activation;
    float slope;
    /* Or NULL: which cell of each window won, 3·row + column, the first of equals; the middle one
     * where none is larger than -infinity. */
    uint8_t *cells;
} sfk_line_pool;

/* Products of an image row with a vector of neighbours of each of its pixels in some planes:
 *   to[(i·rows + m)·SFK_LAGS + t] += Σ_k left[m][k·left_step] · right[i·plane + k·right_step + t]
 * for t < SFK_LAGS, one chain in the order of k: in float, or `in_double` on from what is there. */
#define SFK_LAGS 16
typedef struct sfk_lags {
    const float *const *left;
    int64_t left_step;
    const float *right;
    int64_t right_step;
    int64_t plane;
    int64_t planes;
    int64_t count;
    int64_t rows;
    double *to;
    bool in_double;
} sfk_lags;

/* Patches of an image, `rows` rows of SFK_PATCH_COLUMNS columns, each times its factor:
 *   to[row][column] += Σ_n factors[n] · from[places[n] + row·pitch + column],
 * one chain in the order of n. Whole vectors are read: up to 8 elements behind a row must exist. */
#define SFK_PATCH_COLUMNS 8
typedef struct sfk_patches {
    const float *from;
    int64_t pitch;
    int64_t rows;
    const int64_t *places;
    const float *factors;
    int64_t count;
    float *to;
} sfk_patches;

/* Size of a tile of doubles. */
#define SFK_DOUBLE_ROWS 4
#define SFK_DOUBLE_COLUMNS 16

typedef struct sfk_table {
    /* SFCONV_ISA_… */
    int32_t isa;
    /* Floats in a vector. Speed may depend on it, results may not. */
    int32_t lanes;
    /* Largest tile of matrix_tile; tile_columns is a multiple of lanes and at most SFK_MAX_COLUMNS,
     * tile_rows at most SFK_MAX_ROWS. */
    int32_t tile_rows;
    int32_t tile_columns;
    /* Largest tile of panel_tile: pixels, and channels, a multiple of 8 and of lanes and a divisor
     * of SFK_MAX_PANEL. */
    int32_t panel_rows;
    int32_t panel_columns;
    /* Most pixels of panel_row. */
    int32_t panel_pixels;
    /* Columns of a strip for which quad_expand is soonest done, at most SFK_MAX_QUAD_COLUMNS. */
    int32_t quad_columns;
#define SFK_KERNEL(name, parameters) void(*name) parameters;
#include "kernel_list.inc"
#undef SFK_KERNEL
} sfk_table;

#define SFK_MAX_ROWS 8
#define SFK_MAX_COLUMNS 48
#define SFK_MAX_PANEL 32
#define SFK_MAX_PANEL_PIXELS 12
#define SFK_PANEL_TAPS 3
#define SFK_MAX_QUAD_COLUMNS 96

/* The table of SFCONV_ISA_… `isa`; NULL when it is not in this build or the processor lacks it. */
const sfk_table *sfk_table_for(int32_t isa);

/* The fastest instruction set here that is not above `at_most`; SFCONV_ISA_BEST: no limit. */
int32_t sfk_best_isa(int32_t at_most);

#endif
