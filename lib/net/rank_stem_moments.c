/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_stem_back.h"

#include "conv2d.h"
#include "parallel.h"

#include <string.h>

/* Taps (c, i, j) and (c', i', j') of output pixel (y, x) with stride 2 are numbers of the image d =
 * i' - i rows and j' - j columns apart, and so are those of every tap whose i and j have the same
 * parities. So their products are summed by parities and distance, over the rows w = y + i/2 and
 * the columns z = x + j/2 that all such taps pass over, once; what only some of them pass over at
 * either end, less than half a window, is summed apart, and each moment takes what belongs to it:
 * a quarter of the multiply-adds of the moments as they are written. */

enum { STRIDE = 2 };

/* Ends of the rows or columns that a task passes over: `reach` in front of those that are common to
 * all taps and as many behind. Sum 0 is of these, then one for each row of the ends. */
static int64_t sums_of(int64_t reach)
{
    return 1 + 2 * reach;
}

static int64_t sum_at(int64_t reach, int64_t size, int64_t at)
{
    return at < reach ? 1 + at : at < size ? 0 : 1 + reach + at - size;
}

/* The `index`-th sum that a tap `steps` strides into its window takes; there are 1 + reach. */
static int64_t sum_of_tap(int64_t reach, int64_t steps, int64_t index)
{
    if (index == 0) {
        return 0;
    }
    return index <= reach - steps ? steps + index : reach + index - (reach - steps);
}

bool sfi_stem_is_trained(const sfconv_net *net, const sfi_step *steps, int32_t conv)
{
    const sfi_node *node = &net->nodes[conv];
    const sfconv_conv2d_desc *desc = &sfi_as_conv2d(node->layer)->desc;
    const sfi_shape out = steps[conv].shape;
    return !steps[node->inputs[0]].wants_gradient && desc->stride[0] == STRIDE &&
           desc->stride[1] == STRIDE && desc->dilation[0] == 1 && desc->dilation[1] == 1 &&
           desc->kernel[1] <= SFK_PATCH_COLUMNS && out.h >= desc->kernel[0] &&
           out.w >= desc->kernel[1];
}

sfi_stem_image sfi_stem_image_of(const sfi_plan *plan, const sfconv_net *net, int32_t conv)
{
    const sfi_node *node = &net->nodes[conv];
    const sfconv_conv2d_desc *desc = &sfi_as_conv2d(node->layer)->desc;
    sfi_stem_image image = {.in = plan->steps[node->inputs[0]].shape,
                            .out = plan->steps[conv].shape,
                            .kernel = {desc->kernel[0], desc->kernel[1]},
                            .padding = {desc->padding[0], desc->padding[1]},
                            .margin = desc->kernel[1] - 1};
    image.rows = STRIDE * (image.out.h - 1) + image.kernel[0];
    image.pitch =
        sfi_ceil_div(image.margin + STRIDE * image.out.w + SFK_LAGS, SFK_SLACK) * SFK_SLACK;
    image.plane = image.rows * image.pitch;
    return image;
}

int64_t sfi_stem_image_elements(const sfi_stem_image *image)
{
    return image->in.n * image->in.c * image->plane + SFK_LAGS;
}

/* Tasks are the parities of i and the distances of rows, and the sums of the taps alone. */
#define SUMS_ALONE (-1)

typedef struct stem_job {
    const sfconv_run *run;
    const sfk_table *kernels;
    sfi_stem_image image;
    const sfi_rank_batch *batch;
    const float *input;
    double *covariance;
    bool in_double;
    /* Of a plane of the input. */
    double *plane_sums;
    /* One task after another: [vertical sum][horizontal sum][channel'][channel, parity][lag]. */
    double *sums;
    int64_t sums_per_task;
    /* Per worker. */
    const float **left;
} stem_job;

static int64_t lay_out(stem_job *job, const sfi_plan *plan, const sfconv_net *net, int32_t conv,
                       uintptr_t memory)
{
    uintptr_t at = memory;
    job->image = sfi_stem_image_of(plan, net, conv);
    const sfi_stem_image *image = &job->image;
    const int64_t tasks = STRIDE * (image->kernel[0] + 1);
    job->sums_per_task = sums_of((image->kernel[0] - 1) / STRIDE) *
                         sums_of((image->kernel[1] - 1) / STRIDE) * image->in.c * STRIDE *
                         image->in.c * SFK_LAGS;
    job->plane_sums = sfi_rank_take(&at, image->in.n * image->in.c, sizeof(double));
    job->sums = sfi_rank_take(&at, tasks * job->sums_per_task, sizeof(double));
    job->left =
        sfi_rank_take(&at, sfi_workers(net->context) * STRIDE * image->in.c, sizeof(float *));
    return (int64_t)(at - memory);
}

int64_t sfi_stem_moments_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t conv)
{
    stem_job job;
    return lay_out(&job, plan, net, conv, 0);
}

static void sum_plane_task(void *argument, int64_t plane, int32_t worker)
{
    const stem_job *job = argument;
    const int64_t pixels = job->image.in.h * job->image.in.w;
    (void)worker;
    job->plane_sums[plane] = 0.0;
    job->kernels->plane_sum(job->plane_sums + plane, job->input + plane * pixels, pixels);
}

static void choose_centre(const stem_job *job)
{
    const sfi_stem_image *image = &job->image;
    const int64_t taps = image->kernel[0] * image->kernel[1];
    for (int64_t c = 0; c < image->in.c; c++) {
        double sum = 0.0;
        for (int64_t n = 0; n < image->in.n; n++) {
            sum += job->plane_sums[n * image->in.c + c];
        }
        const double values = (double)(image->in.n * image->in.h * image->in.w);
        for (int64_t k = 0; k < taps; k++) {
            job->batch->centre[c * taps + k] = (float)(sum / values);
        }
    }
}

static void pad_plane_task(void *argument, int64_t plane, int32_t worker)
{
    const stem_job *job = argument;
    const sfi_stem_image *image = &job->image;
    const float centre =
        job->batch->centre[plane % image->in.c * image->kernel[0] * image->kernel[1]];
    const sfk_normal normal = {.mean = centre, .scale = 1.0f};
    const float *from = job->input + plane * image->in.h * image->in.w;
    const int64_t begin = image->margin + image->padding[1];
    const int64_t columns = sfi_min(image->in.w, image->pitch - begin);
    float *to = job->batch->image + plane * image->plane;
    (void)worker;
    for (int64_t row = 0; row < image->rows; row++, to += image->pitch) {
        const int64_t y = row - image->padding[0];
        for (int64_t x = 0; x < image->pitch; x++) {
            to[x] = -centre;
        }
        if (y >= 0 && y < image->in.h) {
            job->kernels->normalize(to + begin, from + y * image->in.w, &normal, columns);
        }
    }
}

/* What one task sums. */
typedef struct lag_task {
    const stem_job *job;
    const float **left;
    /* Parity of i, distance of rows or SUMS_ALONE, strides that i may be into the window. */
    int64_t parity;
    int64_t distance;
    int64_t reach;
    double *sums;
} lag_task;

/* Row w and column z of the image, and those that follow at steps of elements, with all channels on
 * the right, to a sum. */
static void add_products(const lag_task *task, int64_t n, int64_t w, int64_t z, int64_t step,
                         int64_t count)
{
    const stem_job *job = task->job;
    const sfi_stem_image *image = &job->image;
    const int64_t across = (image->kernel[1] - 1) / STRIDE;
    const float ones[SFK_LAGS] = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f,
                                  1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
    const float *planes = job->batch->image + n * image->in.c * image->plane +
                          (STRIDE * w + task->parity) * image->pitch + STRIDE * z;
    const int64_t sum =
        sum_at(task->reach, image->out.h, w) * sums_of(across) + sum_at(across, image->out.w, z);
    const bool alone = task->distance == SUMS_ALONE;
    for (int64_t m = 0; m < STRIDE * image->in.c; m++) {
        task->left[m] = planes + m / STRIDE * image->plane + image->margin + m % STRIDE;
    }
    const sfk_lags lags = {.left = task->left,
                           .left_step = step,
                           .right = alone ? ones : planes + task->distance * image->pitch,
                           .right_step = alone ? 0 : step,
                           .plane = image->plane,
                           .planes = alone ? 1 : image->in.c,
                           .count = count,
                           .rows = STRIDE * image->in.c,
                           .to = task->sums + sum * image->in.c * STRIDE * image->in.c * SFK_LAGS,
                           .in_double = job->in_double};
    job->kernels->lag_products(&lags);
}

/* All of one image: rows but for their ends, then the ends of all rows from top to bottom. */
static void add_image(const lag_task *task, int64_t n)
{
    const sfi_stem_image *image = &task->job->image;
    const int64_t across = (image->kernel[1] - 1) / STRIDE;
    const int64_t rows = image->out.h + task->reach;
    for (int64_t w = 0; w < rows; w++) {
        add_products(task, n, w, across, STRIDE, image->out.w - across);
    }
    for (int64_t end = 0; end < 2 * across; end++) {
        const int64_t z = end < across ? end : image->out.w + end - across;
        add_products(task, n, task->reach, z, STRIDE * image->pitch, image->out.h - task->reach);
        for (int64_t w = 0; w < task->reach; w++) {
            add_products(task, n, w, z, 0, 1);
            add_products(task, n, image->out.h + w, z, 0, 1);
        }
    }
}

/* Negative where no tap is such. */
static int64_t reach_of(const sfi_stem_image *image, int64_t parity, int64_t distance)
{
    const int64_t last = image->kernel[0] - 1 - sfi_max(0, distance) - parity;
    return last < 0 ? -1 : last / STRIDE;
}

static double *sums_at(const stem_job *job, int64_t parity, int64_t distance)
{
    return job->sums + (parity * (job->image.kernel[0] + 1) + distance + 1) * job->sums_per_task;
}

static void sum_task(void *argument, int64_t index, int32_t worker)
{
    const stem_job *job = argument;
    const int64_t distances = job->image.kernel[0] + 1;
    lag_task task = {.job = job,
                     .left = job->left + worker * STRIDE * job->image.in.c,
                     .parity = index / distances,
                     .distance = index % distances - 1};
    task.reach = reach_of(&job->image, task.parity, task.distance);
    task.sums = sums_at(job, task.parity, task.distance);
    if (task.reach < 0) {
        return;
    }
    memset(task.sums, 0, (size_t)job->sums_per_task * sizeof(double));
    for (int64_t n = 0; n < job->image.in.n; n++) {
        add_image(&task, n);
    }
}

/* A tap by its number, [channel][row][column]. */
typedef struct stem_tap {
    int64_t channel;
    int64_t row;
    int64_t column;
} stem_tap;

static stem_tap tap_of(const sfi_stem_image *image, int64_t k)
{
    const int64_t rows = k / image->kernel[1];
    return (stem_tap){rows / image->kernel[0], rows % image->kernel[0], k % image->kernel[1]};
}

/* Of a tap with what lies `distance` rows below, column `lag` of channel `other`. */
static double total_of(const stem_job *job, stem_tap tap, int64_t distance, int64_t other,
                       int64_t lag)
{
    const sfi_stem_image *image = &job->image;
    const int64_t channels = image->in.c;
    const int64_t across = (image->kernel[1] - 1) / STRIDE;
    const int64_t reach = reach_of(image, tap.row % STRIDE, distance);
    const double *sums =
        sums_at(job, tap.row % STRIDE, distance) +
        ((other * channels + tap.channel) * STRIDE + tap.column % STRIDE) * SFK_LAGS + lag;
    const int64_t step = channels * STRIDE * channels * SFK_LAGS;
    double total = 0.0;
    for (int64_t i = 0; i <= reach; i++) {
        const int64_t row = sum_of_tap(reach, tap.row / STRIDE, i) * sums_of(across);
        for (int64_t j = 0; j <= across; j++) {
            total += sums[(row + sum_of_tap(across, tap.column / STRIDE, j)) * step];
        }
    }
    return total;
}

/* Moments of one tap with those that are not above it in the same or an earlier row. */
static void moments_task(void *argument, int64_t k, int32_t worker)
{
    const stem_job *job = argument;
    const sfi_rank_batch *batch = job->batch;
    const sfi_stem_image *image = &job->image;
    const double values = (double)batch->values;
    const stem_tap tap = tap_of(image, k);
    (void)worker;
    for (int64_t other = 0; other < batch->depth; other++) {
        const stem_tap second = tap_of(image, other);
        if (second.row < tap.row || (second.row == tap.row && other < k)) {
            continue;
        }
        const int64_t lag = second.column - STRIDE * (tap.column / STRIDE) + image->kernel[1] - 1;
        const double product = total_of(job, tap, second.row - tap.row, second.channel, lag);
        const double centred = (product - batch->sums[k] * batch->sums[other] / values) / values;
        batch->products[k * batch->pitch + other] = product;
        batch->products[other * batch->pitch + k] = product;
        job->covariance[k * batch->pitch + other] = centred;
        job->covariance[other * batch->pitch + k] = centred;
    }
}

static void centre_image(stem_job *job)
{
    sfconv_context *context = job->run->context;
    const int64_t planes = job->image.in.n * job->image.in.c;
    memset(job->batch->centre, 0, (size_t)job->batch->pitch * sizeof(float));
    sfi_parallel_for(context, planes, sum_plane_task, job);
    choose_centre(job);
    sfi_parallel_for(context, planes, pad_plane_task, job);
}

void sfi_stem_moments(const sfconv_run *run, int32_t conv, const sfi_rank_batch *batch,
                      double *covariance, bool in_double, void *memory)
{
    sfconv_context *context = run->context;
    stem_job job = {.run = run,
                    .kernels = context->kernels,
                    .batch = batch,
                    .input = sfi_run_value(run, run->net->nodes[conv].inputs[0]),
                    .covariance = covariance,
                    .in_double = in_double};
    lay_out(&job, &run->plan, run->net, conv, (uintptr_t)memory);
    if (!in_double) {
        centre_image(&job);
    }
    memset(batch->products, 0, (size_t)(batch->depth * batch->pitch) * sizeof(double));
    memset(covariance, 0, (size_t)(batch->depth * batch->pitch) * sizeof(double));
    memset(batch->sums, 0, (size_t)batch->pitch * sizeof(double));
    sfi_parallel_for(context, STRIDE * (job.image.kernel[0] + 1), sum_task, &job);
    for (int64_t k = 0; k < batch->depth; k++) {
        batch->sums[k] = total_of(&job, tap_of(&job.image, k), SUMS_ALONE, 0, 0);
    }
    sfi_parallel_for(context, batch->depth, moments_task, &job);
}

/* Of whole rows of lags, once; the ends count as if all tasks had them. */
int64_t sfi_stem_moments_macs(const sfi_plan *plan, const sfconv_net *net, int32_t conv)
{
    const sfi_stem_image image = sfi_stem_image_of(plan, net, conv);
    int64_t macs = 0;
    for (int64_t parity = 0; parity < STRIDE; parity++) {
        for (int64_t distance = SUMS_ALONE; distance < image.kernel[0]; distance++) {
            const int64_t reach = reach_of(&image, parity, distance);
            const int64_t others = distance == SUMS_ALONE ? 1 : image.in.c;
            macs += reach < 0 ? 0
                              : image.in.n * (image.out.h + reach) *
                                    (image.out.w + (image.kernel[1] - 1) / STRIDE) * others *
                                    STRIDE * image.in.c * SFK_LAGS;
        }
    }
    return macs;
}
