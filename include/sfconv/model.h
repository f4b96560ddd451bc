/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFCONV_MODEL_H
#define SFCONV_MODEL_H

#include "sfconv/train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Ready-made networks and files. */

/** ResNet-18 (He et al., 2016) with torchvision's names: conv1, bn1, layer1.0.conv1 …, fc. The 7x7
 * stem stays dense, as in the paper. Input of any size: maps are halved five times, rounded up.
 * Where one pixel is left at the end, from sides of at most 32, training needs a batch of two. */
#define SFCONV_MODEL_RESNET18 1
/** U-Net, bilinear variant, with the usual names: inc.double_conv.0,
 * down1.maxpool_conv.1.double_conv.0, up1.conv.double_conv.0 …, outc.conv. Input sizes are
 * multiples of 16; sfconv_run_reshape() refuses others and, from 16 on, names the multiple. */
#define SFCONV_MODEL_UNET 2
/** A small classifier (four stages of residual blocks at 1/4 of ResNet-18's width, 3x3 stem).
 * Input of any size. */
#define SFCONV_MODEL_TINY_CLASSIFIER 3
/** A small U-Net: three poolings, 1/4 of the U-Net's width. Input sizes are multiples of 8. */
#define SFCONV_MODEL_TINY_SEGMENTER 4

#define SFCONV_METHOD_CONV 1
#define SFCONV_METHOD_FCONV 2
#define SFCONV_METHOD_FCONVSN 3
#define SFCONV_METHOD_DPCCONV 4
/** Factorized, no regularizer. */
#define SFCONV_METHOD_SFCONV_NO_KL 5
#define SFCONV_METHOD_SFCONV 6

/** What a ready-made network is. Since: 0.1 */
typedef struct sfconv_model_desc {
    size_t struct_size;
    /** SFCONV_MODEL_… */
    int32_t model;
    /** SFCONV_METHOD_…; sets initialization, regularizer and normalization of the factors. */
    int32_t method;
    int64_t in_channels;
    /** Classes, or maps of logits. */
    int64_t out_channels;
    /** Factorized methods: rank = max(min_rank, round(ratio · min(in, out))). */
    double ratio;
    int64_t min_rank;
    /** λ of the method's regularizer (SFCONV: KL, FCONV: Frobenius); 0, the default, is without. */
    double regularizer_weight;
    /** Ranks of the factorized layers in the order of the nodes, `rank_count` of them, instead of
     * ratio and min_rank; NULL and 0: by the rule. */
    const int64_t *ranks;
    int64_t rank_count;
    uint64_t seed;
} sfconv_model_desc;

#define SFCONV_MODEL_DESC_INIT                                                                     \
    {                                                                                              \
        sizeof(sfconv_model_desc), SFCONV_MODEL_TINY_SEGMENTER, SFCONV_METHOD_SFCONV, 3, 1,        \
            1.0 / 32, 1, 0.0, NULL, 0, 0                                                           \
    }

/** Builds a ready-made network. Errors: ARGUMENT (a setting out of range, wrong number of ranks),
 * OVERFLOW, NUMERIC, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_model_create(sfconv_net **net, sfconv_context *context,
                                             const sfconv_model_desc *desc);

/** "resnet18", "unet", "tiny_classifier", "tiny_segmenter"; NULL for a number that is none.
 * Since: 0.1 */
SFCONV_API const char *sfconv_model_name(int32_t model);
/** "conv", "fconv", "fconvsn", "dpcconv", "sfconv_no_kl", "sfconv"; NULL for a number that is none.
 * Since: 0.1 */
SFCONV_API const char *sfconv_method_name(int32_t method);
/** The opposite; 0 for a name that is none. Since: 0.1 */
SFCONV_API int32_t sfconv_model_from_name(const char *name);
SFCONV_API int32_t sfconv_method_from_name(const char *name);

/** Texts by name that travel in a model file: preprocessing, classes, training facts. Names and
 * values are UTF-8; names that begin with "sfconv." are the library's. Since: 0.1 */
typedef struct sfconv_metadata sfconv_metadata;
SFCONV_API sfconv_status sfconv_metadata_create(sfconv_metadata **metadata,
                                                sfconv_context *context);
SFCONV_API void sfconv_metadata_destroy(sfconv_metadata *metadata);
/** Sets or replaces. Errors: ARGUMENT (a name that is empty or the library's, not UTF-8), MEMORY.
 * Since: 0.1 */
SFCONV_API sfconv_status sfconv_metadata_set(sfconv_metadata *metadata, const char *name,
                                             const char *value);
/** NULL when absent; valid until the name is set again. Since: 0.1 */
SFCONV_API const char *sfconv_metadata_get(const sfconv_metadata *metadata, const char *name);
SFCONV_API int32_t sfconv_metadata_count(const sfconv_metadata *metadata);
/** Name number `index` in the order of setting; NULL when there is none. Since: 0.1 */
SFCONV_API const char *sfconv_metadata_name(const sfconv_metadata *metadata, int32_t index);

/* Files are safetensors: weights by name and metadata, readable by the Python package of that name.
 * Writes are atomic: a temporary file beside `path`, flushed to the disk, then renamed; on failure
 * `path` is as it was. Reading trusts nothing: docs/model-format.md lists what is refused, each
 * with FORMAT and a reason that names the file and the tensor. */

/** Saves all parameters and buffers of a net; `metadata` may be NULL. A net of
 * sfconv_model_create() also saves its description, so that sfconv_model_load() can build it.
 * Errors: ARGUMENT, IO, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_net_save(const sfconv_net *net, const char *path,
                                         const sfconv_metadata *metadata);

/** Builds the net that a file describes and loads it; *metadata (the pointer may be NULL) gets the
 * file's texts. Errors: as sfconv_net_load(); FORMAT too for a description of more weights than the
 * file has numbers; UNSUPPORTED (a file without description). Since: 0.1 */
SFCONV_API sfconv_status sfconv_model_load(sfconv_net **net, sfconv_metadata **metadata,
                                           sfconv_context *context, const char *path);

/** 1: tensors of the file that the net has not are no error. */
#define SFCONV_LOAD_IGNORE_UNKNOWN 1
/** 1: parameters that the file has not keep their values. */
#define SFCONV_LOAD_KEEP_MISSING 2
/** Dense weights "NAME.weight" of the file become the factors of sfconv2d NAME by decomposition;
 * uses LAPACK. */
#define SFCONV_LOAD_DECOMPOSE 4

/**
 * Loads parameters by name into a net that exists; dtypes F32, F16, BF16 and F64 are converted.
 * "num_batches_tracked" of PyTorch is passed over. `flags` is a sum of SFCONV_LOAD_…. All or
 * nothing: on failure no parameter has changed. Errors: ARGUMENT, IO, FORMAT, SHAPE (a tensor of
 * another shape, both shapes named), NOT_FOUND (unknown or missing tensors, the first one named; a
 * dense weight of factors too, with the flag that takes it), NUMERIC, MEMORY, CANCELLED. Since: 0.1
 */
SFCONV_API sfconv_status sfconv_net_load(sfconv_net *net, const char *path, int32_t flags,
                                         sfconv_progress_fn progress, void *user);

/** What a checkpoint holds beside the net; parts may be NULL. Since: 0.1 */
typedef struct sfconv_checkpoint {
    size_t struct_size;
    sfconv_net *net;
    sfconv_optimizer *optimizer;
    sfconv_schedule *schedule;
    sfconv_average *average;
    /** Its seed and step are saved and restored. */
    sfconv_run *run;
    /** Position of the caller's loop (epoch, sample, seed of the shuffle …). */
    sfconv_metadata *metadata;
} sfconv_checkpoint;

#define SFCONV_CHECKPOINT_INIT                                                                     \
    {                                                                                              \
        sizeof(sfconv_checkpoint), NULL, NULL, NULL, NULL, NULL, NULL                              \
    }

/** Saves a training so that it goes on with the same bits. Errors: ARGUMENT (no net), IO, MEMORY.
 * Since: 0.1 */
SFCONV_API sfconv_status sfconv_checkpoint_save(const sfconv_checkpoint *checkpoint,
                                                const char *path);
/** Restores into objects that exist and were made with the same settings; the metadata's names are
 * set. All or nothing. Errors: as sfconv_net_load(); NOT_FOUND for a part that the file has not.
 * Since: 0.1 */
SFCONV_API sfconv_status sfconv_checkpoint_load(const sfconv_checkpoint *checkpoint,
                                                const char *path);

#ifdef __cplusplus
}
#endif

#endif
