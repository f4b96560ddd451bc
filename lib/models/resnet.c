/* SPDX-License-Identifier: BSD-2-Clause */
/* ResNet-18 (He et al., CVPR 2016) and its small sister; names as torchvision's. */
#include "model_builder.h"

#include <stdio.h>

/* relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)) */
static int32_t basic_block(sfi_builder *b, const char *prefix, int32_t x, int64_t in, int64_t out,
                           int64_t stride)
{
    int32_t shortcut = x;
    int32_t y = sfi_build_conv(b, prefix, "conv1", x, (sfi_conv_unit){in, out, 3, stride});
    y = sfi_build_batchnorm(b, prefix, "bn1", y, out);
    y = sfi_build_relu(b, prefix, "relu1", y);
    y = sfi_build_conv(b, prefix, "conv2", y, (sfi_conv_unit){out, out, 3, 1});
    y = sfi_build_batchnorm(b, prefix, "bn2", y, out);
    if (stride != 1 || in != out) {
        const sfi_conv_unit unit = {in, out, 1, stride};
        shortcut = sfi_build_conv(b, prefix, "downsample.0", x, unit);
        shortcut = sfi_build_batchnorm(b, prefix, "downsample.1", shortcut, out);
    }
    y = sfi_build_add(b, prefix, "add", y, shortcut);
    return sfi_build_relu(b, prefix, "relu2", y);
}

/* Four stages, each twice as wide as the one before and half as large, then the classifier. */
static void stages(sfi_builder *b, int32_t x, int64_t base, int blocks)
{
    static const sfconv_pool2d_desc global = {
        sizeof global, SFCONV_POOL_GLOBAL_AVERAGE, 0, {1, 1}, {1, 1}, {0, 0}};
    int64_t in = base;
    for (int stage = 0; stage < 4; stage++) {
        const int64_t out = base << stage;
        for (int block = 0; block < blocks; block++) {
            char prefix[32];
            snprintf(prefix, sizeof prefix, "layer%d.%d", stage + 1, block);
            x = basic_block(b, prefix, x, in, out, stage > 0 && block == 0 ? 2 : 1);
            in = out;
        }
    }
    x = sfi_build_pool(b, "", "avgpool", x, &global);
    x = sfi_build_linear(b, "", "fc", x, in, b->desc->out_channels);
    sfi_build_output(b, x);
}

void sfi_build_resnet18(sfi_builder *b)
{
    static const sfconv_pool2d_desc pool = {sizeof pool, SFCONV_POOL_MAX, 0,
                                            {3, 3},      {2, 2},          {1, 1}};
    int32_t x = sfi_build_input(b);
    x = sfi_build_dense(b, "", "conv1", x, (sfi_conv_unit){b->desc->in_channels, 64, 7, 2}, false);
    x = sfi_build_batchnorm(b, "", "bn1", x, 64);
    x = sfi_build_relu(b, "", "relu", x);
    x = sfi_build_pool(b, "", "maxpool", x, &pool);
    stages(b, x, 64, 2);
}

void sfi_build_tiny_classifier(sfi_builder *b)
{
    int32_t x = sfi_build_input(b);
    x = sfi_build_dense(b, "", "conv1", x, (sfi_conv_unit){b->desc->in_channels, 16, 3, 2}, false);
    x = sfi_build_batchnorm(b, "", "bn1", x, 16);
    x = sfi_build_relu(b, "", "relu", x);
    stages(b, x, 16, 1);
}
