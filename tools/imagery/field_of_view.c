/* SPDX-License-Identifier: BSD-2-Clause */
#include "field_of_view.h"

#include <stdlib.h>
#include <string.h>

/* The work is done on averages of about (side / WORK_SIDE)^2 pixels, which also takes noise away.
 */
#define WORK_SIDE 256
/* Lit means brighter than this share of what is bright; vessels and rims are above it, the border
 * is far below. */
#define LIT_SHARE 0.15f
#define BRIGHT_RANK 0.9
/* A smaller part of the image is no field of view. */
#define LEAST_SHARE 0.05

enum { DARK, LIT, FIELD, OUTSIDE };

/* The work image, one byte a pixel, and the places of a flood that is on its way. */
struct map {
    int64_t width;
    int64_t height;
    unsigned char *cells;
    int64_t *places;
};

static int compare_floats(const void *a, const void *b)
{
    const float first = *(const float *)a;
    const float second = *(const float *)b;
    return (first > second) - (first < second);
}

/* The brightest channel of each pixel: red for most of the retina. */
static void keep_brightest(float *values, const struct image *image)
{
    const int64_t count = image_pixels(image);
    memcpy(values, image->pixels, (size_t)count * sizeof *values);
    for (int32_t c = 1; c < image->channels; c++) {
        const float *plane = image_plane(image, c);
        for (int64_t i = 0; i < count; i++) {
            values[i] = plane[i] > values[i] ? plane[i] : values[i];
        }
    }
}

static bool mark_lit(struct map *map, const struct image *work, struct image_error *error)
{
    const int64_t count = image_pixels(work);
    float *values = malloc(2 * (size_t)count * sizeof *values);
    if (!values) {
        return image_fail(error, "field of view: out of memory");
    }
    float *sorted = values + count;
    keep_brightest(values, work);
    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_floats);
    const float level = LIT_SHARE * sorted[(int64_t)(BRIGHT_RANK * (double)(count - 1))];
    for (int64_t i = 0; i < count; i++) {
        map->cells[i] = values[i] > level ? LIT : DARK;
    }
    free(values);
    return true;
}

/* Turns the connected cells of one kind round `start` into another; returns how many. */
static int64_t flood(struct map *map, int64_t start, unsigned char from, unsigned char to)
{
    int64_t known = 0;
    if (map->cells[start] != from) {
        return 0;
    }
    map->cells[start] = to;
    map->places[known++] = start;
    for (int64_t next = 0; next < known; next++) {
        const int64_t place = map->places[next];
        const int64_t x = place % map->width;
        const int64_t neighbours[] = {x > 0 ? place - 1 : place,
                                      x + 1 < map->width ? place + 1 : place, place - map->width,
                                      place + map->width};
        for (int i = 0; i < 4; i++) {
            const int64_t n = neighbours[i];
            if (n >= 0 && n < map->width * map->height && map->cells[n] == from) {
                map->cells[n] = to;
                map->places[known++] = n;
            }
        }
    }
    return known;
}

/* Leaves FIELD where the largest lit part and its holes are, OUTSIDE or LIT elsewhere; false where
 * there is none that is large enough. */
static bool find_field(struct map *map)
{
    const int64_t count = map->width * map->height;
    int64_t largest = 0;
    int64_t start = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t size = flood(map, i, LIT, OUTSIDE);
        if (size > largest) {
            largest = size;
            start = i;
        }
    }
    if ((double)largest < LEAST_SHARE * (double)count) {
        return false;
    }
    flood(map, start, OUTSIDE, FIELD);
    /* Other parts are as good as dark; then what is dark and not joined to the rim is a hole. */
    for (int64_t i = 0; i < count; i++) {
        map->cells[i] = map->cells[i] == FIELD ? FIELD : DARK;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t x = i % map->width;
        const int64_t y = i / map->width;
        if (x == 0 || y == 0 || x == map->width - 1 || y == map->height - 1) {
            flood(map, i, DARK, OUTSIDE);
        }
    }
    for (int64_t i = 0; i < count; i++) {
        map->cells[i] = map->cells[i] == OUTSIDE ? OUTSIDE : FIELD;
    }
    return true;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The cells round the field, in pixels of the image. */
static void measure(struct field_of_view *box, const struct map *map, const struct image *image)
{
    int64_t left = map->width;
    int64_t top = map->height;
    int64_t right = 0;
    int64_t bottom = 0;
    for (int64_t i = 0; i < map->width * map->height; i++) {
        if (map->cells[i] == FIELD) {
            const int64_t x = i % map->width;
            const int64_t y = i / map->width;
            left = x < left ? x : left;
            top = y < top ? y : top;
            right = x >= right ? x + 1 : right;
            bottom = y + 1;
        }
    }
    box->left = left * image->width / map->width;
    box->top = top * image->height / map->height;
    box->width = (right * image->width + map->width - 1) / map->width - box->left;
    box->height = (bottom * image->height + map->height - 1) / map->height - box->top;
}

static bool enlarge(struct image *mask, const struct map *map, const struct image *image,
                    struct image_error *error)
{
    if (!image_create(mask, image->width, image->height, 1, error)) {
        return false;
    }
    for (int64_t y = 0; y < mask->height; y++) {
        const unsigned char *row = map->cells + y * map->height / mask->height * map->width;
        for (int64_t x = 0; x < mask->width; x++) {
            mask->pixels[y * mask->width + x] = row[x * map->width / mask->width] == FIELD;
        }
    }
    return true;
}

static bool find(struct field_of_view *box, struct image *mask, struct map *map,
                 const struct image *work, const struct image *image, struct image_error *error)
{
    const size_t count = (size_t)image_pixels(work);
    map->width = work->width;
    map->height = work->height;
    map->cells = calloc(count, 1);
    map->places = malloc(count * sizeof *map->places);
    if (!map->cells || !map->places) {
        return image_fail(error, "field of view: out of memory");
    }
    if (!mark_lit(map, work, error)) {
        return false;
    }
    if (find_field(map)) {
        measure(box, map, image);
    }
    return !mask || enlarge(mask, map, image, error);
}

bool field_of_view_find(struct field_of_view *box, struct image *mask, const struct image *image,
                        struct image_error *error)
{
    struct image work;
    struct map map = {0};
    *box = (struct field_of_view){0, 0, image->width, image->height};
    if (mask) {
        *mask = (struct image){0};
    }
    if (!image_resize(&work, image, least(image->width, WORK_SIDE), least(image->height, WORK_SIDE),
                      error)) {
        return false;
    }
    const bool found = find(box, mask, &map, &work, image, error);
    free(map.cells);
    free(map.places);
    image_destroy(&work);
    return found;
}
