/* SPDX-License-Identifier: BSD-2-Clause */
#include "clip.h"

#include "error.h"
#include "parameter_pieces.h"

#include <math.h>
#include <string.h>

#define LANES 16

struct check_job {
    const sfconv_run *run;
    /* First parameter of each chunk with a gradient that is not finite, or the parameter count. */
    int32_t bad[SFI_MAX_CHUNKS];
};

static bool all_finite(const float *numbers, int64_t count)
{
    int bad = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

static void check_piece(void *argument, const sfi_piece *piece)
{
    struct check_job *job = argument;
    const float *gradient = job->run->gradients[piece->parameter] + piece->begin;
    if (piece->parameter < job->bad[piece->chunk] && !all_finite(gradient, piece->count)) {
        job->bad[piece->chunk] = piece->parameter;
    }
}

sfconv_status sfi_gradients_check(const sfconv_run *run)
{
    const sfconv_net *net = run->net;
    struct check_job job = {.run = run};
    int32_t first = net->parameter_count;
    for (int32_t i = 0; i < SFI_MAX_CHUNKS; i++) {
        job.bad[i] = net->parameter_count;
    }
    sfi_for_each_piece(net, false, check_piece, &job);
    for (int32_t i = 0; i < SFI_MAX_CHUNKS; i++) {
        first = job.bad[i] < first ? job.bad[i] : first;
    }
    if (first == net->parameter_count) {
        return SFCONV_OK;
    }
    return sfi_fail(run->context, SFCONV_ERROR_NUMERIC,
                    "%s: expected a finite gradient, got NaN or infinity",
                    net->parameters[first].name);
}

struct norm_job {
    const sfconv_run *run;
    double squares[SFI_MAX_CHUNKS];
};

static void square_piece(void *argument, const sfi_piece *piece)
{
    struct norm_job *job = argument;
    const float *gradient = job->run->gradients[piece->parameter] + piece->begin;
    double lanes[LANES] = {0.0};
    int64_t i = 0;
    for (; i + LANES <= piece->count; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            const double g = (double)gradient[i + lane];
            lanes[lane] += g * g;
        }
    }
    for (; i < piece->count; i++) {
        const double g = (double)gradient[i];
        lanes[i % LANES] += g * g;
    }
    for (int lane = 0; lane < LANES; lane++) {
        job->squares[piece->chunk] += lanes[lane];
    }
}

static double gradient_norm(const sfconv_run *run)
{
    struct norm_job job = {.run = run};
    double sum = 0.0;
    sfi_for_each_piece(run->net, false, square_piece, &job);
    for (int32_t i = 0; i < SFI_MAX_CHUNKS; i++) {
        sum += job.squares[i];
    }
    return sqrt(sum);
}

struct scale_job {
    const sfconv_run *run;
    double scale;
};

static void scale_piece(void *argument, const sfi_piece *piece)
{
    const struct scale_job *job = argument;
    float *gradient = job->run->gradients[piece->parameter] + piece->begin;
    for (int64_t i = 0; i < piece->count; i++) {
        gradient[i] = (float)((double)gradient[i] * job->scale);
    }
}

sfconv_status sfi_gradients_clip(sfconv_run *run, double max_norm, double *norm)
{
    const sfconv_status status = sfi_gradients_check(run);
    if (status < 0) {
        return status;
    }
    *norm = gradient_norm(run);
    if (*norm > max_norm) {
        /* A little less than the quotient, so that rounding to float cannot lift the norm above. */
        struct scale_job job = {run, max_norm / *norm * (1.0 - 0x1p-23)};
        sfi_for_each_piece(run->net, false, scale_piece, &job);
    }
    return SFCONV_OK;
}
