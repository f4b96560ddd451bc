/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFCONV_LAYER_H
#define SFCONV_LAYER_H

#include "sfconv/context.h"
#include "sfconv/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A layer: its settings and parameters. It computes through a run (net.h), alone or in a net.
 * The same layer may stand in several nets, which then share its parameters.
 * Since: 0.1
 */
typedef struct sfconv_layer sfconv_layer;

/** Lets go of the caller's hold. Since: 0.1 */
SFCONV_API void sfconv_layer_destroy(sfconv_layer *layer);

/** "conv2d", "sfconv2d", "dsconv2d", "batchnorm2d", "activation", "pool2d", "upsample2d", "linear",
 * "dropout", "add", "concat"; NULL for NULL. Since: 0.1 */
SFCONV_API const char *sfconv_layer_kind(const sfconv_layer *layer);

/**
 * Draws the trainable parameters anew and resets buffers, as the create call does with the seed of
 * the descriptor. Weights of convolutions and linear layers: Kaiming (He et al., 2015), uniform in
 * ±sqrt(6 / fan_in) for convolutions, ±1/sqrt(fan_in) for linear layers and biases; BatchNorm:
 * scale 1, shift 0. Numbers depend on seed and parameter name alone. Errors: ARGUMENT, NUMERIC
 * (spectral initialisation that does not converge). Since: 0.1
 */
SFCONV_API sfconv_status sfconv_layer_initialize(sfconv_layer *layer, uint64_t seed);

/* What a parameter is; optimizers and files go by it. */
#define SFCONV_PARAMETER_WEIGHT 1
#define SFCONV_PARAMETER_BIAS 2
/** q.weight of sfconv2d: [rank][in][1][kernel width]. */
#define SFCONV_PARAMETER_FACTOR_Q 3
/** p.weight of sfconv2d: [out][rank][kernel height][1]. */
#define SFCONV_PARAMETER_FACTOR_P 4
/** Scale and shift of BatchNorm. */
#define SFCONV_PARAMETER_SCALE 5
#define SFCONV_PARAMETER_SHIFT 6
/** Not trained, but saved: running statistics, vectors of the power iteration. */
#define SFCONV_PARAMETER_BUFFER 7

/** Facts of one parameter. Texts and view live as long as the layer or net that gave them; the view
 * may be written while nothing else uses the layer. Since: 0.1 */
typedef struct sfconv_parameter_info {
    size_t struct_size;
    /** "weight" in a layer, "layer1.0.conv1.weight" in a net. */
    const char *name;
    int32_t role;
    /** 1 where optimizers change it. */
    int32_t trainable;
    sfconv_view view;
} sfconv_parameter_info;

#define SFCONV_PARAMETER_INFO_INIT                                                                 \
    {                                                                                              \
        sizeof(sfconv_parameter_info), NULL, 0, 0,                                                 \
        {                                                                                          \
            NULL, 0, 0, {0, 0, 0, 0},                                                              \
            {                                                                                      \
                0, 0, 0, 0                                                                         \
            }                                                                                      \
        }                                                                                          \
    }

/** Number of parameter tensors, buffers included; 0 for NULL. Since: 0.1 */
SFCONV_API int32_t sfconv_layer_parameter_count(const sfconv_layer *layer);

/** Facts of parameter `index`. The caller sets info->struct_size. Errors: ARGUMENT, NOT_FOUND.
 * Since: 0.1 */
SFCONV_API sfconv_status sfconv_layer_parameter(const sfconv_layer *layer, int32_t index,
                                                sfconv_parameter_info *info);

/* Two numbers of an axis pair are height first, then width. */

/**
 * Dense 2-d convolution: out[o] = bias[o] + Σ weight[o][c][i][j] · in[c] shifted; cross-correlation
 * as everywhere in the field. Output size: floor((in + 2·padding − dilation·(kernel − 1) − 1) /
 * stride) + 1.
 * Parameters: weight [out][in / groups][kh][kw], bias [out] where has_bias.
 * Since: 0.1
 */
typedef struct sfconv_conv2d_desc {
    size_t struct_size;
    int64_t in_channels;
    int64_t out_channels;
    int64_t kernel[2];
    int64_t stride[2];
    int64_t padding[2];
    int64_t dilation[2];
    /** Divides in_channels and out_channels. */
    int64_t groups;
    int32_t has_bias;
    int32_t reserved;
    uint64_t seed;
} sfconv_conv2d_desc;

#define SFCONV_CONV2D_DESC_INIT                                                                    \
    {                                                                                              \
        sizeof(sfconv_conv2d_desc), 0, 0, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, 0, 0, 0               \
    }

/**
 * Makes a dense convolution. Errors: ARGUMENT (a size below 1, padding below 0, groups that do not
 * divide), OVERFLOW, MEMORY.
 * Since: 0.1
 */
SFCONV_API sfconv_status sfconv_conv2d_create(sfconv_layer **layer, sfconv_context *context,
                                              const sfconv_conv2d_desc *desc);

#define SFCONV_INITIALIZATION_KAIMING 1
/** Truncated SVD of a Kaiming-initialised dense weight, √s to each factor (Khodak et al., 2021).
 * Uses LAPACK. */
#define SFCONV_INITIALIZATION_SPECTRAL 2

#define SFCONV_REGULARIZER_NONE 0
/** F(s, u) = KL(p ‖ u), p = s / Σ s, u uniform: the paper's. */
#define SFCONV_REGULARIZER_KL 1
/** F(u, s) = KL(u ‖ p). */
#define SFCONV_REGULARIZER_KL_REVERSE 2
/** ½ ‖P·Q‖²_F (Khodak et al., 2021). */
#define SFCONV_REGULARIZER_FROBENIUS 3

/**
 * Factorized convolution (arXiv 2403.00606): Q, a 1 x kw convolution in → rank with the horizontal
 * stride, padding and dilation, then P, a kh x 1 convolution rank → out with the vertical ones and
 * the bias. The equivalent dense weight is W[o][c][i][j] = Σ_t P[o][t][i] · Q[t][c][j].
 * FConv is initialization SPECTRAL with regularizer FROBENIUS; FConvSN is spectral_norm 1; SFConv
 * is regularizer KL. Parameters: q.weight [rank][in][1][kw], p.weight [out][rank][kh][1], bias
 * [out] where has_bias; with spectral_norm also the buffers u [out·kh] and v [in·kw] of the power
 * iteration. Since: 0.1
 */
typedef struct sfconv_sfconv2d_desc {
    size_t struct_size;
    int64_t in_channels;
    int64_t out_channels;
    int64_t kernel[2];
    int64_t stride[2];
    int64_t padding[2];
    int64_t dilation[2];
    /** Rank, at most min(in·kw, out·kh); 0: from ratio and min_rank. */
    int64_t rank;
    /** rank = max(min_rank, round(ratio · min(in, out))), cut to the maximum; 0 < ratio. */
    double ratio;
    /** At least 1. */
    int64_t min_rank;
    int32_t has_bias;
    /** SFCONV_INITIALIZATION_… */
    int32_t initialization;
    /** SFCONV_REGULARIZER_… */
    int32_t regularizer;
    /** 1: the effective weight is P·Q / σ(P·Q), σ by one step of the power iteration a training
     * forward (Zeng et al., ISBI 2022). u moves first and σ is |Wᵀu| of the new u, so that
     * inference repeats it from u alone; v is kept for files. */
    int32_t spectral_norm;
    /** λ of the regularizer, not negative. */
    double regularizer_weight;
    uint64_t seed;
} sfconv_sfconv2d_desc;

#define SFCONV_SFCONV2D_DESC_INIT                                                                  \
    {                                                                                              \
        sizeof(sfconv_sfconv2d_desc), 0, 0, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 0, 1.0 / 32, 1, 0,     \
            SFCONV_INITIALIZATION_KAIMING, SFCONV_REGULARIZER_NONE, 0, 0.0, 0                      \
    }

/**
 * Makes a factorized convolution. Errors: ARGUMENT (as conv2d; a rank above the maximum, a ratio or
 * λ that is negative, NaN or infinite, an unknown setting), OVERFLOW, MEMORY, NUMERIC.
 * Since: 0.1
 */
SFCONV_API sfconv_status sfconv_sfconv2d_create(sfconv_layer **layer, sfconv_context *context,
                                                const sfconv_sfconv2d_desc *desc);

/** Rank of a factorized layer, 0 for any other. Since: 0.1 */
SFCONV_API int64_t sfconv_sfconv2d_rank(const sfconv_layer *layer);

/**
 * Sets regularizer and λ. Errors: ARGUMENT (unknown kind, λ negative or not finite), UNSUPPORTED
 * (not an sfconv2d).
 * Since: 0.1
 */
SFCONV_API sfconv_status sfconv_sfconv2d_set_regularizer(sfconv_layer *layer, int32_t regularizer,
                                                         double weight);

/**
 * Depthwise separable convolution (Chollet, 2017): one kh x kw kernel a channel, then a 1 x 1
 * convolution. Parameters: depthwise.weight [in][1][kh][kw], pointwise.weight [out][in][1][1], bias
 * [out] where has_bias. The desc is that of conv2d; groups must be 1.
 * Errors: as sfconv_conv2d_create().
 * Since: 0.1
 */
SFCONV_API sfconv_status sfconv_dsconv2d_create(sfconv_layer **layer, sfconv_context *context,
                                                const sfconv_conv2d_desc *desc);

/**
 * BatchNorm over batch, height and width (Ioffe and Szegedy, 2015). Training: biased variance of
 * the batch for the output, unbiased for the running value; running = (1 − momentum) · running +
 * momentum · batch. Inference: running values.
 * Parameters: weight, bias, running_mean, running_var, all [channels].
 * Since: 0.1
 */
typedef struct sfconv_batchnorm2d_desc {
    size_t struct_size;
    int64_t channels;
    /** Above 0. */
    double epsilon;
    /** 0 to 1. */
    double momentum;
} sfconv_batchnorm2d_desc;

#define SFCONV_BATCHNORM2D_DESC_INIT                                                               \
    {                                                                                              \
        sizeof(sfconv_batchnorm2d_desc), 0, 1e-5, 0.1                                              \
    }

/** Errors: ARGUMENT, OVERFLOW, MEMORY. A training run refuses (SHAPE, at reshape) a batch with a
 * single value a channel: its variance is undefined. Since: 0.1 */
SFCONV_API sfconv_status sfconv_batchnorm2d_create(sfconv_layer **layer, sfconv_context *context,
                                                   const sfconv_batchnorm2d_desc *desc);

#define SFCONV_ACTIVATION_RELU 1
#define SFCONV_ACTIVATION_LEAKY_RELU 2
#define SFCONV_ACTIVATION_SILU 3
#define SFCONV_ACTIVATION_SIGMOID 4

/** Elementwise activation; `slope` is that of LeakyReLU below 0 (0 to 1), ignored by the others.
 * Errors: ARGUMENT, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_activation_create(sfconv_layer **layer, sfconv_context *context,
                                                  int32_t activation, double slope);

#define SFCONV_POOL_MAX 1
/** Mean over the kernel's cells that lie inside the map. */
#define SFCONV_POOL_AVERAGE 2
/** Mean over the whole map: output 1 x 1; kernel, stride and padding are ignored. */
#define SFCONV_POOL_GLOBAL_AVERAGE 3

/** Since: 0.1 */
typedef struct sfconv_pool2d_desc {
    size_t struct_size;
    /** SFCONV_POOL_… */
    int32_t kind;
    int32_t reserved;
    int64_t kernel[2];
    int64_t stride[2];
    /** At most half the kernel. */
    int64_t padding[2];
} sfconv_pool2d_desc;

#define SFCONV_POOL2D_DESC_INIT                                                                    \
    {                                                                                              \
        sizeof(sfconv_pool2d_desc), SFCONV_POOL_MAX, 0, {2, 2}, {2, 2},                            \
        {                                                                                          \
            0, 0                                                                                   \
        }                                                                                          \
    }

/** Pooling. Of equal largest values the first in row order takes the gradient; a NaN wins.
 * Errors: ARGUMENT, OVERFLOW (a size, or the cells of the kernel, beyond 2^31 − 1), MEMORY.
 * Since: 0.1 */
SFCONV_API sfconv_status sfconv_pool2d_create(sfconv_layer **layer, sfconv_context *context,
                                              const sfconv_pool2d_desc *desc);

#define SFCONV_UPSAMPLE_NEAREST 1
/** Corners of the pixel grids coincide ("align_corners"). */
#define SFCONV_UPSAMPLE_BILINEAR_ALIGNED 2
/** Edges of the images coincide (half-pixel centres). */
#define SFCONV_UPSAMPLE_BILINEAR 3

/** Up-sampling by whole factors (height, width), each 1 to 64. Errors: ARGUMENT, MEMORY.
 * Since: 0.1 */
SFCONV_API sfconv_status sfconv_upsample2d_create(sfconv_layer **layer, sfconv_context *context,
                                                  int32_t kind, const int64_t factor[2]);

/** Since: 0.1 */
typedef struct sfconv_linear_desc {
    size_t struct_size;
    /** Channels times height times width of the input. */
    int64_t in_features;
    int64_t out_features;
    int32_t has_bias;
    int32_t reserved;
    uint64_t seed;
} sfconv_linear_desc;

#define SFCONV_LINEAR_DESC_INIT                                                                    \
    {                                                                                              \
        sizeof(sfconv_linear_desc), 0, 0, 1, 0, 0                                                  \
    }

/** Dense layer: output [batch][out_features][1][1]. Parameters: weight [out][in], bias [out].
 * Errors: ARGUMENT, OVERFLOW, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_linear_create(sfconv_layer **layer, sfconv_context *context,
                                              const sfconv_linear_desc *desc);

/** Dropout with probability 0 <= p < 1: in training each element is zeroed with p and the others
 * are scaled by 1 / (1 − p); in inference the map is its input's. The pattern is a function of the
 * run's seed and step (sfconv_run_set_seed). Errors: ARGUMENT, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_dropout_create(sfconv_layer **layer, sfconv_context *context,
                                               double probability);

/** Sum of 2 to 16 inputs of one shape. Since: 0.1 */
SFCONV_API sfconv_status sfconv_add_create(sfconv_layer **layer, sfconv_context *context);

/** Concatenation of 2 to 16 inputs along the channels. Since: 0.1 */
SFCONV_API sfconv_status sfconv_concat_create(sfconv_layer **layer, sfconv_context *context);

#ifdef __cplusplus
}
#endif

#endif
