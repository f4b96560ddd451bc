/* SPDX-License-Identifier: BSD-2-Clause */
/* Training and judging one network on one data set: what the examples, the demonstration and the
 * command-line tool do alike. Program code on the public header of the library.
 * Errors: every function that can fail returns false and writes one line into *error. */
#ifndef EXPERIMENT_H
#define EXPERIMENT_H

#include "dataset.h"

#include "sfconv/sfconv.h"

#define EXPERIMENT_MAX_CHANNELS 3
#define EXPERIMENT_MAX_CLASSES 1024
#define EXPERIMENT_MAX_LEFT_OUT 64

/* What is done where classes have different numbers of images. */
enum experiment_balance {
    EXPERIMENT_BALANCE_NONE,
    EXPERIMENT_BALANCE_WEIGHTS,  /* the loss weighs each class by one over its number */
    EXPERIMENT_BALANCE_SAMPLING, /* an epoch takes as many images from each class */
};

/* "none", "weights" or "sampling". */
const char *experiment_balance_name(enum experiment_balance balance);

/* Which images of a folder take part, and which stay together where it is split (dataset.h). A
 * model keeps it: another choice would be another split, with training images among the test
 * images. */
struct experiment_selection {
    const char *left_out[EXPERIMENT_MAX_LEFT_OUT];
    int64_t left_out_count;
    const char *group_by; /* NULL: none */
    uint64_t seed;        /* of a split by chance */
};

struct experiment_files;
struct experiment_options {
    int32_t model;  /* SFCONV_MODEL_… */
    int32_t method; /* SFCONV_METHOD_… */
    double ratio;
    int64_t min_rank;
    double regularizer_weight; /* λ of the method's regularizer */
    int64_t epochs;
    int64_t batch;
    int64_t crop; /* side of the training windows; 0: the largest that fits every image */
    double rate;  /* of Adam, at the top of its cosine */
    double decay; /* of the weights, apart from the gradient; not of the factors of FConv */
    enum experiment_balance balance; /* classes only */
    int64_t size;       /* the images were resized to size x size; 0: they are as in their files */
    bool field_of_view; /* they were cut to their field of view before */
    bool pad;           /* and then made squares */
    int64_t patience;   /* this many epochs without a better one end the training; 0: none do */
    int64_t validate_every; /* epochs from one validation to the next; the last one has its own */
    bool augment;           /* flips, quarter turns, light */
    uint64_t seed;
    const struct experiment_files *files; /* NULL: nothing is written while it trains */
    const struct experiment_selection
        *selection; /* how the images were chosen; NULL: all of them */
};

/* Whether a network draws maps; the others name classes. */
bool experiment_segments(int32_t model);

/* Sides of images are filled up to multiples of this. */
int64_t experiment_size_multiple(int32_t model);

/* Reasonable settings for a network; the method's λ included. */
struct experiment_options experiment_options_default(int32_t model, int32_t method);

/* A network with what it needs to read images. */
struct experiment_model {
    sfconv_context *context;
    sfconv_net *net;
    int32_t network; /* SFCONV_MODEL_…; 0 where the file does not say */
    int32_t method;  /* SFCONV_METHOD_…; 0 likewise */
    bool segments;
    int64_t channels;
    /* Images are resized to size x size before the network sees them; 0: they are not. */
    int64_t size;
    /* Before that they are cut to the box of what is lit (field_of_view.h), and then made squares
     * (image_pad_to_square()). */
    bool field_of_view;
    bool pad;
    /* Pixels of at least this probability are foreground. */
    double threshold;
    /* Input sizes are multiples of this. */
    int64_t multiple;
    float mean[EXPERIMENT_MAX_CHANNELS];
    float deviation[EXPERIMENT_MAX_CHANNELS];
    int32_t class_count;
    char **class_names;
    /* How the images it was trained on were chosen (struct experiment_selection). */
    int64_t left_out_count;
    char **left_out;
    char *group_by; /* NULL: none */
    uint64_t split_seed;
};

/* What is known while training goes on. */
struct experiment_progress {
    int64_t epoch; /* from 1 */
    int64_t epochs;
    int64_t step; /* in the epoch, from 1 */
    int64_t steps;
    double loss;    /* mean of the epoch so far */
    double penalty; /* λ · regularizer at this step */
    double images_per_second;
    bool epoch_done;
    double validation; /* Dice or accuracy when epoch_done; NaN where it was not validated */
    bool best;
};
/* false stops the training; the best epoch so far is kept. */
typedef bool (*experiment_watch)(void *user, const struct experiment_progress *progress);

/* Files that a training keeps up to date, each as a whole. */
struct experiment_files {
    const char *best;  /* model of the best epoch */
    const char *last;  /* model of the last epoch */
    const char *state; /* all that is needed to go on: after each epoch, and when it is stopped */
    bool resume;       /* goes on from `state` with the same bits instead of starting anew */
    /* Writes down an epoch before its state is saved; an epoch may come again after a resume. NULL:
     * none are written down. */
    bool (*log)(void *log_user, const struct experiment_progress *progress,
                struct image_error *error);
    void *log_user;
};

struct experiment_score {
    int64_t images;
    /* Mean Dice over the images, or accuracy. */
    double metric;
    double spread;      /* standard deviation of Dice over the images; 0 for classes */
    double iou;         /* mean over the images; masks only */
    double sensitivity; /* of all pixels together; masks only, as specificity */
    double specificity;
    double kappa; /* quadratic; classes only */
    double auc;   /* mean over the classes, each against the rest; classes only */
    double images_per_second;
};

/* The same of one image. */
struct experiment_image_score {
    double metric; /* Dice; 1 or 0 for a class that is right or wrong */
    double iou;    /* masks only, as the next two */
    double sensitivity;
    double specificity;
    int32_t truth; /* classes only, as the next two; else -1 */
    int32_t prediction;
    double probability; /* of the predicted class */
};

struct experiment_costs {
    int64_t parameters;
    int64_t macs;
    int64_t flops;
};

/* Builds and trains a network on `train`, keeps the epoch that is best on `validation` (the last
 * one where that set is empty). The network takes RGB if any training image is RGB; the other ones
 * are converted. *model is the caller's, also after a watch stopped the training.
 * With options->files, what a resumed training finds must have been started with the same settings
 * and images, and a training stopped before the end of its first epoch can still be resumed.
 * Errors: fewer than two classes or more than EXPERIMENT_MAX_CLASSES; a name of a class that is not
 * UTF-8; a classifier's image of another size than the others; an image smaller than the windows; a
 * loss that is no longer a number; a stop before the first epoch was over. */
bool experiment_train(struct experiment_model *model, sfconv_context *context,
                      const struct dataset *train, const struct dataset *validation,
                      const struct experiment_options *options, experiment_watch watch, void *user,
                      struct image_error *error);

/* `images` gets the score of each image of the set; NULL: not wanted. */
bool experiment_evaluate(struct experiment_score *score, struct experiment_image_score *images,
                         const struct experiment_model *model, const struct dataset *set,
                         struct image_error *error);

/* Masks of large images are put together from tiles, each with a halo of what lies round it, so
 * that the network's memory is bounded. Both are rounded up to what the network takes. Where the
 * halo covers the receptive field the map is the same as that of the whole image. */
struct experiment_tiles {
    int64_t side; /* 0: the whole image */
    int64_t halo;
};

/* Probability of the foreground for each pixel (one channel), or of each class (class_count x 1).
 * The image, as in its file, is brought to the form that the model wants, and the map back to that
 * of the image. `tiles` NULL: the whole image. */
bool experiment_predict(struct image *probability, const struct experiment_model *model,
                        const struct image *image, const struct experiment_tiles *tiles,
                        struct image_error *error);
/* The same for an image of a data set, which has been cut to its field of view already. */
bool experiment_predict_sample(struct image *probability, const struct experiment_model *model,
                               const struct image *image, struct image_error *error);

/* Channels of the images of a set, and mean and deviation of each: what experiment_train() gives
 * its model to normalize by. Nothing else of *model is touched. */
bool experiment_measure(struct experiment_model *model, const struct dataset *set,
                        struct image_error *error);

/* Counts for one image of this size. */
bool experiment_count(struct experiment_costs *costs, const struct experiment_model *model,
                      int64_t width, int64_t height, struct image_error *error);

/* A model file that is enough to predict: weights, network, preprocessing, classes. `facts` holds
 * pairs of name and value, ended by NULL, or is NULL. */
bool experiment_save(const struct experiment_model *model, const char *path,
                     const char *const *facts, struct image_error *error);
bool experiment_load(struct experiment_model *model, sfconv_context *context, const char *path,
                     struct image_error *error);

/* The network of any model file, and its texts. */
bool experiment_load_net(sfconv_net **net, sfconv_metadata **metadata, sfconv_context *context,
                         const char *path, struct image_error *error);

void experiment_model_destroy(struct experiment_model *model);

/* false with "WHAT: reason of the library" unless status is success. */
bool experiment_check(const sfconv_context *context, sfconv_status status, const char *what,
                      struct image_error *error);

#endif
