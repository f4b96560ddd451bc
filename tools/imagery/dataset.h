/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of images for training: with a class each, or with a mask each. docs/datasets.md shows the
 * folders that the loaders understand.
 * Errors: as in image.h; a result is empty after a failure. */
#ifndef IMAGERY_DATASET_H
#define IMAGERY_DATASET_H

#include "image_file.h"

struct dataset_sample {
    char *path;         /* of the image; a made one has a made name */
    char *mask_path;    /* NULL: no file */
    int32_t label;      /* number of the class; -1 in a set with masks */
    struct image image; /* empty while it is only on disk */
    struct image mask;  /* one channel of 0 and 1 */
};

/* What dataset_get() gives. */
struct dataset_form {
    int64_t width; /* of every image and mask; both 0: as in the files */
    int64_t height;
    int32_t channels; /* 1 or 3; 0: as in the files */
    /* Cut images and masks to the box of what is lit first (field_of_view.h): photographs of the
     * back of the eye without their black border. */
    bool crop_to_field;
    /* Then make them squares (image_pad_to_square()), so that a square size keeps proportions. */
    bool pad_to_square;
    struct image_limits limits;
};

struct dataset {
    int64_t count;
    int64_t capacity;
    struct dataset_sample *samples;
    int32_t class_count; /* 0 in a set with masks */
    char **class_names;
    struct dataset_form form;
    /* Samples whose names have the same match of this pattern stay together in splits
     * (dataset_groups.h); borrowed; NULL: each sample is on its own. */
    const char *group_by;
};

struct dataset_options {
    struct dataset_form form;
    /* Read a file each time it is asked for instead of keeping it; then what is wrong inside a file
     * comes to light in dataset_get() only. */
    bool lazy;
    /* Samples to drop, by the name of the file without its ending, alone ("131") or with the last
     * folders before it ("val/images/131"). A name that fits nothing is an error, unless it may
     * miss. */
    const char *const *leave_out;
    int64_t leave_out_count;
    bool leave_out_may_miss;
    /* How a folder without train/ is split: shares of validation and test, and the seed. */
    double part_val;
    double part_test;
    uint64_t seed;
    /* Of the sets that are split by chance, now or later by dataset_take_part(); it must live as
     * long as they do. */
    const char *group_by;
};

/* Shares of 0.15 and 0.15, everything else as in the files and in memory. */
struct dataset_options dataset_options_default(void);

struct dataset_split {
    struct dataset train;
    struct dataset val;  /* may be empty */
    struct dataset test; /* may be empty */
    int64_t ignored;     /* files passed over because their names are not those of images */
    bool by_chance;      /* the layout does not say what belongs to which part */
};

/* The layout is told by what is there:
 *   FOLDER/CLASS/IMAGE, or FOLDER/{train,val,test}/CLASS/IMAGE;
 *   FOLDER/labels.csv, or FOLDER/{train,val,test}.csv, or `folder` is a table itself: file and
 *   label in each row, behind a header or not, the files relative to the table;
 *   the disease grading of IDRiD, as it comes.
 * Classes are numbered in the order of their names (strcmp), by those of the training part; files
 * in the order of theirs. A class without an image, a class that the training part lacks, a listed
 * file that is missing or listed twice, an image beside listed ones that is not listed, and an
 * image that cannot be read are errors. Without fixed parts, each class is split by the same
 * shares and needs two images. `options` may be NULL. */
bool dataset_load_classes(struct dataset_split *result, const char *folder,
                          const struct dataset_options *options, struct image_error *error);

/* FOLDER/{images,masks}/NAME, or FOLDER/{train,val,test}/{images,masks}/NAME; or img and gt, as in
 * ROSE-1, for images and masks. Image and mask have the same name up to the ending. Errors: one
 * without the other, other sizes, a mask with more than two values. The greater value of a mask
 * becomes 1; a mask of one value is 0 where that is black, else 1. A mask that is resized is 1
 * where at least half of the area was. */
bool dataset_load_masks(struct dataset_split *result, const char *folder,
                        const struct dataset_options *options, struct image_error *error);

/* Whether a folder is laid out for dataset_load_masks(). */
bool dataset_holds_masks(const char *folder);

void dataset_split_destroy(struct dataset_split *split);

/* The only sample of a class, or NULL where there are more or none. */
const struct dataset_sample *dataset_only_sample(const struct dataset *dataset,
                                                 int32_t class_index);

/* Copies of image and mask (NULL: not wanted; an empty image where the set has none), read from
 * disk if they are not in memory. Any number of threads may ask at a time. */
bool dataset_get(struct image *image, struct image *mask, const struct dataset *dataset,
                 int64_t index, struct image_error *error);

void dataset_destroy(struct dataset *dataset);

/* Adds a sample and takes over image and mask (mask may be empty), which are empty afterwards, also
 * when memory is lacking. */
bool dataset_add(struct dataset *dataset, const char *name, int32_t label, struct image *image,
                 struct image *mask, struct image_error *error);

/* Copies the names of classes into a set that has none. */
bool dataset_name_classes(struct dataset *dataset, const char *const *names, int32_t count,
                          struct image_error *error);

/* Moves about `part` of the samples of each class, or of the groups of a set that has some, from
 * `from` into *taken, chosen by `seed`; both stay in order, and *taken gets the names of the
 * classes. */
bool dataset_take_part(struct dataset *taken, struct dataset *from, double part, uint64_t seed,
                       struct image_error *error);

#endif
