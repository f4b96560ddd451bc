/* SPDX-License-Identifier: BSD-2-Clause */
/* Winograd's F(4x4, 3x3) with lanes over channels. */
#include "cuts.h"
#include "winograd_points.h"

#define TAPS 9
#define PANEL (SFV_PANEL_VECTORS * SFV_LANES)
/* Their sums of a row of points, a vector each, leave 8 of 32 registers. */
#define KEPT_TILES SFK_WINOGRAD_KEPT_TILES
/* Taps of a channel that are asked for in each pass over the channels, one for each row of points
 * and vector. */
#define BROUGHT (TAPS * SFV_LANES / WINDOW)

void SFK_NAME(winograd_output_panel)(float *to, int64_t to_row, const float *from, int64_t plane,
                                     const float *bias, int64_t rows, int64_t columns)
{
    for (int64_t lane = 0; lane < PANEL; lane += SFV_LANES) {
        const sfv start = sfv_load(bias + lane);
        sfv values[TILE][WINDOW];
        SFV_UNROLL
        for (int j = 0; j < WINDOW; j++) {
            sfv in[WINDOW], column[TILE];
            SFV_UNROLL
            for (int r = 0; r < WINDOW; r++) {
                in[r] = sfv_load(from + (r * WINDOW + j) * plane + lane);
            }
            transform_back(column, in);
            SFV_UNROLL
            for (int r = 0; r < TILE; r++) {
                values[r][j] = column[r];
            }
        }
        SFV_UNROLL
        for (int r = 0; r < TILE; r++) {
            sfv out[TILE];
            if (r >= rows) {
                break;
            }
            transform_back(out, values[r]);
            SFV_UNROLL
            for (int j = 0; j < TILE; j++) {
                if (j < columns) {
                    sfv_store(to + r * to_row + j * PANEL + lane, sfv_add(out[j], start));
                }
            }
        }
    }
}

/* A tile with lanes over channels. */
SFV_INLINE void transform_tile(float *to, int64_t plane, const float *from, int64_t row)
{
    sfv columns[WINDOW][WINDOW];
    SFV_UNROLL
    for (int j = 0; j < WINDOW; j++) {
        sfv in[WINDOW];
        SFV_UNROLL
        for (int r = 0; r < WINDOW; r++) {
            in[r] = sfv_load(from + r * row + j * SFK_WINOGRAD_BLOCK);
        }
        transform_window(columns[j], in);
    }
    SFV_UNROLL
    for (int r = 0; r < WINDOW; r++) {
        sfv in[WINDOW], out[WINDOW];
        SFV_UNROLL
        for (int j = 0; j < WINDOW; j++) {
            in[j] = columns[j][r];
        }
        transform_window(out, in);
        SFV_UNROLL
        for (int j = 0; j < WINDOW; j++) {
            sfv_store(to, out[j]);
            to += plane;
        }
    }
}

void SFK_NAME(winograd_input_block)(float *to, int64_t plane, const float *from, int64_t row,
                                    int64_t tiles)
{
    for (int64_t tile = 0; tile < tiles; tile++) {
        for (int64_t lane = 0; lane < SFK_WINOGRAD_BLOCK; lane += SFV_LANES) {
            transform_tile(to + tile * SFK_WINOGRAD_BLOCK + lane, plane,
                           from + tile * TILE * SFK_WINOGRAD_BLOCK + lane, row);
        }
    }
}

/* Coefficients of two rows of points: [plane][channel][column]. */
SFV_INLINE void transform_panel(const sfk_winograd_panel *panel, int pair)
{
    const int64_t plane = panel->channels * PANEL;
    const int64_t vertical = panel->flipped ? -3 * PANEL : 3 * PANEL;
    const int64_t horizontal = panel->flipped ? -PANEL : PANEL;
    const float *first = panel->taps + (panel->flipped ? 8 * PANEL : 0);
    for (int64_t channel = 0; channel < panel->channels; channel++) {
        for (int64_t lane = 0; lane < PANEL; lane += SFV_LANES) {
            float *to = panel->filters + channel * PANEL + lane;
            sfv columns[3][2];
            SFV_UNROLL
            for (int j = 0; j < 3; j++) {
                const float *tap = first + channel * TAPS * PANEL + j * horizontal + lane;
                transform_pair(columns[j], sfv_load(tap), sfv_load(tap + vertical),
                               sfv_load(tap + 2 * vertical), pair);
            }
            SFV_UNROLL
            for (int r = 0; r < 2; r++) {
                sfv row[WINDOW];
                transform_taps(row, columns[0][r], columns[1][r], columns[2][r]);
                SFV_UNROLL
                for (int j = 0; j < WINDOW; j++) {
                    sfv_store(to, row[j]);
                    to += plane;
                }
            }
        }
    }
}

/* Adds the products of one plane to `count` tiles, a constant at every call. */
SFV_INLINE void add_tiles(float *to, const float *source, const float *weights,
                          const sfk_winograd_panel *panel, int count)
{
    sfv sums[SFV_PANEL_ROWS][SFV_PANEL_VECTORS];
    SFV_UNROLL
    for (int t = 0; t < count; t++) {
        SFV_UNROLL
        for (int v = 0; v < SFV_PANEL_VECTORS; v++) {
            sums[t][v] = panel->accumulate ? sfv_load(to + t * PANEL + v * SFV_LANES) : sfv_zero();
        }
    }
    for (int64_t first = 0; first < panel->channels; first += SFK_WINOGRAD_BLOCK) {
        const int64_t channels = smaller(SFK_WINOGRAD_BLOCK, panel->channels - first);
#pragma GCC unroll 2
        for (int64_t channel = 0; channel < channels; channel++) {
            sfv columns[SFV_PANEL_VECTORS];
            SFV_UNROLL
            for (int v = 0; v < SFV_PANEL_VECTORS; v++) {
                columns[v] = sfv_load(weights + v * SFV_LANES);
            }
            SFV_UNROLL
            for (int t = 0; t < count; t++) {
                const sfv value = sfv_set1(source[t * SFK_WINOGRAD_BLOCK + channel]);
                SFV_UNROLL
                for (int v = 0; v < SFV_PANEL_VECTORS; v++) {
                    sums[t][v] = sfv_fma(value, columns[v], sums[t][v]);
                }
            }
            weights += PANEL;
        }
        source += SFK_WINOGRAD_PLANES * panel->tiles * SFK_WINOGRAD_BLOCK;
    }
    SFV_UNROLL
    for (int t = 0; t < count; t++) {
        SFV_UNROLL
        for (int v = 0; v < SFV_PANEL_VECTORS; v++) {
            sfv_store(to + t * PANEL + v * SFV_LANES, sums[t][v]);
        }
    }
}

SFV_INLINE void add_some_tiles(float *to, const float *source, const float *weights,
                               const sfk_winograd_panel *panel, int64_t count)
{
    switch (count) {
#if SFV_PANEL_ROWS > 6
    case 8:
        add_tiles(to, source, weights, panel, 8);
        return;
    case 7:
        add_tiles(to, source, weights, panel, 7);
        return;
#endif
#if SFV_PANEL_ROWS > 4
    case 6:
        add_tiles(to, source, weights, panel, 6);
        return;
    case 5:
        add_tiles(to, source, weights, panel, 5);
        return;
#endif
    case 4:
        add_tiles(to, source, weights, panel, 4);
        return;
    case 3:
        add_tiles(to, source, weights, panel, 3);
        return;
    case 2:
        add_tiles(to, source, weights, panel, 2);
        return;
    default:
        add_tiles(to, source, weights, panel, 1);
    }
}

static void multiply_plane(const sfk_winograd_panel *panel, const row_cut *cut, int64_t plane,
                           const float *weights)
{
    const float *source = panel->source + plane * panel->tiles * SFK_WINOGRAD_BLOCK;
    float *sums = panel->sums + plane * panel->tiles * PANEL;
    for (int64_t i = 0; i < cut->blocks; i++) {
        const int64_t count = cut->height + (i < cut->higher);
        add_some_tiles(sums, source, weights, panel, count);
        sums += count * PANEL;
        source += count * SFK_WINOGRAD_BLOCK;
    }
}

/* The share of one plane in the taps behind these: into the second-level cache. */
static void bring_taps(const sfk_winograd_panel *panel, int64_t plane)
{
    const int64_t count = panel->channels * TAPS * PANEL;
    const float *end = panel->next + count * (plane + 1) / SFK_WINOGRAD_PLANES;
    for (const float *at = panel->next + count * plane / SFK_WINOGRAD_PLANES; at < end;
         at += SFK_CACHE_LINE) {
        __builtin_prefetch(at, 0, 2);
    }
}

SFV_INLINE void add_pair(const sfk_winograd_panel *panel, const row_cut *cut, int pair)
{
    transform_panel(panel, pair);
    for (int i = 0; i < 2 * WINDOW; i++) {
        const int64_t plane = places_of_pair[pair][i / WINDOW] * WINDOW + i % WINDOW;
        if (panel->next) {
            bring_taps(panel, plane);
        }
        multiply_plane(panel, cut, plane, panel->filters + i * panel->channels * PANEL);
    }
}

#if SFV_LANES == 16
/* The taps of one column, `vertical` apart, to the coefficient of row `row` of points. */
SFV_INLINE sfv transform_column(const float *tap, int64_t vertical, int row)
{
    const int pair = row == 0 || row == WINDOW - 1 ? 0 : row <= 2 ? 1 : 2;
    sfv two[2];
    transform_pair(two, sfv_load(tap), sfv_load(tap + vertical), sfv_load(tap + 2 * vertical),
                   pair);
    return two[row == places_of_pair[pair][1]];
}

/* Adds to the sums of all tiles, [place][tile], what one channel has in a row of points. */
SFV_INLINE void add_channel(sfv (*sums)[KEPT_TILES], const sfv *columns, const float *source)
{
    SFV_UNROLL
    for (int pair = 0; pair < 3; pair++) {
        sfv two[2];
        transform_pair(two, columns[0], columns[1], columns[2], pair);
        SFV_UNROLL
        for (int i = 0; i < 2; i++) {
            const int place = places_of_pair[pair][i];
            SFV_UNROLL
            for (int t = 0; t < KEPT_TILES; t++) {
                const float *value = source + (place * KEPT_TILES + t) * SFK_WINOGRAD_BLOCK;
                sums[place][t] = sfv_fma(sfv_set1(*value), two[i], sums[place][t]);
            }
        }
    }
}

/* One row of points, a constant at every call, of a vector of the target. `next`: taps to bring
 * nearer, BROUGHT a channel. */
SFV_INLINE void add_row(const sfk_winograd_panel *panel, int row, int64_t lane, const float *next)
{
    const int64_t vertical = panel->flipped ? -3 * PANEL : 3 * PANEL;
    const int64_t horizontal = panel->flipped ? -PANEL : PANEL;
    const float *taps = panel->taps + (panel->flipped ? 8 * PANEL : 0) + lane;
    const float *source = panel->source + row * WINDOW * KEPT_TILES * SFK_WINOGRAD_BLOCK;
    float *to = panel->sums + row * WINDOW * KEPT_TILES * PANEL + lane;
    sfv sums[WINDOW][KEPT_TILES];
    SFV_UNROLL
    for (int i = 0; i < WINDOW * KEPT_TILES; i++) {
        sums[i / KEPT_TILES][i % KEPT_TILES] =
            panel->accumulate ? sfv_load(to + i * PANEL) : sfv_zero();
    }
    for (int64_t first = 0; first < panel->channels; first += SFK_WINOGRAD_BLOCK) {
        const int64_t channels = smaller(SFK_WINOGRAD_BLOCK, panel->channels - first);
        for (int64_t channel = 0; channel < channels; channel++) {
            sfv columns[3];
            __builtin_prefetch(next, 0, 2);
            __builtin_prefetch(next + SFK_CACHE_LINE, 0, 2);
            next += BROUGHT;
            SFV_UNROLL
            for (int j = 0; j < 3; j++) {
                columns[j] = transform_column(taps + j * horizontal, vertical, row);
            }
            add_channel(sums, columns, source + channel);
            taps += TAPS * PANEL;
        }
        source += SFK_WINOGRAD_PLANES * KEPT_TILES * SFK_WINOGRAD_BLOCK;
    }
    SFV_UNROLL
    for (int i = 0; i < WINDOW * KEPT_TILES; i++) {
        sfv_store(to + i * PANEL, sums[i / KEPT_TILES][i % KEPT_TILES]);
    }
}

/* Few tiles use each coefficient so seldom that storing it takes longer than the products: sums of
 * a row of points fill the registers, and coefficients are made where they are used. */
static void add_kept_tiles(const sfk_winograd_panel *panel)
{
    const int64_t share = panel->channels * BROUGHT;
    const float *next = panel->next ? panel->next : panel->taps;
    for (int64_t lane = 0; lane < PANEL; lane += SFV_LANES) {
        add_row(panel, 0, lane, next);
        add_row(panel, 1, lane, next + share);
        add_row(panel, 2, lane, next + 2 * share);
        add_row(panel, 3, lane, next + 3 * share);
        add_row(panel, 4, lane, next + 4 * share);
        add_row(panel, 5, lane, next + 5 * share);
        next += panel->next ? WINDOW * share : 0;
    }
}
#endif

void SFK_NAME(winograd_panel)(const sfk_winograd_panel *panel)
{
#if SFV_LANES == 16
    if (panel->tiles == KEPT_TILES) {
        add_kept_tiles(panel);
        return;
    }
#endif
    const row_cut cut = cut_rows(panel->tiles, SFV_PANEL_ROWS);
    add_pair(panel, &cut, 0);
    add_pair(panel, &cut, 1);
    add_pair(panel, &cut, 2);
}
