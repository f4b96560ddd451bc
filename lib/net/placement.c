/* SPDX-License-Identifier: BSD-2-Clause */
#include "plan.h"

#include "sizes.h"

static bool is_scratch(const sfi_buffer *buffer)
{
    return buffer->kind == SFI_BUFFER_SCRATCH;
}

static bool goes_before(const sfi_buffer *a, const sfi_buffer *b, bool scratch_apart)
{
    if (scratch_apart && is_scratch(a) != is_scratch(b)) {
        return is_scratch(b);
    }
    return a->bytes != b->bytes ? a->bytes > b->bytes : a->first < b->first;
}

/* Scratch that is apart last, large first, then early first; stable, so that the plan is a function
 * of the net alone. */
static void sort_buffers(sfi_buffer *buffers, int32_t count, bool scratch_apart)
{
    for (int32_t i = 1; i < count; i++) {
        const sfi_buffer moved = buffers[i];
        int32_t at = i;
        for (; at > 0 && goes_before(&moved, &buffers[at - 1], scratch_apart); at--) {
            buffers[at] = buffers[at - 1];
        }
        buffers[at] = moved;
    }
}

/* Part `index` of a buffer with a time of its own: the whole, then its slices. */
static sfi_slice part_of(const sfi_buffer *buffer, int32_t index)
{
    return index > 0
               ? buffer->slices[index - 1]
               : (sfi_slice){.bytes = buffer->bytes, .first = buffer->first, .last = buffer->last};
}

/* How far `buffer` must move up from `offset` to be past those parts of `other` that its own meet
 * there; 0 if none do. */
static int64_t way_past(const sfi_buffer *buffer, int64_t offset, const sfi_buffer *other)
{
    int64_t way = 0;
    for (int32_t i = 0; i <= buffer->slice_count; i++) {
        const sfi_slice mine = part_of(buffer, i);
        const int64_t begin = offset + mine.shift;
        for (int32_t j = 0; j <= other->slice_count; j++) {
            const sfi_slice theirs = part_of(other, j);
            const int64_t at = *other->offset + theirs.shift;
            const bool same_time = theirs.first <= mine.last && mine.first <= theirs.last;
            if (same_time && at < begin + mine.bytes && begin < at + theirs.bytes) {
                way = sfi_max(way, at + theirs.bytes - begin);
            }
        }
    }
    return way;
}

/* The lowest offset from `begin` on at which `buffer` meets none of the `placed` buffers of its
 * time. Each conflict moves it up, past the buffer it met, until a round finds none. */
static int64_t lowest_offset(const sfi_buffer *buffer, int64_t begin, const sfi_buffer *placed,
                             int32_t count)
{
    int64_t offset = begin;
    bool moved = true;
    while (moved) {
        moved = false;
        for (int32_t i = 0; i < count; i++) {
            const int64_t way = way_past(buffer, offset, &placed[i]);
            offset += sfi_round64(way);
            moved |= way > 0;
        }
    }
    return offset;
}

static void place(const sfi_buffer *buffer, int64_t offset)
{
    *buffer->offset = offset;
    for (int32_t i = 0; i < buffer->slice_count; i++) {
        *buffer->slices[i].offset = offset + buffer->slices[i].shift;
    }
}

int64_t sfi_place_buffers(sfi_buffer *buffers, int32_t count, bool scratch_apart)
{
    int64_t begin = 0;
    int64_t total = 0;
    sort_buffers(buffers, count, scratch_apart);
    for (int32_t i = 0; i < count; i++) {
        if (scratch_apart && i > 0 && is_scratch(&buffers[i]) && !is_scratch(&buffers[i - 1])) {
            begin = total;
        }
        place(&buffers[i], lowest_offset(&buffers[i], begin, buffers, i));
        total = sfi_max(total, *buffers[i].offset + buffers[i].bytes);
    }
    return total;
}
