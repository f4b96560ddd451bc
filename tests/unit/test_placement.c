/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a run keeps its buffers: what is in use at the same time never shares memory. */
#include "support.h"

#include "plan.h"
#include "random.h"
#include "sizes.h"

#include <string.h>

#define SEED 8821u
#define MAX_BUFFERS 40

static void make_buffers(sfi_buffer *buffers, int64_t *offsets, int32_t count, uint64_t stream)
{
    const sfi_random random = {SEED, stream};
    for (int32_t i = 0; i < count; i++) {
        const uint64_t at = 4u * (uint64_t)i;
        const int32_t first = (int32_t)sfi_random_below(random, at, 20) - 1;
        const int32_t length = (int32_t)sfi_random_below(random, at + 1, 20);
        const int64_t bytes = 64 * (1 + (int64_t)sfi_random_below(random, at + 2, 9));
        offsets[i] = -77;
        buffers[i] = (sfi_buffer){
            .bytes = bytes,
            .first = first,
            .last = first + length,
            .offset = &offsets[i],
            .kind = sfi_random_below(random, at + 3, 3) == 0 ? SFI_BUFFER_SCRATCH : SFI_BUFFER_MAP};
    }
}

/* The whole, for -1, or a slice. */
static sfi_slice part_of(const sfi_buffer *buffer, int32_t slice)
{
    return slice >= 0 ? buffer->slices[slice]
                      : (sfi_slice){.bytes = buffer->bytes,
                                    .first = buffer->first,
                                    .last = buffer->last,
                                    .offset = buffer->offset};
}

static bool meet(const sfi_buffer *a, const sfi_buffer *b)
{
    for (int32_t i = -1; i < a->slice_count; i++) {
        for (int32_t j = -1; j < b->slice_count; j++) {
            const sfi_slice p = part_of(a, i), q = part_of(b, j);
            if (p.first <= q.last && q.first <= p.last && *p.offset < *q.offset + q.bytes &&
                *q.offset < *p.offset + p.bytes) {
                return true;
            }
        }
    }
    return false;
}

/* The most that is in use at any one time: no placement takes less. */
static int64_t busiest(const sfi_buffer *buffers, int32_t count)
{
    int64_t most = 0;
    for (int32_t time = -1; time < 60; time++) {
        int64_t sum = 0;
        for (int32_t i = 0; i < count; i++) {
            sum += buffers[i].first <= time && time <= buffers[i].last ? buffers[i].bytes : 0;
        }
        most = sfi_max(most, sum);
    }
    return most;
}

/* NULL, or what is wrong with a placement. */
static const char *fault_of(const sfi_buffer *buffers, int32_t count, int64_t total)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        const int64_t offset = *buffers[i].offset;
        sum += buffers[i].bytes;
        if (offset < 0 || offset % 64 != 0 || offset + buffers[i].bytes > total) {
            return "a buffer lies outside or unaligned";
        }
        for (int32_t j = 0; j < i; j++) {
            if (meet(&buffers[i], &buffers[j])) {
                return "two buffers of one time overlap";
            }
        }
    }
    return total > sum                       ? "the total is more than the sum"
           : total < busiest(buffers, count) ? "the total is less than the busiest time"
                                             : NULL;
}

START_TEST(buffers_of_one_time_never_overlap_and_lie_within_the_total)
{
    for (uint64_t stream = 0; stream < 3000; stream++) {
        sfi_buffer buffers[MAX_BUFFERS];
        int64_t offsets[MAX_BUFFERS];
        const int32_t count = 1 + (int32_t)(stream % MAX_BUFFERS);
        make_buffers(buffers, offsets, count, stream);
        const int64_t total = sfi_place_buffers(buffers, count, stream % 2 == 1);
        const char *fault = fault_of(buffers, count, total);
        if (fault) {
            ck_abort_msg("seed %u, stream %llu: %s", SEED, (unsigned long long)stream, fault);
        }
    }
}
END_TEST

/* Two slices for each third buffer, one behind the other, in use earlier than the whole and until
 * before or after its end. */
static void make_slices(sfi_buffer *buffers, sfi_slice *slices, int64_t *offsets, int32_t count,
                        uint64_t stream)
{
    const sfi_random random = {SEED + 1, stream};
    for (int32_t i = 0; i < count; i += 3) {
        const int64_t half = buffers[i].bytes / 128 * 64;
        buffers[i].slices = slices + 2 * i;
        buffers[i].slice_count = half > 0 ? 2 : 0;
        for (int32_t j = 0; j < buffers[i].slice_count; j++) {
            const uint64_t at = 2 * (uint64_t)(2 * i + j);
            const int32_t before = (int32_t)sfi_random_below(random, at, 6);
            const int32_t after = (int32_t)sfi_random_below(random, at + 1, 9) - 4;
            slices[2 * i + j] = (sfi_slice){
                .shift = j * half,
                .bytes = half,
                .first = buffers[i].first - before,
                .last = (int32_t)sfi_max(buffers[i].first - before, buffers[i].last + after),
                .offset = &offsets[2 * i + j]};
        }
    }
}

START_TEST(slices_lie_in_their_buffer_and_meet_nothing_of_their_own_time)
{
    for (uint64_t stream = 0; stream < 3000; stream++) {
        sfi_buffer buffers[MAX_BUFFERS];
        sfi_slice slices[2 * MAX_BUFFERS];
        int64_t offsets[MAX_BUFFERS], slice_offsets[2 * MAX_BUFFERS];
        make_buffers(buffers, offsets, MAX_BUFFERS, stream);
        make_slices(buffers, slices, slice_offsets, MAX_BUFFERS, stream);
        const int64_t total = sfi_place_buffers(buffers, MAX_BUFFERS, stream % 2 == 1);
        const char *fault = fault_of(buffers, MAX_BUFFERS, total);
        for (int32_t i = 0; i < MAX_BUFFERS; i++) {
            for (int32_t j = 0; j < buffers[i].slice_count; j++) {
                const sfi_slice *slice = &buffers[i].slices[j];
                ck_assert_int_eq(*slice->offset, *buffers[i].offset + slice->shift);
            }
        }
        ck_assert_msg(!fault, "seed %u, stream %llu: %s", SEED, (unsigned long long)stream, fault);
    }
}
END_TEST

START_TEST(memory_beside_a_slice_serves_others_before_the_whole)
{
    int64_t offsets[2], slice_offset;
    sfi_slice slice = {.shift = 64, .bytes = 64, .first = 1, .last = 5, .offset = &slice_offset};
    sfi_buffer buffers[] = {{.bytes = 128,
                             .first = 4,
                             .last = 5,
                             .offset = &offsets[0],
                             .slices = &slice,
                             .slice_count = 1},
                            {.bytes = 64, .first = 2, .last = 3, .offset = &offsets[1]}};
    ck_assert_int_eq(sfi_place_buffers(buffers, 2, false), 128);
    ck_assert_int_eq(offsets[1], 0);
    ck_assert_int_eq(slice_offset, 64);
}
END_TEST

START_TEST(a_placement_is_a_function_of_the_buffers)
{
    sfi_buffer first[MAX_BUFFERS], second[MAX_BUFFERS];
    int64_t first_offsets[MAX_BUFFERS], second_offsets[MAX_BUFFERS];
    make_buffers(first, first_offsets, MAX_BUFFERS, 5);
    make_buffers(second, second_offsets, MAX_BUFFERS, 5);
    ck_assert_int_eq(sfi_place_buffers(first, MAX_BUFFERS, true),
                     sfi_place_buffers(second, MAX_BUFFERS, true));
    ck_assert_mem_eq(first_offsets, second_offsets, sizeof first_offsets);
}
END_TEST

START_TEST(buffers_of_different_times_share_memory)
{
    int64_t offsets[3];
    sfi_buffer buffers[] = {{.bytes = 640, .first = 0, .last = 1, .offset = &offsets[0]},
                            {.bytes = 640, .first = 2, .last = 3, .offset = &offsets[1]},
                            {.bytes = 640, .first = 4, .last = 9, .offset = &offsets[2]}};
    ck_assert_int_eq(sfi_place_buffers(buffers, 3, false), 640);
    ck_assert_int_eq(sfi_place_buffers(buffers, 0, false), 0);
}
END_TEST

/* Those of one kind that lie in front of `offset`, or behind it. */
static int32_t count_of(const sfi_buffer *buffers, bool scratch, bool in_front, int64_t offset)
{
    int32_t found = 0;
    for (int32_t i = 0; i < MAX_BUFFERS; i++) {
        const bool lies_in_front = *buffers[i].offset + buffers[i].bytes <= offset;
        found += (buffers[i].kind == SFI_BUFFER_SCRATCH) == scratch && lies_in_front == in_front;
    }
    return found;
}

START_TEST(scratch_that_is_apart_shares_memory_with_scratch_alone)
{
    for (uint64_t stream = 0; stream < 100; stream++) {
        sfi_buffer buffers[MAX_BUFFERS];
        int64_t offsets[MAX_BUFFERS];
        int64_t begin = INT64_MAX;
        make_buffers(buffers, offsets, MAX_BUFFERS, stream);
        sfi_place_buffers(buffers, MAX_BUFFERS, true);
        for (int32_t i = 0; i < MAX_BUFFERS; i++) {
            begin =
                buffers[i].kind == SFI_BUFFER_SCRATCH ? sfi_min(begin, *buffers[i].offset) : begin;
        }
        ck_assert_int_gt(count_of(buffers, true, false, begin), 0);
        ck_assert_int_eq(count_of(buffers, true, true, begin), 0);
        ck_assert_int_eq(count_of(buffers, false, false, begin), 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("placement");
    TCase *tests = tcase_create("placement");
    tcase_add_test(tests, buffers_of_one_time_never_overlap_and_lie_within_the_total);
    tcase_add_test(tests, slices_lie_in_their_buffer_and_meet_nothing_of_their_own_time);
    tcase_add_test(tests, memory_beside_a_slice_serves_others_before_the_whole);
    tcase_add_test(tests, a_placement_is_a_function_of_the_buffers);
    tcase_add_test(tests, buffers_of_different_times_share_memory);
    tcase_add_test(tests, scratch_that_is_apart_shares_memory_with_scratch_alone);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
