/* SPDX-License-Identifier: BSD-2-Clause */
/* What a run will do and where it will keep it, decided before it runs: shapes, which gradients are
 * needed, and one offset in one block of memory for each buffer. */
#ifndef SFI_PLAN_H
#define SFI_PLAN_H

#include "graph.h"
#include "rank_plan.h"

#define SFI_NO_BUFFER (-1)
#define SFI_NO_SLICE (-1)

/* A node's part of the plan. Offsets are in bytes from the start of the run's block. */
typedef struct sfi_step {
    sfi_shape shape;
    /* Where the node's map comes from: an input of the net (the first of several), pixels of it
     * between neighbours of the map, and the least number of which the input's side is a multiple
     * where no map up to here leaves a rest. By axis, the height first. */
    int32_t source;
    double spacing[2];
    int64_t multiple[2];
    sfi_layer_memory memory;
    int64_t macs;
    /* Some output depends on it; the other nodes are not computed. */
    bool live;
    /* The node whose map this one's is: itself; in inference, of a layer that passes its input on,
     * the one before it. */
    int32_t holder;
    /* Something upstream wants the gradient of this node's output. */
    bool wants_gradient;
    /* The slice of a concatenation's map that this one is, SFI_NO_SLICE otherwise; and those of its
     * own map that others are. */
    int32_t slice;
    int32_t first_slice;
    int32_t slice_count;
    int64_t value;
    int64_t gradient;
    int64_t tape;
    int64_t scratch_forward;
    int64_t scratch_backward;
    /* In the block of a run's frozen weights. */
    int64_t frozen;
} sfi_step;

/* Whether a node has a turn of its own. */
static inline bool sfi_is_computed(const sfi_step *steps, int32_t node)
{
    return steps[node].live && steps[node].holder == node;
}

/* What a piece of memory is for. */
enum sfi_buffer_kind {
    SFI_BUFFER_MAP,
    /* The maps that a consumer gathers. */
    SFI_BUFFER_RANK_MAPS,
    /* Those that wait for their up-sampling. */
    SFI_BUFFER_MIXED_MAPS,
    /* Folded and packed ones, and lines of BatchNorm. */
    SFI_BUFFER_WEIGHTS,
    SFI_BUFFER_SCRATCH,
    /* Training: what forward keeps for backward beside maps. */
    SFI_BUFFER_TAPE,
    SFI_BUFFER_MAP_GRADIENT,
    /* Of rank maps and of mixed maps. */
    SFI_BUFFER_RANK_GRADIENTS,
    SFI_BUFFER_KINDS
};

/* A part of a buffer, from `shift` on, that is in use for a time of its own, too: the map of one
 * node in that of another. */
typedef struct sfi_slice {
    int64_t shift;
    int64_t bytes;
    int32_t first;
    int32_t last;
    int64_t *offset;
    /* Whose map it lies in. */
    int32_t node;
} sfi_slice;

/* A piece of memory with the time it is in use, both ends included. */
typedef struct sfi_buffer {
    int64_t bytes;
    int32_t first;
    int32_t last;
    int64_t *offset;
    enum sfi_buffer_kind kind;
    int32_t node;
    sfi_slice *slices;
    int32_t slice_count;
} sfi_buffer;

typedef struct sfi_plan {
    sfi_step *steps;
    /* Offset of each parameter's gradient, SFI_NO_BUFFER for buffers and in inference. */
    int64_t *parameter_gradients;
    /* All parameter gradients lie in one stretch, to be zeroed at once. */
    int64_t gradients_offset;
    int64_t gradients_bytes;
    /* Regularizers: the list of their parts, then scratch for one part a worker. */
    int64_t regularizer_parts;
    int64_t regularizer_scratch;
    int64_t regularizer_worker_bytes;
    int64_t bytes;
    /* Of the frozen weights, a block of its own. */
    int64_t frozen_bytes;
    sfi_buffer *buffers;
    int32_t buffer_count;
    sfi_slice *slices;
    int32_t slice_count;
    /* Inactive where the run goes layer by layer. */
    sfi_rank_plan rank;
} sfi_plan;

/* A part of a layer's regularizer in the list of a run. */
typedef struct sfi_regularizer_part {
    double work;
    /* Number of the part that is begun at this place. */
    int64_t turn;
    int32_t node;
    int32_t part;
    sfi_term term;
} sfi_regularizer_part;

/* What a run is asked to be. */
typedef struct sfi_plan_mode {
    bool training;
    bool want_input_gradients;
    bool rank_space;
} sfi_plan_mode;

/* Takes the memory for a plan of this net; false when it runs out, and then nothing is held. */
bool sfi_plan_create(sfi_plan *plan, const sfconv_net *net);
void sfi_plan_destroy(sfi_plan *plan, const sfconv_net *net);

void sfi_plan_input_shapes(const sfi_plan *plan, const sfi_node *node, sfi_shape *shapes);

/* Its layer's turn comes in order; in rank space that of some nodes comes with others. */
static inline bool sfi_plan_goes_by_layer(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    return net->nodes[node].layer &&
           (!plan->rank.active || plan->rank.nodes[node].role == SFI_RANK_LAYER);
}

/* Whether the map of `node` is an output of the net. */
bool sfi_plan_is_output(const sfi_plan *plan, const sfconv_net *net, int32_t node);

/* No map lies in that of a concatenation; or all that can, in inference, when shapes, holders and
 * the rank plan are known: false if there are none. Takes effect when buffers are listed. */
void sfi_plan_part_maps(sfi_plan *plan, const sfconv_net *net);
bool sfi_plan_join_maps(sfi_plan *plan, const sfconv_net *net);

/* Infers all shapes into plan->steps[].shape and MACs into [].macs. `inputs` holds one shape for
 * each input of the net. SHAPE or OVERFLOW with the node's name. */
sfconv_status sfi_plan_shapes(sfi_plan *plan, const sfconv_net *net, bool training,
                              const sfconv_shape *inputs, int32_t count);

/* The whole plan; allocates nothing. */
sfconv_status sfi_plan_make(sfi_plan *plan, const sfconv_net *net, sfi_plan_mode mode,
                            const sfconv_shape *inputs, int32_t count);

/* Counts for these shapes, as sfconv_net_cost(). */
sfconv_status sfi_plan_cost(sfi_plan *plan, const sfconv_net *net, const sfconv_shape *inputs,
                            int32_t count, sfconv_cost *cost);

/* Places buffers so that those in use at the same time do not overlap, slices counted with their
 * own times; sets *buffers[i].offset and those of slices, and returns the bytes needed. Reorders
 * `buffers`. With `scratch_apart` scratch shares memory with scratch alone: what one worker has
 * written there another would otherwise read or write as a map, through the caches of two cores. */
int64_t sfi_place_buffers(sfi_buffer *buffers, int32_t count, bool scratch_apart);

#endif
