/* SPDX-License-Identifier: BSD-2-Clause */
#include "cuts.h"
#include "square.h"

/* Pixels are taken 16 at a time, up to MOST_SLICES times: the sums of a tile stay in registers. */
#define SLICE 16
#if SFV_LANES == 16
#define MOST_SLICES 3
#define MOST_TAPS 8
#else
#define MOST_SLICES 1
#define MOST_TAPS (SFV_LANES == 8 ? 6 : 4)
#endif
#define MOST_PIXELS (MOST_SLICES * SLICE)
#define MOST_VECTORS (MOST_SLICES * SFV_PER_16)
/* As many as lie side by side in a strip on the way back: chains are stored once. */
#define CHANNELS 32

/* Some channels of some pixels, whose lanes run over pixels. */
typedef struct channel_rows {
    _Alignas(64) float row[CHANNELS][MOST_PIXELS];
} channel_rows;

SFV_INLINE void take_rows(channel_rows *rows, const sfk_pull *pull, int64_t n, int64_t pixels,
                          int64_t channel, int64_t channels)
{
    const int64_t stride = pull->from_stride;
    const float *from = pull->from + n * stride + channel;
    for (int64_t p = 0; p < pixels; p += LARGE_SQUARE) {
        for (int64_t c = 0; c < channels; c += LARGE_SQUARE) {
            transpose_large_square(&rows->row[c][p], MOST_PIXELS, from + p * stride + c, stride);
        }
    }
}

/* Sums of some taps and pixels over some channels. */
typedef struct tap_tile {
    float *to;
    int64_t to_stride;
    const float *weights;
    int64_t weight_stride;
    int64_t channels;
    bool accumulate;
} tap_tile;

/* `taps` x `vectors` registers, both constants at every call. */
SFV_INLINE void run_tile(const tap_tile *tile, const channel_rows *rows, int taps, int vectors)
{
    sfv sums[MOST_TAPS][MOST_VECTORS];
    float *to = tile->to;
    const float *weights = tile->weights;
    const int64_t to_stride = tile->to_stride, weight_stride = tile->weight_stride;
    SFV_UNROLL
    for (int k = 0; k < taps; k++) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sums[k][v] =
                tile->accumulate ? sfv_load(to + k * to_stride + v * SFV_LANES) : sfv_zero();
        }
    }
    for (int64_t c = 0; c < tile->channels; c++, weights += weight_stride) {
        sfv pixels[MOST_VECTORS];
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            pixels[v] = sfv_load(&rows->row[c][v * SFV_LANES]);
        }
        SFV_UNROLL
        for (int k = 0; k < taps; k++) {
            const sfv weight = sfv_set1(weights[k]);
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[k][v] = sfv_fma(weight, pixels[v], sums[k][v]);
            }
        }
    }
    SFV_UNROLL
    for (int k = 0; k < taps; k++) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sfv_store(to + k * to_stride + v * SFV_LANES, sums[k][v]);
        }
    }
}

/* Tiles that are higher than MOST_TAPS are not compiled. */
SFV_INLINE void run_height(const tap_tile *tile, const channel_rows *rows, int64_t taps,
                           int vectors)
{
    switch (taps) {
    case 8:
        if (MOST_TAPS >= 8) {
            run_tile(tile, rows, 8, vectors);
        }
        break;
    case 7:
        if (MOST_TAPS >= 7) {
            run_tile(tile, rows, 7, vectors);
        }
        break;
    case 6:
        if (MOST_TAPS >= 6) {
            run_tile(tile, rows, 6, vectors);
        }
        break;
    case 5:
        if (MOST_TAPS >= 5) {
            run_tile(tile, rows, 5, vectors);
        }
        break;
    case 4:
        run_tile(tile, rows, 4, vectors);
        break;
    case 3:
        run_tile(tile, rows, 3, vectors);
        break;
    case 2:
        run_tile(tile, rows, 2, vectors);
        break;
    default:
        run_tile(tile, rows, 1, vectors);
    }
}

/* Of `rest` taps those of the next tile: whole tiles, and at the end two of nearly equal height. */
SFV_INLINE int64_t next_taps(int64_t rest)
{
    if (rest >= 2 * MOST_TAPS) {
        return MOST_TAPS;
    }
    return rest > MOST_TAPS ? (rest + 1) / 2 : rest;
}

/* All taps of `slices` times 16 pixels, a constant at every call. */
SFV_INLINE void run_taps(tap_tile tile, const channel_rows *rows, int64_t taps, int slices)
{
    while (taps > 0) {
        const int64_t taken = next_taps(taps);
        run_height(&tile, rows, taken, slices * SFV_PER_16);
        tile.to += taken * tile.to_stride;
        tile.weights += taken;
        taps -= taken;
    }
}

/* Some pixels, all channels. */
SFV_INLINE void run_pixels(const sfk_pull *pull, channel_rows *rows, int64_t n, int slices)
{
    for (int64_t c = 0; c < pull->channels; c += CHANNELS) {
        const tap_tile tile = {.to = pull->to + n,
                               .to_stride = pull->to_stride,
                               .weights = pull->weights + c * pull->weight_stride,
                               .weight_stride = pull->weight_stride,
                               .channels = smaller(CHANNELS, pull->channels - c),
                               .accumulate = c > 0 || pull->accumulate};
        take_rows(rows, pull, n, slices * SLICE, c, tile.channels);
        run_taps(tile, rows, pull->taps, slices);
    }
}

void SFK_NAME(pull_taps)(const sfk_pull *pull)
{
    channel_rows rows;
    int64_t slices = (pull->pixels + SLICE - 1) / SLICE;
    int64_t n = 0;
    while (slices > 0) {
        /* Of MOST_SLICES + 1 none is left alone: it would have too few sums to hide the latency of
         * fma. */
        const int64_t most = MOST_SLICES > 1 && slices == MOST_SLICES + 1 ? 2 : MOST_SLICES;
        const int64_t taken = smaller(slices, most);
        if (taken == 3 && MOST_SLICES >= 3) {
            run_pixels(pull, &rows, n, 3);
        } else if (taken == 2 && MOST_SLICES >= 2) {
            run_pixels(pull, &rows, n, 2);
        } else {
            run_pixels(pull, &rows, n, 1);
        }
        n += taken * SLICE;
        slices -= taken;
    }
}
