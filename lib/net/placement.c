/* SPDX-License-Identifier: BSD-2-Clause */
#include "plan.h"

#include "sizes.h"

static bool goes_before(const sfi_buffer *a, const sfi_buffer *b)
{
    return a->bytes != b->bytes ? a->bytes > b->bytes : a->first < b->first;
}

/* Large first, then early first; stable, so that the plan is a function of the net alone. */
static void sort_buffers(sfi_buffer *buffers, int32_t count)
{
    for (int32_t i = 1; i < count; i++) {
        const sfi_buffer moved = buffers[i];
        int32_t at = i;
        for (; at > 0 && goes_before(&moved, &buffers[at - 1]); at--) {
            buffers[at] = buffers[at - 1];
        }
        buffers[at] = moved;
    }
}

/* The lowest offset at which `buffer` meets none of the `placed` buffers of its time. Each conflict
 * moves it up, past the buffer it met, until a round finds none. */
static int64_t lowest_offset(const sfi_buffer *buffer, const sfi_buffer *placed, int32_t count)
{
    int64_t offset = 0;
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

int64_t sfi_place_buffers(sfi_buffer *buffers, int32_t count)
{
    int64_t total = 0;
    sort_buffers(buffers, count);
    for (int32_t i = 0; i < count; i++) {
        *buffers[i].offset = lowest_offset(&buffers[i], buffers, i);
        total = sfi_max(total, *buffers[i].offset + buffers[i].bytes);
    }
    return total;
}
