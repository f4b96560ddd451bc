/* SPDX-License-Identifier: BSD-2-Clause */
#include "auc.h"

#include "error.h"
#include "memory.h"
#include "sizes.h"

#include <string.h>

/* A score as an integer of the same order, both zeros alike. */
static uint32_t ordered_bits(float score)
{
    const float positive_zero = score + 0.0f;
    uint32_t bits;
    memcpy(&bits, &positive_zero, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* Sorts by the upper 32 bits, one byte a pass; `spare` is as long as `keys`. */
static void sort_keys(uint64_t *keys, uint64_t *spare, int64_t count)
{
    for (int shift = 32; shift < 64; shift += 8) {
        int64_t begin[256] = {0};
        int64_t sum = 0;
        for (int64_t i = 0; i < count; i++) {
            begin[keys[i] >> shift & 0xff]++;
        }
        for (int digit = 0; digit < 256; digit++) {
            const int64_t here = begin[digit];
            begin[digit] = sum;
            sum += here;
        }
        for (int64_t i = 0; i < count; i++) {
            spare[begin[keys[i] >> shift & 0xff]++] = keys[i];
        }
        uint64_t *former = keys;
        keys = spare;
        spare = former;
    }
}

static double area(const uint64_t *keys, int64_t count)
{
    int64_t positives = 0;
    int64_t negatives = 0;
    double twice_won = 0.0;
    for (int64_t i = 0; i < count;) {
        const uint64_t score = keys[i] >> 32;
        int64_t tied[2] = {0, 0};
        for (; i < count && keys[i] >> 32 == score; i++) {
            tied[keys[i] & 1]++;
        }
        twice_won += (double)tied[1] * (double)(2 * negatives + tied[0]);
        negatives += tied[0];
        positives += tied[1];
    }
    if (positives == 0 || negatives == 0) {
        return 0.5;
    }
    return twice_won / (2.0 * (double)positives * (double)negatives);
}

static sfconv_status check_samples(sfconv_context *context, const float *scores,
                                   const int32_t *labels, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (labels[i] != 0 && labels[i] != 1) {
            return sfi_fail(context, SFCONV_ERROR_ARGUMENT, "labels[%lld]: expected 0 or 1, got %d",
                            (long long)i, (int)labels[i]);
        }
        if (scores[i] != scores[i]) {
            return sfi_fail(context, SFCONV_ERROR_NUMERIC,
                            "scores[%lld]: expected a number, got %g", (long long)i,
                            (double)scores[i]);
        }
    }
    return SFCONV_OK;
}

sfconv_status sfi_auc(sfconv_context *context, const float *scores, const int32_t *labels,
                      int64_t count, double *value)
{
    int64_t bytes;
    const sfconv_status status = check_samples(context, scores, labels, count);
    if (status < 0) {
        return status;
    }
    uint64_t *keys = NULL;
    if (sfi_mul(&bytes, count, 2 * (int64_t)sizeof *keys)) {
        keys = sfi_alloc(context, (size_t)bytes);
    }
    if (!keys) {
        return sfi_fail_memory(context, "AUC", (size_t)count * 2 * sizeof *keys);
    }
    for (int64_t i = 0; i < count; i++) {
        keys[i] = (uint64_t)ordered_bits(scores[i]) << 32 | (uint64_t)labels[i];
    }
    /* Four passes: the sorted keys are back where they began. */
    sort_keys(keys, keys + count, count);
    *value = area(keys, count);
    sfi_free(context, keys, (size_t)bytes);
    return SFCONV_OK;
}
