/* SPDX-License-Identifier: BSD-2-Clause */
#include "command.h"
#include "console.h"
#include "field_of_view.h"
#include "fields.h"
#include "folder.h"
#include "moments.h"
#include "safe_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16

/* Mean and spread over images; those without a value are left out. */
struct tally {
    int64_t count;
    double mean;
    double squares; /* sum of squared distances from the mean (Welford, 1962) */
};

static void add(struct tally *tally, double value)
{
    if (isnan(value)) {
        return;
    }
    tally->count++;
    const double distance = value - tally->mean;
    tally->mean += distance / (double)tally->count;
    tally->squares += distance * (value - tally->mean);
}

static double mean_of(const struct tally *tally)
{
    return tally->count > 0 ? tally->mean : NAN;
}

static double spread_of(const struct tally *tally)
{
    return tally->count > 1 ? sqrt(tally->squares / (double)(tally->count - 1)) : NAN;
}

enum measure { MEAN, DEVIATION, SKEWNESS, KURTOSIS, MEASURES };

/* One folder, with all pixels or those of the field of view. */
struct row {
    const char *folder;
    const char *pixels;
    int64_t images;
    double kept; /* mean part of the pixels that count */
    struct tally tallies[MEASURES];
};

struct statistics {
    FILE *table;     /* NULL: none */
    int64_t folders; /* of the operand, with images */
    struct row total[2];
    struct image_limits limits;
    struct image_error *error;
};

static void add_moments(struct row *row, const struct moments *m, int64_t pixels)
{
    const double values[MEASURES] = {m->pixels > 0 ? m->mean : NAN,
                                     m->pixels > 1 ? m->deviation : NAN, m->skewness, m->kurtosis};
    row->images++;
    row->kept += ((double)m->pixels / (double)pixels - row->kept) / (double)row->images;
    for (int i = 0; i < MEASURES; i++) {
        add(&row->tallies[i], values[i]);
    }
}

/* To the row of its folder and that of the operand. */
static bool add_image(struct row *row, struct row *total, const struct image *image,
                      const struct image *mask, struct image_error *error)
{
    struct moments m;
    if (!moments_of_image(&m, image, mask, error)) {
        return false;
    }
    add_moments(row, &m, image_pixels(image));
    add_moments(total, &m, image_pixels(image));
    return true;
}

static bool add_file(struct row rows[2], const char *path, struct statistics *s)
{
    struct image image;
    struct image mask = {0};
    struct field_of_view box;
    if (console_interrupted()) {
        return image_fail(s->error, "%s: stopped before this image", path);
    }
    if (!image_read(&image, path, &s->limits, s->error)) {
        return image_advise(s->error);
    }
    const bool ok = add_image(&rows[0], &s->total[0], &image, NULL, s->error) &&
                    field_of_view_find(&box, &mask, &image, s->error) &&
                    add_image(&rows[1], &s->total[1], &image, &mask, s->error);
    image_destroy(&mask);
    image_destroy(&image);
    return ok;
}

/* What is not defined is a dash. */
static void show_number(double value, int width)
{
    if (isnan(value)) {
        printf("%*s", width, "-");
    } else {
        printf("%*.3f", width, value);
    }
}

static void show(const struct statistics *s, const struct row *row)
{
    printf("%-32s %-13s %6" PRId64 " %5.1f %%", row->folder, row->pixels, row->images,
           100.0 * row->kept);
    for (int i = 0; i < MEASURES; i++) {
        printf(" ");
        show_number(mean_of(&row->tallies[i]), 8);
        printf(" +- ");
        show_number(spread_of(&row->tallies[i]), -7);
    }
    printf("\n");
    fflush(stdout);
    if (!s->table) {
        return;
    }
    csv_text(s->table, row->folder);
    fprintf(s->table, ",%s,%" PRId64 ",%.6f", row->pixels, row->images, row->kept);
    for (int i = 0; i < MEASURES; i++) {
        fprintf(s->table, ",%.9g,%.9g", mean_of(&row->tallies[i]), spread_of(&row->tallies[i]));
    }
    fputc('\n', s->table);
}

static bool measure_images(struct statistics *s, const char *path, const struct folder *images)
{
    struct row rows[2] = {{.folder = path, .pixels = "all"},
                          {.folder = path, .pixels = "field_of_view"}};
    for (int64_t i = 0; i < images->count; i++) {
        char *file = folder_path(path, images->names[i]);
        const bool ok = file ? add_file(rows, file, s) : image_fail(s->error, "out of memory");
        free(file);
        if (!ok) {
            return false;
        }
    }
    show(s, &rows[0]);
    show(s, &rows[1]);
    s->folders++;
    return true;
}

/* Masks are beside the images that they belong to. */
static bool is_of_masks(const char *path, const char *name)
{
    const char *images = strcmp(name, "masks") == 0 ? "images"
                         : strcmp(name, "gt") == 0  ? "img"
                                                    : NULL;
    char *beside = images ? folder_path(path, images) : NULL;
    const bool is = beside && folder_exists(beside);
    free(beside);
    return is;
}

/* The images of the folder, then the folders in it. */
static bool measure_folder(struct statistics *s, const char *path, int depth)
{
    struct folder images = {0};
    struct folder folders = {0};
    bool ok = depth <= DEPTH_MAX ||
              image_fail(s->error, "%s: folders within folders deeper than %d", path, DEPTH_MAX);
    ok = ok && folder_images(&images, path, s->error) &&
         (images.count == 0 || measure_images(s, path, &images)) &&
         folder_folders(&folders, path, s->error);
    for (int64_t i = 0; ok && i < folders.count; i++) {
        if (is_of_masks(path, folders.names[i])) {
            continue;
        }
        char *inner = folder_path(path, folders.names[i]);
        ok = inner ? measure_folder(s, inner, depth + 1) : image_fail(s->error, "out of memory");
        free(inner);
    }
    folder_destroy(&folders);
    folder_destroy(&images);
    return ok;
}

/* One operand; several folders in it have rows of all their images. */
static bool measure_operand(struct statistics *s, const char *path)
{
    char *all = folder_path(path, "**");
    if (!all) {
        return image_fail(s->error, "out of memory");
    }
    s->folders = 0;
    s->total[0] = (struct row){.folder = all, .pixels = "all"};
    s->total[1] = (struct row){.folder = all, .pixels = "field_of_view"};
    bool ok = measure_folder(s, path, 0);
    if (ok && s->folders == 0) {
        ok = image_fail(s->error, "%s: no image in this folder or those in it", path);
    }
    for (int i = 0; ok && s->folders > 1 && i < 2; i++) {
        show(s, &s->total[i]);
    }
    free(all);
    return ok;
}

static bool measure_all(struct statistics *s, const struct arguments *arguments)
{
    printf("%-32s %-13s %6s %7s %19s %19s %19s %19s\n", "folder", "pixels", "images", "kept",
           "mean", "deviation", "skewness", "kurtosis");
    if (s->table) {
        fputs("folder,pixels,images,kept,mean,mean_spread,deviation,deviation_spread,skewness,"
              "skewness_spread,kurtosis,kurtosis_spread\n",
              s->table);
    }
    for (int64_t i = 0; i < arguments->operand_count; i++) {
        if (!measure_operand(s, arguments->operands[i])) {
            return false;
        }
    }
    return true;
}

static bool run_stats(struct arguments *arguments, struct image_error *error)
{
    struct statistics s = {.error = error};
    struct safe_file csv = {0};
    const char *path = argument_text(arguments, "csv", NULL);
    if (!command_limits(&s.limits, arguments, error) ||
        (path && !safe_file_open(&csv, path, error))) {
        return false;
    }
    s.table = csv.stream;
    console_catch_interrupt();
    const bool ok = measure_all(&s, arguments);
    return path ? safe_file_close(&csv, ok, error) : ok;
}

static const struct command_option options[] = {
    {"csv", "FILE", "the table as a CSV file"},
    COMMAND_OPTION_MAX_PIXELS,
    {0},
};

const struct command command_stats = {
    .name = "stats",
    .operands = "DIR...",
    .summary = "Shows how the pixels of each folder of images are distributed.",
    .details =
        "For each folder with images: mean, deviation, skewness and kurtosis of the luma (0 to "
        "255) of each image,\nas mean +- standard deviation over the images; once of all pixels "
        "and once of the field of view,\nwhich leaves out the black border of a photograph. A DIR "
        "of several "
        "folders has rows of all their\nimages, DIR/**; masks beside images are no images. "
        "Skewness is the adjusted Fisher-Pearson\ncoefficient (Doane and Seward, 2011); kurtosis "
        "is the excess over a normal distribution, adjusted likewise.",
    .options = options,
    .least_operands = 1,
    .run = run_stats,
};
