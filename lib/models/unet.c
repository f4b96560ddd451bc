/* SPDX-License-Identifier: BSD-2-Clause */
/* U-Net (Ronneberger et al., MICCAI 2015), the bilinear variant; names as the usual PyTorch one's.
 */
#include "model_builder.h"

#include <stdio.h>

#define MAX_LEVELS 4

/* (convolution, BatchNorm, ReLU) twice; numbers as in a torch.nn.Sequential. */
static int32_t double_conv(sfi_builder *b, const char *prefix, int32_t x, int64_t in,
                           int64_t middle, int64_t out)
{
    x = sfi_build_conv(b, prefix, "double_conv.0", x, (sfi_conv_unit){in, middle, 3, 1});
    x = sfi_build_batchnorm(b, prefix, "double_conv.1", x, middle);
    x = sfi_build_relu(b, prefix, "double_conv.2", x);
    x = sfi_build_conv(b, prefix, "double_conv.3", x, (sfi_conv_unit){middle, out, 3, 1});
    x = sfi_build_batchnorm(b, prefix, "double_conv.4", x, out);
    return sfi_build_relu(b, prefix, "double_conv.5", x);
}

static int32_t down(sfi_builder *b, int level, int32_t x, int64_t in, int64_t out)
{
    static const sfconv_pool2d_desc pool = SFCONV_POOL2D_DESC_INIT;
    char prefix[40];
    snprintf(prefix, sizeof prefix, "down%d.maxpool_conv", level);
    x = sfi_build_pool(b, prefix, "0", x, &pool);
    snprintf(prefix, sizeof prefix, "down%d.maxpool_conv.1", level);
    return double_conv(b, prefix, x, in, out, out);
}

/* [skip, up-sampled] have `width` maps each; the first convolution halves them together. */
static int32_t up(sfi_builder *b, int number, int32_t x, int32_t skip, int64_t width, int64_t out)
{
    char prefix[40];
    snprintf(prefix, sizeof prefix, "up%d", number);
    x = sfi_build_upsample(b, prefix, "up", x);
    x = sfi_build_concat(b, prefix, "concat", skip, x);
    snprintf(prefix, sizeof prefix, "up%d.conv", number);
    return double_conv(b, prefix, x, 2 * width, width, out);
}

void sfi_build_unet(sfi_builder *b, int64_t base, int levels)
{
    int32_t skips[MAX_LEVELS];
    int64_t width = base;
    int32_t x = double_conv(b, "inc", sfi_build_input(b), b->desc->in_channels, base, base);
    for (int level = 1; level <= levels; level++) {
        /* The last level stays as wide as the one before, since up-sampling does not narrow. */
        const int64_t next = level < levels ? 2 * width : width;
        skips[level - 1] = x;
        x = down(b, level, x, width, next);
        width = next;
    }
    for (int number = 1; number <= levels; number++) {
        const int64_t next = number < levels ? width / 2 : width;
        x = up(b, number, x, skips[levels - number], width, next);
        width = next;
    }
    x = sfi_build_dense(b, "outc", "conv", x, (sfi_conv_unit){base, b->desc->out_channels, 1, 1},
                        true);
    sfi_build_output(b, x);
}
