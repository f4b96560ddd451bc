/* SPDX-License-Identifier: BSD-2-Clause */
/* Transforms of Winograd's convolutions. Counts are multiples of 16: what lies behind the last tile
 * is overwritten with numbers that depend on the width of the vectors. */
#include "kernel_cases.h"

enum { PLANES = SFK_WINOGRAD_PLANES, TILE = SFK_WINOGRAD_TILE, WINDOW = SFK_WINOGRAD_WINDOW };

static const struct tiles {
    const char *label;
    int64_t count;
} tiles[] = {{"64 tiles, 256 columns", 64}, {"16 tiles, 64 columns", 16}};

void winograd_weight_cases(kernel_cases *cases)
{
    enum { ROWS = 16, CHANNELS = 16, FILTERS = ROWS * CHANNELS };
    const float *from = case_floats(cases, 9 * FILTERS);
    float *to = case_floats(cases, PLANES * FILTERS);
    KERNEL_CASE(cases, "256 filters", moves(9 * FILTERS, PLANES * FILTERS),
                cases->kernels->winograd_weight(to, FILTERS, from, ROWS, CHANNELS, false));
    KERNEL_CASE(cases, "256 filters, flipped", moves(9 * FILTERS, PLANES * FILTERS),
                cases->kernels->winograd_weight(to, FILTERS, from, ROWS, CHANNELS, true));
}

void winograd_input_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(tiles); i++) {
        const int64_t count = tiles[i].count;
        const int64_t pitch = TILE * count + SFK_WINOGRAD_SLACK;
        const float *from = case_floats(cases, WINDOW * pitch);
        float *to = case_floats(cases, PLANES * count);
        KERNEL_CASE(cases, tiles[i].label, moves(WINDOW * TILE * count, PLANES * count),
                    cases->kernels->winograd_input(to, count, from, pitch, count));
    }
}

void winograd_output_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(tiles); i++) {
        const int64_t count = tiles[i].count, columns = TILE * count;
        const sfk_winograd_pixels pixels = {.from = case_floats(cases, PLANES * count),
                                            .plane = count,
                                            .to = case_floats(cases, TILE * columns),
                                            .to_stride = columns,
                                            .rows = TILE,
                                            .columns = columns,
                                            .bias = 0.3f};
        KERNEL_CASE(cases, tiles[i].label, moves(PLANES * count, TILE * columns),
                    cases->kernels->winograd_output(&pixels));
    }
}

/* Panels are as wide as the table says: channels that all have are compared. */
enum { COMMON = 8, PANEL = SFK_MAX_PANEL };

static void put_panel(const sfk_table *kernels, const float *from, const float *bias, float *to,
                      float *out)
{
    kernels->winograd_output_panel(to, TILE * PANEL, from, PANEL, bias, TILE, TILE);
    for (int64_t p = 0; p < TILE * TILE; p++) {
        for (int64_t c = 0; c < COMMON; c++) {
            out[p * COMMON + c] =
                to[p / TILE * TILE * PANEL + p % TILE * kernels->panel_columns + c];
        }
    }
}

void winograd_output_panel_cases(kernel_cases *cases)
{
    const float *from = case_floats(cases, PLANES * PANEL);
    const float *bias = case_floats(cases, PANEL);
    float *out = case_floats(cases, TILE * TILE * COMMON);
    float *to = case_scratch(cases, TILE * TILE * PANEL);
    KERNEL_CASE(cases, "a tile of 16 channels", moves(PLANES * 16, TILE * TILE * 16),
                put_panel(cases->kernels, from, bias, to, out));
}

void winograd_input_block_cases(kernel_cases *cases)
{
    enum { BLOCK = SFK_WINOGRAD_BLOCK, COUNT = 7, ROW = (COUNT * TILE + 2) * BLOCK };
    const float *from = case_floats(cases, WINDOW * ROW);
    float *to = case_floats(cases, PLANES * COUNT * BLOCK);
    KERNEL_CASE(cases, "7 tiles of 16 channels",
                moves(WINDOW * TILE * COUNT * BLOCK, PLANES * COUNT * BLOCK),
                cases->kernels->winograd_input_block(to, COUNT * BLOCK, from, ROW, COUNT));
}

static void multiply_panel(const sfk_table *kernels, const sfk_winograd_panel *panel, float *out)
{
    const int64_t count = PLANES * panel->tiles;
    kernels->winograd_panel(panel);
    for (int64_t i = 0; i < count * COMMON; i++) {
        out[i] = panel->sums[i / COMMON * kernels->panel_columns + i % COMMON];
    }
}

static void panel_case(kernel_cases *cases, const char *label, int64_t count, int64_t blocks)
{
    const int64_t channels = blocks * SFK_WINOGRAD_BLOCK;
    const float *values = case_floats(cases, COMMON);
    float *out = case_floats(cases, PLANES * count * COMMON);
    float *taps = case_scratch(cases, channels * 9 * PANEL);
    const sfk_winograd_panel panel = {.taps = taps,
                                      .source = case_floats(cases, PLANES * count * channels),
                                      .sums = case_scratch(cases, PLANES * count * PANEL),
                                      .filters =
                                          case_scratch(cases, channels * SFK_WINOGRAD_FILTERS),
                                      .tiles = count,
                                      .channels = channels};
    for (int64_t i = 0; i < channels * 9 * PANEL; i++) {
        taps[i] = values[i % COMMON];
    }
    KERNEL_CASE(cases, label, multiply_adds(PLANES * count * channels * 16),
                multiply_panel(cases->kernels, &panel, out));
}

/* Maps of 7x7 and 14x14, and a box of a larger one. */
void winograd_panel_cases(kernel_cases *cases)
{
    panel_case(cases, "4 tiles, 16 to 16 channels", 4, 1);
    panel_case(cases, "16 tiles, 16 to 16 channels", 16, 1);
    panel_case(cases, "49 tiles, 64 to 16 channels", 49, 4);
}

/* A row of ResNet-18's stem, 224 columns to 112. */
enum { LINE_TILES = 28, LINE_PITCH = 32, POINTS = SFK_LINE_POINTS, PHASES = SFK_LINE_PHASES };

void line_input_cases(kernel_cases *cases)
{
    const sfk_line line = {.from = case_floats(cases, 224),
                           .width = 224,
                           .padding = 3,
                           .to = case_floats(cases, PHASES * POINTS * LINE_TILES),
                           .point_stride = PHASES * LINE_TILES,
                           .phase_stride = LINE_TILES,
                           .tiles = LINE_TILES};
    KERNEL_CASE(cases, "224 columns", moves(224, PHASES * POINTS * LINE_TILES),
                cases->kernels->line_input(&line));
}

void line_output_cases(kernel_cases *cases)
{
    const float *from = case_floats(cases, POINTS * LINE_PITCH);
    float *to = case_floats(cases, SFK_LINE_TILE * LINE_PITCH);
    KERNEL_CASE(cases, "32 tiles", moves(POINTS * LINE_PITCH, SFK_LINE_TILE * LINE_PITCH),
                cases->kernels->line_output(to, LINE_PITCH, from, LINE_PITCH, LINE_PITCH));
}

void line_row_cases(kernel_cases *cases)
{
    const float *from = case_floats(cases, POINTS * LINE_PITCH);
    const int64_t columns = SFK_LINE_TILE * LINE_TILES;
    float *to = case_floats(cases, columns);
    KERNEL_CASE(cases, "112 columns", moves(POINTS * LINE_TILES, columns),
                cases->kernels->line_row(to, from, LINE_PITCH, 0.3f, columns));
}

/* Whole vectors of tiles on every table, as they write whole ones. */
void line_row_gradient_cases(kernel_cases *cases)
{
    const int64_t columns = SFK_LINE_TILE * LINE_PITCH;
    const float *row = case_floats(cases, columns);
    float *to = case_floats(cases, POINTS * LINE_PITCH);
    KERNEL_CASE(cases, "128 columns", moves(columns, POINTS * LINE_PITCH),
                cases->kernels->line_row_gradient(to, LINE_PITCH, row, columns));
}

void line_pool_cases(kernel_cases *cases)
{
    sfk_line_pool pool = {.stride = LINE_PITCH,
                          .columns = SFK_LINE_TILE * LINE_TILES,
                          .bias = 0.3f,
                          .activation = SFK_RELU};
    float *out = case_floats(cases, pool.columns / 2);
    for (int row = 0; row < 3; row++) {
        pool.rows[row] = case_floats(cases, SFK_LINE_TILE * LINE_PITCH);
    }
    KERNEL_CASE(cases, "3 rows of 112 columns", moves(3 * pool.columns, pool.columns / 2),
                cases->kernels->line_pool(out, &pool));
    pool.cells = case_bytes(cases, pool.columns / 2);
    KERNEL_CASE(cases, "and their winners", moves(3 * pool.columns, pool.columns / 2),
                cases->kernels->line_pool(out, &pool));
}
