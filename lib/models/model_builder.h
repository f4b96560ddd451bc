/* SPDX-License-Identifier: BSD-2-Clause */
/* Building nets one named node at a time, with convolutions of the method asked for. The first
 * failure is kept and the rest of the building does nothing, so that the networks read as lists. */
#ifndef SFI_MODEL_BUILDER_H
#define SFI_MODEL_BUILDER_H

#include "models.h"

typedef struct sfi_builder {
    sfconv_net *net;
    const sfconv_model_desc *desc;
    sfconv_status status;
    /* Factorized layers so far. */
    int64_t factorized;
    /* Numbers that the weights still to come may have; more are refused. */
    int64_t room;
} sfi_builder;

/* A convolution without bias, padded by half its kernel. */
typedef struct sfi_conv_unit {
    int64_t in;
    int64_t out;
    int64_t kernel;
    int64_t stride;
} sfi_conv_unit;

/* Each returns the new node's number, or -1 after a failure. `prefix` and `name` are joined by a
 * point; an empty prefix stands alone. */
int32_t sfi_build_input(sfi_builder *builder);
/* A convolution by the builder's method. */
int32_t sfi_build_conv(sfi_builder *builder, const char *prefix, const char *name, int32_t input,
                       sfi_conv_unit unit);
/* A convolution that stays dense whatever the method. */
int32_t sfi_build_dense(sfi_builder *builder, const char *prefix, const char *name, int32_t input,
                        sfi_conv_unit unit, bool has_bias);
int32_t sfi_build_batchnorm(sfi_builder *builder, const char *prefix, const char *name,
                            int32_t input, int64_t channels);
int32_t sfi_build_relu(sfi_builder *builder, const char *prefix, const char *name, int32_t input);
int32_t sfi_build_pool(sfi_builder *builder, const char *prefix, const char *name, int32_t input,
                       const sfconv_pool2d_desc *desc);
/* Bilinear by 2 with aligned corners. */
int32_t sfi_build_upsample(sfi_builder *builder, const char *prefix, const char *name,
                           int32_t input);
int32_t sfi_build_add(sfi_builder *builder, const char *prefix, const char *name, int32_t a,
                      int32_t b);
int32_t sfi_build_concat(sfi_builder *builder, const char *prefix, const char *name, int32_t a,
                         int32_t b);
int32_t sfi_build_linear(sfi_builder *builder, const char *prefix, const char *name, int32_t input,
                         int64_t in, int64_t out);
void sfi_build_output(sfi_builder *builder, int32_t node);

void sfi_build_resnet18(sfi_builder *builder);
void sfi_build_tiny_classifier(sfi_builder *builder);
/* `levels` poolings; maps are `base` wide at the top and double at each level but the last. */
void sfi_build_unet(sfi_builder *builder, int64_t base, int levels);

#endif
