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
            const sfi_buffer *other = &placed[i];
            const bool same_time = other->first <= buffer->last && buffer->first <= other->last;
            const int64_t end = *other->offset + other->bytes;
            if (same_time && *other->offset < offset + buffer->bytes && offset < end) {
                offset = end;
                moved = true;
            }
        }
    }
    return offset;
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
        *buffers[i].offset = lowest_offset(&buffers[i], begin, buffers, i);
        total = sfi_max(total, *buffers[i].offset + buffers[i].bytes);
    }
    return total;
}
