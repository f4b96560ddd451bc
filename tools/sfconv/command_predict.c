/* SPDX-License-Identifier: BSD-2-Clause */
#include "command.h"
#include "console.h"
#include "fields.h"
#include "folder.h"
#include "image_names.h"
#include "picture.h"
#include "program.h"
#include "safe_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PATH_CAPACITY 4096

static const float outline_colour[] = {1.0f, 0.25f, 0.1f};

/* Images that the operands name, folders unfolded. */
struct image_list {
    char **paths;
    int64_t count;
};

static void destroy_list(struct image_list *list)
{
    for (int64_t i = 0; i < list->count; i++) {
        free(list->paths[i]);
    }
    free(list->paths);
    *list = (struct image_list){0};
}

/* Takes over the path. */
static bool add_path(struct image_list *list, char *path, struct image_error *error)
{
    char **paths = path ? realloc(list->paths, (size_t)(list->count + 1) * sizeof *paths) : NULL;
    if (!paths) {
        free(path);
        return image_fail(error, "names of images: out of memory");
    }
    paths[list->count++] = path;
    list->paths = paths;
    return true;
}

static bool add_folder(struct image_list *list, const char *path, struct image_error *error)
{
    struct folder folder;
    if (!folder_images(&folder, path, error)) {
        return false;
    }
    bool ok = folder.count > 0 || image_fail(error, "%s: no image in this folder", path);
    for (int64_t i = 0; ok && i < folder.count; i++) {
        ok = add_path(list, folder_path(path, folder.names[i]), error);
    }
    folder_destroy(&folder);
    return ok;
}

static bool list_images(struct image_list *list, const char *const *operands, int64_t count,
                        struct image_error *error)
{
    bool ok = true;
    *list = (struct image_list){0};
    for (int64_t i = 0; ok && i < count; i++) {
        ok = folder_exists(operands[i]) ? add_folder(list, operands[i], error)
                                        : add_path(list, strdup(operands[i]), error);
    }
    if (!ok) {
        destroy_list(list);
    }
    return ok;
}

/* What all images of one call share. */
struct prediction {
    const struct experiment_model *model;
    int64_t tile; /* side; 0: chosen for each image */
    int64_t halo;
    struct image_limits limits;
    const char *folder;
    FILE *table;
    int64_t failed;           /* images that cannot be read or answered */
    struct image_error first; /* why the first of them cannot */
    struct image_error *error;
};

static void write_head(const struct prediction *p)
{
    fputs(p->model->segments ? "image,width,height,foreground_pixels,foreground_part"
                             : "image,class,probability",
          p->table);
    for (int32_t c = 0; !p->model->segments && c < p->model->class_count; c++) {
        fputc(',', p->table);
        csv_text(p->table, p->model->class_names[c]);
    }
    fputc('\n', p->table);
}

static void use_classes(const struct prediction *p, const char *path,
                        const struct image *probability)
{
    const int64_t best = program_best_class(probability);
    const char *name = p->model->class_names[best];
    csv_text(p->table, path);
    fputc(',', p->table);
    csv_text(p->table, name);
    fprintf(p->table, ",%.6f", (double)probability->pixels[best]);
    for (int64_t c = 0; c < probability->width; c++) {
        fprintf(p->table, ",%.6f", (double)probability->pixels[c]);
    }
    fputc('\n', p->table);
    printf("%s: %s (%.1f %%)\n", path, name, 100.0 * (double)probability->pixels[best]);
}

static bool write_picture(const struct prediction *p, const struct image *picture,
                          const char *image, const char *kind)
{
    char path[PATH_CAPACITY];
    return image_name_output(path, sizeof path, p->folder, image, kind, p->error) &&
           image_write_png(picture, path, p->error);
}

static bool use_mask(const struct prediction *p, const char *path, const struct image *image,
                     struct image *mask)
{
    struct image overlay;
    int64_t foreground = 0;
    image_threshold(mask, (float)p->model->threshold);
    for (int64_t i = 0; i < image_pixels(mask); i++) {
        foreground += mask->pixels[i] >= 0.5f;
    }
    if (!picture_outline(&overlay, image, mask, outline_colour, p->error)) {
        return false;
    }
    const bool ok =
        write_picture(p, mask, path, "mask") && write_picture(p, &overlay, path, "overlay");
    image_destroy(&overlay);
    const double part = (double)foreground / (double)image_pixels(mask);
    csv_text(p->table, path);
    fprintf(p->table, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%.6f\n", mask->width, mask->height,
            foreground, part);
    if (ok) {
        printf("%s: %.1f %% foreground\n", path, 100.0 * part);
    }
    return ok;
}

/* Up to this, a mask is drawn in one piece. */
#define MEMORY_OF_A_RUN ((int64_t)1 << 30)

/* Bytes that the network takes for a part of an image; 0 where it cannot say. */
static int64_t bytes_of(const struct prediction *p, int64_t width, int64_t height)
{
    const int64_t multiple = p->model->multiple;
    const sfconv_shape shape = {1, p->model->channels,
                                (height + multiple - 1) / multiple * multiple,
                                (width + multiple - 1) / multiple * multiple};
    int64_t bytes = 0;
    const sfconv_status status =
        sfconv_net_run_bytes(p->model->net, SFCONV_MODE_INFERENCE, &shape, 1, &bytes);
    return status >= 0 ? bytes : 0;
}

static struct experiment_tiles tiles_for(const struct prediction *p, const struct image *image)
{
    struct experiment_tiles tiles = {.side = p->tile, .halo = p->halo};
    if (tiles.side == 0 && p->model->segments && p->model->size == 0 &&
        bytes_of(p, image->width, image->height) > MEMORY_OF_A_RUN) {
        const int64_t border = 2 * tiles.halo;
        tiles.side = 4096;
        while (tiles.side > 256 &&
               bytes_of(p, tiles.side + border, tiles.side + border) > MEMORY_OF_A_RUN) {
            tiles.side /= 2;
        }
    }
    return tiles;
}

static bool answer(const struct prediction *p, const char *path, struct image *image,
                   struct image *probability, struct image_error *error)
{
    struct image_error reason;
    if (!image_read(image, path, &p->limits, error)) {
        return image_advise(error);
    }
    const struct experiment_tiles tiles = tiles_for(p, image);
    return experiment_predict(probability, p->model, image, &tiles, &reason) ||
           image_fail(error, "%s: %s", path, reason.text);
}

/* An image that cannot be answered is noted, and the others go on; an answer that cannot be written
 * ends it all. */
static bool predict_one(struct prediction *p, const char *path)
{
    struct image image = {0};
    struct image probability = {0};
    struct image_error reason;
    bool ok = true;
    if (!answer(p, path, &image, &probability, &reason)) {
        printf("%s; no answer\n", reason.text);
        p->first = p->failed == 0 ? reason : p->first;
        p->failed++;
    } else if (p->model->segments) {
        ok = use_mask(p, path, &image, &probability);
    } else {
        use_classes(p, path, &probability);
    }
    fflush(stdout);
    image_destroy(&probability);
    image_destroy(&image);
    return ok;
}

static bool predict_list(struct prediction p, const struct image_list *list,
                         struct image_error *error)
{
    char path[PATH_CAPACITY];
    struct safe_file table;
    if ((p.model->segments &&
         !image_names_differ((const char *const *)list->paths, list->count, error)) ||
        !program_make_folder(p.folder, error) ||
        !program_path(path, sizeof path, p.folder, "predictions.csv", error) ||
        !safe_file_open(&table, path, error)) {
        return false;
    }
    bool ok = true;
    int64_t done = 0;
    p.table = table.stream;
    write_head(&p);
    console_catch_interrupt();
    for (; ok && done < list->count && !console_interrupted(); done++) {
        ok = predict_one(&p, list->paths[done]);
    }
    const bool answered = p.failed < done;
    if (!safe_file_close(&table, ok && answered, error) && (answered || !ok)) {
        return false;
    }
    if (done < list->count) {
        return image_fail(error, "stopped after %" PRId64 " of %" PRId64 " images", done,
                          list->count);
    }
    if (p.failed == 0 || list->count == 1) {
        return p.failed == 0 || image_fail(error, "%s", p.first.text);
    }
    return image_fail(error, "%s; %" PRId64 " of %" PRId64 " images have no answer", p.first.text,
                      p.failed, list->count);
}

/* A U-Net sees about nine times as far as its pooling steps are wide. */
#define HALO_OF_MULTIPLE 9

static bool parse_tiles(struct prediction *p, struct arguments *arguments,
                        struct image_error *error)
{
    p->halo = HALO_OF_MULTIPLE * p->model->multiple;
    const bool tile = argument_given(arguments, "tile");
    if (!p->model->segments && (tile || argument_given(arguments, "halo"))) {
        return usage_fail(arguments, error, "--%s: this model names classes of whole images",
                          tile ? "tile" : "halo");
    }
    return argument_integer(arguments, "tile", 1, 65536, &p->tile, error) &&
           argument_integer(arguments, "halo", 0, 65536, &p->halo, error);
}

static bool run_predict(struct arguments *arguments, struct image_error *error)
{
    const char *folder = argument_text(arguments, "output", NULL);
    struct image_list list;
    struct experiment_model model;
    struct image_limits limits;
    sfconv_context *context = NULL;
    if (!folder || !*folder) {
        return usage_fail(arguments, error, "expected --output DIR for what it writes");
    }
    if (!command_limits(&limits, arguments, error) ||
        !command_context(&context, arguments, error)) {
        return false;
    }
    bool ok = experiment_load(&model, context, arguments->operands[0], error);
    if (ok) {
        struct prediction p = {.model = &model, .limits = limits, .folder = folder, .error = error};
        ok = list_images(&list, arguments->operands + 1, arguments->operand_count - 1, error) &&
             parse_tiles(&p, arguments, error) && predict_list(p, &list, error);
        destroy_list(&list);
        experiment_model_destroy(&model);
    }
    sfconv_context_destroy(context);
    return ok;
}

static const struct command_option options[] = {
    {"output", "DIR", "folder for masks, overlays and predictions.csv; must be given"},
    {"tile", "N", "draw masks in tiles of N x N; usually only where memory asks for it"},
    {"halo", "N", "pixels round a tile that the network sees too; usually as many as it sees"},
    COMMAND_OPTION_MAX_PIXELS,
    COMMAND_OPTION_WORKERS,
    {0},
};

const struct command command_predict = {
    .name = "predict",
    .operands = "MODEL IMAGE|DIR...",
    .summary = "Draws the masks of images, or names their classes.",
    .details =
        "Masks: NAME-mask.png and NAME-overlay.png (the outline on the image) for each image,\n"
        "and predictions.csv with the part of foreground. Classes: predictions.csv with the\n"
        "probability of each. A mask that would take more than 1 GiB in one piece is put\n"
        "together from tiles. Of a folder all images are taken; one that cannot be read is told\n"
        "at the end. Size, normalization, classes and threshold come from the model file.",
    .options = options,
    .least_operands = 2,
    .run = run_predict,
};
