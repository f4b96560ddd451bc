/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of vectors lane by lane, where an instruction set has no masks. Part of vec_reference.h and
 * of vec_neon.h; what is said here holds for every instruction set. */
#ifndef SFK_VEC_PARTS_H
#define SFK_VEC_PARTS_H

/* The first `count` < SFV_LANES elements, zeros behind; nothing else is read. */
SFV_INLINE sfv sfv_load_part(const float *from, int64_t count)
{
    float lanes[SFV_LANES] = {0};
    for (int64_t i = 0; i < count; i++) {
        lanes[i] = from[i];
    }
    return sfv_load(lanes);
}

/* Writes the first `count` < SFV_LANES lanes and nothing else. */
SFV_INLINE void sfv_store_part(float *to, sfv value, int64_t count)
{
    float lanes[SFV_LANES];
    sfv_store(lanes, value);
    for (int64_t i = 0; i < count; i++) {
        to[i] = lanes[i];
    }
}

/* Lanes first to end - 1 from the elements at their places, the others from `value`; nothing else
 * is read. */
SFV_INLINE sfv sfv_load_onto(sfv value, const float *from, int64_t first, int64_t end)
{
    float lanes[SFV_LANES];
    sfv_store(lanes, value);
    for (int64_t i = first; i < end; i++) {
        lanes[i] = from[i];
    }
    return sfv_load(lanes);
}

/* The same of the lanes whose bits are set, which a list has at hand. */
SFV_INLINE sfv sfv_load_set(sfv value, const float *from, uint32_t lanes)
{
    float kept[SFV_LANES];
    sfv_store(kept, value);
    for (int i = 0; i < SFV_LANES; i++) {
        kept[i] = lanes >> i & 1 ? from[i] : kept[i];
    }
    return sfv_load(kept);
}

/* Writes lanes first to end - 1 at their places and nothing else. */
SFV_INLINE void sfv_store_range(float *to, sfv value, int64_t first, int64_t end)
{
    float lanes[SFV_LANES];
    sfv_store(lanes, value);
    for (int64_t i = first; i < end; i++) {
        to[i] = lanes[i];
    }
}

#endif
