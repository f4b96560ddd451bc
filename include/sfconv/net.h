/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFCONV_NET_H
#define SFCONV_NET_H

#include "sfconv/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A net: a graph of layers with names, several inputs and outputs. Built once from inputs to
 * outputs; a node may only use nodes that exist, so the graph has no cycles. Read-only during
 * inference. Since: 0.1
 */
typedef struct sfconv_net sfconv_net;

/** Makes an empty net. Errors: ARGUMENT, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_net_create(sfconv_net **net, sfconv_context *context);
SFCONV_API void sfconv_net_destroy(sfconv_net *net);

/**
 * Adds an input with a number of channels. *node is its number, counted from 0 over all nodes.
 * Errors: ARGUMENT (channels below 1; a name that is empty, taken, longer than 200 bytes or holds
 * control characters), MEMORY, STATE (the net already has a run).
 * Since: 0.1
 */
SFCONV_API sfconv_status sfconv_net_add_input(sfconv_net *net, const char *name, int64_t channels,
                                              int32_t *node);

/**
 * Adds a layer that reads `inputs` (numbers of nodes, `count` of them). The net takes a hold of the
 * layer; the caller keeps its own.
 * Errors: ARGUMENT (as above; a parameter name "NODE.PARAMETER" that is taken; wrong number of
 * inputs for the kind; a layer of another context), NOT_FOUND (no such input node), STATE (the net
 * already has a run), MEMORY. Since: 0.1
 */
SFCONV_API sfconv_status sfconv_net_add_layer(sfconv_net *net, const char *name,
                                              sfconv_layer *layer, const int32_t *inputs,
                                              int32_t count, int32_t *node);

/** Declares a node to be the next output. Errors: ARGUMENT (already an output), NOT_FOUND, STATE,
 * MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_net_add_output(sfconv_net *net, int32_t node);

SFCONV_API int32_t sfconv_net_node_count(const sfconv_net *net);
SFCONV_API int32_t sfconv_net_input_count(const sfconv_net *net);
SFCONV_API int32_t sfconv_net_output_count(const sfconv_net *net);
/** NULL for a number that is no node. Since: 0.1 */
SFCONV_API const char *sfconv_net_node_name(const sfconv_net *net, int32_t node);
/** Borrowed, valid while the net lives; NULL for inputs and numbers that are no node. Since: 0.1 */
SFCONV_API sfconv_layer *sfconv_net_node_layer(const sfconv_net *net, int32_t node);
/** Number of the node of that name. Errors: ARGUMENT, NOT_FOUND. Since: 0.1 */
SFCONV_API sfconv_status sfconv_net_find_node(const sfconv_net *net, const char *name,
                                              int32_t *node);
/** Channels of input `index`; 0 when there is none. Since: 0.1 */
SFCONV_API int64_t sfconv_net_input_channels(const sfconv_net *net, int32_t index);

/** Number of parameter tensors, each shared one once. Since: 0.1 */
SFCONV_API int32_t sfconv_net_parameter_count(const sfconv_net *net);
/** Facts of parameter `index`, in the order of the nodes. Errors: ARGUMENT, NOT_FOUND. Since: 0.1
 */
SFCONV_API sfconv_status sfconv_net_parameter(const sfconv_net *net, int32_t index,
                                              sfconv_parameter_info *info);
/** Number of the parameter of that name. Errors: ARGUMENT, NOT_FOUND. Since: 0.1 */
SFCONV_API sfconv_status sfconv_net_find_parameter(const sfconv_net *net, const char *name,
                                                   int32_t *index);

/** Initializes every layer; layer i of the net draws from `seed` and its node's name.
 * Errors: ARGUMENT, NUMERIC, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_net_initialize(sfconv_net *net, uint64_t seed);

/** Sets regularizer and λ of every sfconv2d of the net. Errors: as
 * sfconv_sfconv2d_set_regularizer(). Since: 0.1 */
SFCONV_API sfconv_status sfconv_net_set_regularizer(sfconv_net *net, int32_t regularizer,
                                                    double weight);

/** Size of one activation. Since: 0.1 */
typedef struct sfconv_shape {
    int64_t batch;
    int64_t channels;
    int64_t height;
    int64_t width;
} sfconv_shape;

/** Counts from first principles: a multiply-add is one MAC and two FLOPs; convolutions and linear
 * layers count, the rest (BatchNorm, activations, pooling) does not. Since: 0.1 */
typedef struct sfconv_cost {
    size_t struct_size;
    /** Trainable numbers. */
    int64_t parameters;
    int64_t macs;
    int64_t flops;
    /** Bytes of all activations that the layers write, each once. */
    int64_t activation_bytes;
} sfconv_cost;

#define SFCONV_COST_INIT                                                                           \
    {                                                                                              \
        sizeof(sfconv_cost), 0, 0, 0, 0                                                            \
    }

/** Counts for inputs of these shapes (one a net input). Errors: ARGUMENT, SHAPE, OVERFLOW.
 * Since: 0.1 */
SFCONV_API sfconv_status sfconv_net_cost(const sfconv_net *net, const sfconv_shape *inputs,
                                         int32_t count, sfconv_cost *cost);

#define SFCONV_MODE_INFERENCE 1
#define SFCONV_MODE_TRAINING 2

/**
 * A run: activations, gradients and scratch of one net in one mode and size. Belongs to one thread
 * at a time. While a run exists its net takes no more nodes. Since: 0.1
 */
typedef struct sfconv_run sfconv_run;

/** Makes a run without size. Errors: ARGUMENT (no such mode), STATE (a net without input or
 * output), MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_create(sfconv_run **run, sfconv_net *net, int32_t mode);

/** A run of one layer alone, as a net with inputs "input0" …, a node of the layer's kind as its
 * name, and one output. `count` inputs (1 but for add and concat) with these channels.
 * Errors: ARGUMENT, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_create_for_layer(sfconv_run **run, sfconv_layer *layer,
                                                     const int64_t *channels, int32_t count,
                                                     int32_t mode);
SFCONV_API void sfconv_run_destroy(sfconv_run *run);

/** Borrowed; NULL for NULL. Since: 0.1 */
SFCONV_API sfconv_net *sfconv_run_net(const sfconv_run *run);

/** Each layer in turn, every activation stored. */
#define SFCONV_ENGINE_LAYERS 1
/** Between factorized layers only rank-many maps are stored: full-width maps are made a strip at a
 * time, where BatchNorm, activation, 2x2 max pooling, average pooling, sums, up-sampling and
 * concatenation take part, and stored only where another kind of layer or the caller reads them. In
 * training they are made once more in backward, and BatchNorm has its statistics from moments of
 * the rank-many maps; where that would take longer than to store a map, as for wide ranks on small
 * maps, it is stored. Results and gradients agree with the layer path to rounding. */
#define SFCONV_ENGINE_RANK_SPACE 2

/**
 * How a run computes: SFCONV_ENGINE_RANK_SPACE, the default, or SFCONV_ENGINE_LAYERS. Takes effect
 * at the next reshape. Parameters may change between forwards with either.
 * Errors: ARGUMENT (no such engine). Since: 0.1
 */
SFCONV_API sfconv_status sfconv_run_set_engine(sfconv_run *run, int32_t engine);

/** Bytes that the next sfconv_run_reshape() of this run takes for these inputs, exactly, with the
 * engine and the input gradients that are set. Errors: ARGUMENT, SHAPE, OVERFLOW, MEMORY.
 * Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_bytes(const sfconv_run *run, const sfconv_shape *inputs,
                                          int32_t count, int64_t *bytes);

/**
 * Bytes that a run of this mode with its default engine takes from the allocator at reshape,
 * exactly; sfconv_run_reshape() with lent memory needs as many, aligned to 64. They depend on the
 * context's number of workers. Errors: ARGUMENT, STATE, SHAPE, OVERFLOW. Since: 0.1
 */
SFCONV_API sfconv_status sfconv_net_run_bytes(const sfconv_net *net, int32_t mode,
                                              const sfconv_shape *inputs, int32_t count,
                                              int64_t *bytes);

/**
 * Fixes the sizes: infers shapes, plans and takes memory. Gradients become zero. All errors of
 * shapes and memory come here, with the node's name; forward and backward then neither allocate nor
 * fail for memory. Where maps of unequal size meet because sides were odd when they were halved,
 * the reason says what the input's sides should be multiples of. On failure the run keeps its
 * former size. `memory` (64-byte aligned, `bytes` long) lends the memory, which must outlive the
 * run or its next reshape; NULL takes it from the context's allocator, and `bytes` is ignored.
 * Errors: ARGUMENT (lent memory too small or unaligned), SHAPE, OVERFLOW, MEMORY.
 * Since: 0.1
 */
SFCONV_API sfconv_status sfconv_run_reshape(sfconv_run *run, const sfconv_shape *inputs,
                                            int32_t count, void *memory, int64_t bytes);

/**
 * Freezes the weights of an inference run: dense layers, and factorized ones that run in rank space
 * with their BatchNorm, keep theirs, as they are now, in the form that forward reads soonest, and
 * need not put them into it at each forward. Outputs have the same bits with or without. Worth
 * while for several forwards of batch 1, most on maps of 14x14 and 7x7. While a run is frozen,
 * parameters should not change: of some layers the new ones would take part, of others the frozen
 * ones. Freezing again takes the present ones; sfconv_run_thaw() and the next reshape end it. Other
 * runs of the net are not concerned. `memory` (64-byte aligned, `bytes` long) lends the memory,
 * which must outlive the run, its next freeze, thaw or reshape; NULL takes it from the context's
 * allocator, and `bytes` is ignored. The net must not be trained meanwhile; runs of it may go on in
 * other threads. Errors: ARGUMENT (lent memory too small or unaligned), STATE (before reshape; a
 * training run), MEMORY. A failure changes nothing. Since: 0.1
 */
SFCONV_API sfconv_status sfconv_run_freeze(sfconv_run *run, void *memory, int64_t bytes);
/** Bytes that it takes, exactly: about as many as the weights of these layers, 0 where nothing is
 * gained. Errors: ARGUMENT, STATE (as above). Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_frozen_bytes(const sfconv_run *run, int64_t *bytes);
/** Forward reads the parameters themselves again; the memory is given back. Nothing happens to a
 * run that is not frozen. Errors: ARGUMENT, STATE (as above). Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_thaw(sfconv_run *run);

/**
 * Says that the inputs are a window of a larger image: its first pixel is at (top, left) of the
 * whole, which is height x width. Up-sampling with aligned corners, which places its samples by the
 * size of the map, then places them as in the whole. Zeros of convolutions still border the window,
 * so the outputs are those of the whole as far from its edges as the network sees: bit for bit, but
 * to rounding where dense convolutions go by Winograd's method.
 * Holds from the next forward to the next reshape, which makes the inputs a whole again.
 * Errors: ARGUMENT, STATE (before reshape, between forward and backward), SHAPE (an input reaches
 * beyond the whole; inputs of different sizes; top, left, height or width is no multiple of the
 * distance that pixels of an up-sampled map have in the input), OVERFLOW. On failure the former
 * window holds. Since: 0.1
 */
SFCONV_API sfconv_status sfconv_run_set_window(sfconv_run *run, int64_t top, int64_t left,
                                               int64_t height, int64_t width);

/**
 * Copies `source` (rank 4, whatever its strides) to input `index`, for the next forward; the same
 * as writing to the memory of sfconv_run_input(), which it must not overlap.
 * Errors: ARGUMENT (source NULL or not valid), NOT_FOUND (index), STATE (before reshape), SHAPE
 * (not the input's shape; the reason names the input and both shapes). A failure changes nothing.
 * Since: 0.1
 */
SFCONV_API sfconv_status sfconv_run_set_input(sfconv_run *run, int32_t index,
                                              const sfconv_view *source);

/** Memory of input, output and their gradients, valid until the next reshape. Inputs are for the
 * caller to write before each forward (their content does not survive an inference forward),
 * outputs to read after it; in training, output gradients are to write before backward and input
 * gradients to read after it. Errors: ARGUMENT, NOT_FOUND, STATE (before reshape; gradients of an
 * inference run). Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_input(sfconv_run *run, int32_t index, sfconv_view *view);
SFCONV_API sfconv_status sfconv_run_output(sfconv_run *run, int32_t index, sfconv_view *view);
SFCONV_API sfconv_status sfconv_run_output_gradient(sfconv_run *run, int32_t index,
                                                    sfconv_view *view);
SFCONV_API sfconv_status sfconv_run_input_gradient(sfconv_run *run, int32_t index,
                                                   sfconv_view *view);
/** Gradient of the net's parameter `index`; NOT_FOUND for buffers. Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_parameter_gradient(sfconv_run *run, int32_t index,
                                                       sfconv_view *view);

/** 1: input gradients are computed; 0, the default: not. Takes effect at the next reshape.
 * Errors: ARGUMENT, STATE (an inference run). Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_want_input_gradients(sfconv_run *run, int32_t wanted);

/** Computes the outputs. A training run also updates running statistics and power iterations of its
 * net. Errors: ARGUMENT, STATE (before reshape). Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_forward(sfconv_run *run);

/** Adds the gradient of Σ outputs · output gradients to the parameter gradients and overwrites the
 * input gradients. Each forward allows one backward.
 * Errors: ARGUMENT, STATE (inference run, no forward before). Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_backward(sfconv_run *run);

/** Sets all parameter gradients to zero. Errors: ARGUMENT, STATE. Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_zero_gradients(sfconv_run *run);

/** Adds each sfconv2d's regularizer gradient, times its λ, to the parameter gradients; *value is
 * Σ λ · F over the layers (may be NULL). KL terms by Gram matrix, without a decomposition where
 * singular values are close together; their errors are some 1e-6 of value and gradient
 * (docs/mathematics.md).
 * Errors: ARGUMENT, STATE, NUMERIC (a factor that is zero or not finite, named). Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_regularize(sfconv_run *run, double *value);

/** Seed and step of dropout: the pattern is a function of both and the node's name; each training
 * forward adds 1 to the step. Errors: ARGUMENT, STATE (between forward and backward). Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_set_seed(sfconv_run *run, uint64_t seed, uint64_t step);
/** Step of the next training forward; 0 for NULL. Since: 0.1 */
SFCONV_API uint64_t sfconv_run_step(const sfconv_run *run);

/**
 * The plan in words; docs/guide.md shows one. The first line names mode and engine. Then there is
 * a line a node: what becomes of it, its name, kind, output shape, bytes of its map in memory (0:
 * the map is virtual, or lies "in the map of" a concatenation, as the line says behind the MACs)
 * and the multiply-adds (MACs) of its turn; of a training run, behind "backward:", bytes of its
 * map's gradient and the MACs of its backward turn.
 *
 * "layer": computed by itself. In rank space: "expand": the end of a unit that makes a full-width
 * map from rank maps, "fused": computed within such a unit or with the layer before it, "virtual":
 * only ever taken along on the way from a map to rank maps, "mixed": a 1x1 convolution computed
 * while its input is made. "alias": of inference, another name of its input's map.
 *
 * Behind MACs stands what computes them: "direct" sums, or Winograd's "F(4x4, 3x3)", "F(4, 4)" or
 * "F(4, 3)" "in place of" so many MACs of direct sums. In rank space the line of a node that is
 * left to its layer ends in "by its layer:" and the reason, that of a unit whose map is in memory
 * in "stored:" and the reason.
 *
 * Indented under a node stand "with", what it has in memory beside its map, and a line "->" for
 * each consumer that gathers maps of its map: by which way, how many, and their MACs.
 *
 * The lines "total" sum up MACs, those computed and those by direct sums. The lines "memory" sum up
 * the bytes above by what they are for, and name what pads maps, what buffers of different times
 * share (below 0), gradients of parameters and the room of regularizers; "memory total" is their
 * sum and what sfconv_run_bytes() says. Frozen weights are beside it.
 *
 * Writes at most `capacity` bytes, terminated, and sets *length to the length of the whole text
 * without the terminator. `buffer` may be NULL when capacity is 0. Errors: ARGUMENT, STATE (before
 * reshape). Since: 0.1
 */
SFCONV_API sfconv_status sfconv_run_plan_text(const sfconv_run *run, char *buffer, size_t capacity,
                                              size_t *length);

#ifdef __cplusplus
}
#endif

#endif
