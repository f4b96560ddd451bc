/* SPDX-License-Identifier: BSD-2-Clause */
#include "products.h"

#include "parallel.h"
#include "sizes.h"

#include <math.h>
#include <string.h>

/* Sides of one task's block of the result, and the length of the panels it reads at a time. */
#define BLOCK 32
#define DEPTH 32
#define TILE SFK_DOUBLE_ROWS

struct gram_task {
    const sfk_table *kernels;
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

static void add_panels(const sfk_table *kernels, int64_t depth, struct panels *panels,
                       int64_t height, int64_t width, bool diagonal)
{
    for (int64_t strip = 0; strip < width; strip += SFI_STRIP) {
        for (int64_t top = 0; top < height; top += TILE) {
            const bool below = diagonal && strip + SFI_STRIP <= top;
            if (!below) {
                kernels->double_tile(depth, panels->left[0] + top, BLOCK, panels->right[0] + strip,
                                     BLOCK, panels->sums[top] + strip, BLOCK);
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
        add_panels(task->kernels, depth, &panels, height, width, row == col);
    }
    for (int64_t i = 0; i < height; i++) {
        for (int64_t j = row == col ? i : 0; j < width; j++) {
            task->gram[(row + i) * cols + col + j] = panels.sums[i][j];
            task->gram[(col + j) * cols + row + i] = panels.sums[i][j];
        }
    }
}

/* Blocks on and above the diagonal. */
static int64_t gram_blocks(int64_t cols)
{
    const int64_t blocks = sfi_ceil_div(cols, BLOCK);
    return blocks * (blocks + 1) / 2;
}

void sfi_gram(sfconv_context *context, int64_t rows, int64_t cols, const float *matrix,
              double *gram)
{
    struct gram_task task = {
        .kernels = context->kernels, .rows = rows, .cols = cols, .matrix = matrix, .gram = gram};
    sfi_parallel_for(context, gram_blocks(cols), gram_block, &task);
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

void sfi_weighted_gram(const sfk_table *kernels, int64_t n, const double *vectors,
                       const double *weights, double *result)
{
    struct gram_task task = {.kernels = kernels,
                             .rows = n,
                             .cols = n,
                             .vectors = vectors,
                             .weights = weights,
                             .gram = result};
    for (int64_t i = 0; i < gram_blocks(n); i++) {
        gram_block(&task, i, 0);
    }
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
    const sfk_table *kernels;
    int64_t rows;
    int64_t inner;
    int64_t cols;
    double scale;
    const float *left;
    const double *right;
    float *result;
};

static void pack_transposed(int64_t depth, int64_t width, const float *source, int64_t pitch,
                            double panel[][BLOCK])
{
    for (int64_t j = 0; j < width; j++) {
        for (int64_t k = 0; k < depth; k++) {
            panel[k][j] = (double)source[j * pitch + k];
        }
    }
}

/* sums = left rows first … first+height times the columns col … col+width of right. */
static void product_block(const struct product_task *task, int64_t first, int64_t height,
                          int64_t col, int64_t width, double panel[][BLOCK], double sums[][BLOCK])
{
    const int64_t pitch = sfi_pitch(task->cols);
    for (int64_t i = 0; i < BLOCK; i++) {
        memset(sums[i], 0, (size_t)sfi_pitch(width) * sizeof(double));
    }
    for (int64_t k = 0; k < task->inner; k += DEPTH) {
        const int64_t depth = sfi_min(DEPTH, task->inner - k);
        pack_transposed(depth, height, task->left + first * task->inner + k, task->inner, panel);
        for (int64_t strip = 0; strip < width; strip += SFI_STRIP) {
            for (int64_t top = 0; top < height; top += TILE) {
                task->kernels->double_tile(depth, panel[0] + top, BLOCK,
                                           task->right + k * pitch + col + strip, pitch,
                                           sums[top] + strip, BLOCK);
            }
        }
    }
}

static void product_rows(void *argument, int64_t index, int32_t worker)
{
    const struct product_task *task = argument;
    const int64_t first = index * BLOCK;
    const int64_t height = sfi_min(BLOCK, task->rows - first);
    double panel[DEPTH][BLOCK];
    double sums[BLOCK][BLOCK];
    (void)worker;
    if (height < BLOCK) {
        memset(panel, 0, sizeof panel);
    }
    for (int64_t col = 0; col < task->cols; col += BLOCK) {
        const int64_t width = sfi_min(BLOCK, task->cols - col);
        product_block(task, first, height, col, width, panel, sums);
        for (int64_t i = 0; i < height; i++) {
            float *result = task->result + (first + i) * task->cols + col;
            for (int64_t j = 0; j < width; j++) {
                result[j] = (float)((double)result[j] + task->scale * sums[i][j]);
            }
        }
    }
}

void sfi_add_product(sfconv_context *context, int64_t rows, int64_t inner, int64_t cols,
                     double scale, const float *left, const double *right, float *result)
{
    struct product_task task = {.kernels = context->kernels,
                                .rows = rows,
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
