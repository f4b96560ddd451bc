/* SPDX-License-Identifier: BSD-2-Clause */
#include "products.h"

#include "parallel.h"
#include "sizes.h"

#include <math.h>
#include <string.h>

/* Columns of one task's block, rows of the panel it reads at a time, rows of a register tile. */
#define BLOCK 32
#define DEPTH 32
#define TILE 4

struct gram_task {
    int64_t rows;
    int64_t cols;
    const float *matrix;   /* either this … */
    const double *vectors; /* … or this one, weighted */
    const double *weights;
    double *gram;
};

struct panels {
    double left[DEPTH][BLOCK];
    double right[DEPTH][BLOCK];
    double sums[BLOCK][BLOCK];
};

static void pack_floats(int64_t depth, int64_t width, const float *source, int64_t pitch,
                        double panel[][BLOCK])
{
    for (int64_t k = 0; k < depth; k++) {
        for (int64_t j = 0; j < width; j++) {
            panel[k][j] = (double)source[k * pitch + j];
        }
    }
}

static void pack_doubles(int64_t depth, int64_t width, const double *source, int64_t pitch,
                         const double *weights, double panel[][BLOCK])
{
    for (int64_t k = 0; k < depth; k++) {
        const double weight = weights ? weights[k] : 1.0;
        for (int64_t j = 0; j < width; j++) {
            panel[k][j] = weight * source[k * pitch + j];
        }
    }
}

static void add_tile(int64_t depth, struct panels *panels, int64_t top, int64_t strip)
{
    double sums[TILE][SFI_STRIP];
    for (int i = 0; i < TILE; i++) {
        memcpy(sums[i], panels->sums[top + i] + strip, sizeof sums[i]);
    }
    for (int64_t k = 0; k < depth; k++) {
        const double *right = panels->right[k] + strip;
        for (int i = 0; i < TILE; i++) {
            const double left = panels->left[k][top + i];
            for (int j = 0; j < SFI_STRIP; j++) {
                sums[i][j] += left * right[j];
            }
        }
    }
    for (int i = 0; i < TILE; i++) {
        memcpy(panels->sums[top + i] + strip, sums[i], sizeof sums[i]);
    }
}

static void add_panels(int64_t depth, struct panels *panels, int64_t height, int64_t width,
                       bool diagonal)
{
    for (int64_t strip = 0; strip < width; strip += SFI_STRIP) {
        for (int64_t top = 0; top < height; top += TILE) {
            const bool below = diagonal && strip + SFI_STRIP <= top;
            if (!below) {
                add_tile(depth, panels, top, strip);
            }
        }
    }
}

/* Block number `index` of the upper triangle of blocks, counted along the rows of blocks. */
static void block_of_index(int64_t index, int64_t blocks, int64_t *row, int64_t *col)
{
    int64_t i = 0;
    while (index >= blocks - i) {
        index -= blocks - i;
        i++;
    }
    *row = i;
    *col = i + index;
}

static void gram_block(void *argument, int64_t index, int32_t worker)
{
    const struct gram_task *task = argument;
    const int64_t cols = task->cols;
    struct panels panels;
    int64_t row;
    int64_t col;
    (void)worker;
    memset(&panels, 0, sizeof panels);
    block_of_index(index, sfi_ceil_div(cols, BLOCK), &row, &col);
    row *= BLOCK;
    col *= BLOCK;
    const int64_t height = sfi_min(BLOCK, cols - row);
    const int64_t width = sfi_min(BLOCK, cols - col);
    for (int64_t first = 0; first < task->rows; first += DEPTH) {
        const int64_t depth = sfi_min(DEPTH, task->rows - first);
        if (task->matrix) {
            const float *source = task->matrix + first * cols;
            pack_floats(depth, height, source + row, cols, panels.left);
            pack_floats(depth, width, source + col, cols, panels.right);
        } else {
            const double *source = task->vectors + first * cols;
            pack_doubles(depth, height, source + row, cols, task->weights + first, panels.left);
            pack_doubles(depth, width, source + col, cols, NULL, panels.right);
        }
        add_panels(depth, &panels, height, width, row == col);
    }
    for (int64_t i = 0; i < height; i++) {
        for (int64_t j = row == col ? i : 0; j < width; j++) {
            task->gram[(row + i) * cols + col + j] = panels.sums[i][j];
            task->gram[(col + j) * cols + row + i] = panels.sums[i][j];
        }
    }
}

static void run_gram(sfconv_context *context, struct gram_task *task)
{
    const int64_t blocks = sfi_ceil_div(task->cols, BLOCK);
    sfi_parallel_for(context, blocks * (blocks + 1) / 2, gram_block, task);
}

void sfi_gram(sfconv_context *context, int64_t rows, int64_t cols, const float *matrix,
              double *gram)
{
    struct gram_task task = {.rows = rows, .cols = cols, .matrix = matrix, .gram = gram};
    run_gram(context, &task);
}

bool sfi_gram_is_finite(int64_t cols, const double *gram)
{
    for (int64_t i = 0; i < cols; i++) {
        if (!isfinite(gram[i * cols + i])) {
            return false;
        }
    }
    return true;
}

void sfi_weighted_gram(sfconv_context *context, int64_t n, const double *vectors,
                       const double *weights, double *result)
{
    struct gram_task task = {
        .rows = n, .cols = n, .vectors = vectors, .weights = weights, .gram = result};
    run_gram(context, &task);
}

void sfi_pad_columns(int64_t inner, int64_t cols, const double *right, double *padded)
{
    const int64_t pitch = sfi_pitch(cols);
    for (int64_t k = 0; k < inner; k++) {
        memcpy(padded + k * pitch, right + k * cols, (size_t)cols * sizeof(double));
        memset(padded + k * pitch + cols, 0, (size_t)(pitch - cols) * sizeof(double));
    }
}

struct product_task {
    int64_t rows;
    int64_t inner;
    int64_t cols;
    double scale;
    const float *left;
    const double *right;
    float *result;
};

/* TILE rows, of which `height` count; the others repeat the first so that they stay readable. */
static void product_tile(const struct product_task *task, int64_t row, int64_t height,
                         int64_t strip)
{
    const int64_t pitch = sfi_pitch(task->cols);
    const int64_t width = sfi_min(SFI_STRIP, task->cols - strip);
    const float *left[TILE];
    double sums[TILE][SFI_STRIP] = {{0}};
    for (int i = 0; i < TILE; i++) {
        left[i] = task->left + (row + (i < height ? i : 0)) * task->inner;
    }
    for (int64_t k = 0; k < task->inner; k++) {
        const double *right = task->right + k * pitch + strip;
        for (int i = 0; i < TILE; i++) {
            const double factor = (double)left[i][k];
            for (int j = 0; j < SFI_STRIP; j++) {
                sums[i][j] += factor * right[j];
            }
        }
    }
    for (int64_t i = 0; i < height; i++) {
        float *result = task->result + (row + i) * task->cols + strip;
        for (int64_t j = 0; j < width; j++) {
            result[j] = (float)((double)result[j] + task->scale * sums[i][j]);
        }
    }
}

static void product_rows(void *argument, int64_t index, int32_t worker)
{
    const struct product_task *task = argument;
    const int64_t first = index * BLOCK;
    const int64_t end = sfi_min(first + BLOCK, task->rows);
    (void)worker;
    for (int64_t strip = 0; strip < task->cols; strip += SFI_STRIP) {
        for (int64_t row = first; row < end; row += TILE) {
            product_tile(task, row, sfi_min(TILE, end - row), strip);
        }
    }
}

void sfi_add_product(sfconv_context *context, int64_t rows, int64_t inner, int64_t cols,
                     double scale, const float *left, const double *right, float *result)
{
    struct product_task task = {.rows = rows,
                                .inner = inner,
                                .cols = cols,
                                .scale = scale,
                                .left = left,
                                .right = right,
                                .result = result};
    sfi_parallel_for(context, sfi_ceil_div(rows, BLOCK), product_rows, &task);
}

double sfi_dot(int64_t count, const double *a, const double *b)
{
    double lanes[SFI_STRIP] = {0};
    int64_t i = 0;
    for (; i + SFI_STRIP <= count; i += SFI_STRIP) {
        for (int j = 0; j < SFI_STRIP; j++) {
            lanes[j] += a[i + j] * b[i + j];
        }
    }
    for (int j = 0; i + j < count; j++) {
        lanes[j] += a[i + j] * b[i + j];
    }
    for (int half = SFI_STRIP / 2; half > 0; half /= 2) {
        for (int j = 0; j < half; j++) {
            lanes[j] += lanes[j + half];
        }
    }
    return lanes[0];
}
