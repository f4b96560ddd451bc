/* SPDX-License-Identifier: BSD-2-Clause */
/* Rank-space execution: between two factorized layers only rank-many maps are stored.
 *
 * A unit is what makes a full-width map from such maps: the vertical halves P of one or more
 * sfconv2d, the BatchNorms behind them, a sum with stored maps, an activation. A stem, a dense
 * convolution of an input of few channels, is one too: its rank maps are its input, copied for each
 * horizontal tap; where its stride is 2 and a 3x3 max pooling follows, the unit takes that in too,
 * and the rank maps are coefficients of a Winograd transform along the rows (rank_stem.c). Whatever
 * is linear and mixes channels behind the map, the horizontal half Q of an sfconv2d or a 1x1
 * convolution, is a sink: it is computed while a piece of the map is in registers, also through a
 * 2x2 max pooling, an average pooling or up-sampling (which commute with mixing) or a concatenation
 * (whose parts add). The map itself is stored only if somebody else reads it; where that is a
 * global average, the averages are. Where many maps are read and mixed, both halves go through a
 * Winograd transform instead, a band of rows at a time (rank_bands.h). A map that an ordinary layer
 * has stored, or an input, may feed sinks too. */
#ifndef SFI_RANK_PLAN_H
#define SFI_RANK_PLAN_H

#include "graph.h"
#include "rank_reason.h"

struct sfi_plan;
struct sfi_step;

enum sfi_rank_role {
    /* Computed by its layer, or an input. */
    SFI_RANK_LAYER,
    /* Last node of a unit: computes all of it. */
    SFI_RANK_UNIT,
    /* Another node of a unit. */
    SFI_RANK_ABSORBED,
    /* Pooling, up-sampling or concatenation between a map and sinks: never computed as such. */
    SFI_RANK_VIRTUAL,
    /* A 1x1 convolution that is a sink and nothing else. */
    SFI_RANK_SINK,
    /* Done by the convolution before it, a layer, to its output, or the global average of a unit's
     * map (rank_finish.c). */
    SFI_RANK_FINISHED,
    /* Its map is its input's. */
    SFI_RANK_ALIAS
};

enum sfi_rank_via {
    SFI_VIA_NOTHING,
    SFI_VIA_POOL,
    SFI_VIA_UPSAMPLE,
    SFI_VIA_AVERAGE,
    /* The base's stored map, copied once for each horizontal tap of a stem. */
    SFI_VIA_COPY
};

/* Where the map of a unit is when tiles of rows mix it (rank_bands.h). */
enum sfi_rank_band {
    /* They do not. */
    SFI_BAND_NONE,
    /* A band of rows of it, in the memory of the worker that has made them. */
    SFI_BAND_OF_ROWS,
    /* All of it, in memory of the step or, where somebody reads it, where it is stored. */
    SFI_BAND_OF_ALL
};

/* One contraction (or copy): channels `channel` … of the consumer's input come from node `base`. */
typedef struct sfi_rank_sink {
    int32_t base;
    int32_t consumer;
    enum sfi_rank_via via;
    /* The node of the pooling or up-sampling. */
    int32_t transport;
    int64_t channel;
    /* An earlier sink has begun the consumer's maps. */
    bool accumulate;
    /* Mixed by tiles of rows, see rank_tiles.c. */
    bool tiled;
    /* Offset of the mixed maps that wait for their up-sampling or average pooling, and of their
     * gradients. */
    int64_t mixed;
    int64_t mixed_gradient;
} sfi_rank_sink;

/* Whether the mixed maps wait until all are made, and are moved then (rank_transport.h). */
static inline bool sfi_rank_waits(const sfi_rank_sink *sink)
{
    return sink->via == SFI_VIA_UPSAMPLE || sink->via == SFI_VIA_AVERAGE;
}

typedef struct sfi_rank_node {
    enum sfi_rank_role role;
    /* As its step's. */
    int32_t holder;
    /* Of SFI_RANK_LAYER, why it is; of a unit whose map is stored, why that is. */
    enum sfi_rank_reason reason;
    int32_t reader;
    /* Its map is kept in memory. */
    bool stored;
    /* Strips read it, whole vectors at a time: elements behind its end must exist. */
    bool read_in_strips;
    bool is_output;
    /* The first half of a factorized layer or a 1x1 convolution, as far as the kind goes. */
    bool contracts;
    /* A stem. */
    bool copies;
    /* A unit whose columns go through Winograd's F(4, 3), see rank_quads.c. */
    bool quads;
    enum sfi_rank_band band;
    /* A stem whose rows go through Winograd's F(4, 4); its unit ends in a pooling. */
    bool lines;
    /* Of a virtual node: it or one behind it, on the way to some sink, pools or up-samples. */
    bool transported;
    /* And joins more maps than are taken apart to the last: none of its inputs is a virtual
     * concatenation. */
    bool crowded;
    /* Computed users, one counted for each input it takes, and the last of them. */
    int32_t uses;
    int32_t user;
    /* Of every node of a unit: its last node. */
    int32_t unit;
    /* Of a unit's last node: the sum, or -1 and the one sfconv2d or BatchNorm before activation. */
    int32_t sum;
    int32_t chain;
    /* And the node before the pooling it ends in, or -1. */
    int32_t unpooled;
    /* Of a convolution that does what follows it: the last node of that, whose map it writes; of a
     * unit whose map is averaged at once, the global average; -1 of the others. Of such a node: the
     * convolution or the unit. */
    int32_t finished_at;
    int32_t finished_by;
    /* Of the convolution: offset of what BatchNorm does to its channels. */
    int64_t normals;
    /* Of a consumer of sinks: the first base; offset of the maps an sfconv2d gathers. */
    int32_t first_base;
    int64_t maps;
    /* Of a base: offsets of what its step needs. */
    int64_t folded;
    int64_t scratch;
    /* Its weights in the block of a run's frozen ones. */
    int64_t frozen;
    /* Training: gradients of the maps; what a base's backward needs; the record of a BatchNorm and
     * what finding it needs. */
    int64_t maps_gradient;
    int64_t backward;
    int64_t batch;
    int64_t observing;
} sfi_rank_node;

typedef struct sfi_rank_plan {
    bool active;
    sfi_rank_node *nodes;
    sfi_rank_sink *sinks;
    int32_t sink_count;
    int32_t sink_capacity;
    /* Scratch of a worker in any step of forward, so that it always has the same. */
    int64_t worker_bytes;
} sfi_rank_plan;

/* A unit as its step needs it. */
typedef struct sfi_rank_unit {
    int32_t part_count;
    /* sfconv2d or stem nodes, and the BatchNorm behind each or -1. */
    int32_t conv[SFI_MAX_INPUTS];
    int32_t norm[SFI_MAX_INPUTS];
    int32_t residual_count;
    int32_t residual[SFI_MAX_INPUTS];
    /* SFK_IDENTITY … */
    int32_t activation;
    float slope;
    /* Weights of a channel: the taps of all parts, or, of a stem in lines, coefficients. */
    int64_t depth;
    /* The one part is a stem in lines. */
    bool lines;
    /* Four rows at once. */
    bool quads;
    enum sfi_rank_band band;
} sfi_rank_unit;

/* The maps a consumer gathers: [image][map][residue of the padded row by the vertical stride][row]
 * [column], so that every vertical tap is a constant distance from its output pixel. */
typedef struct sfi_rank_maps {
    int64_t count;
    int64_t residues;
    int64_t rows;
    int64_t width;
    int64_t padding;
    int64_t plane;
    int64_t image;
    /* The horizontal taps. */
    int64_t taps;
    int64_t stride;
    int64_t dilation;
    int64_t shift;
    /* The vertical ones. */
    int64_t reach;
    int64_t spacing;
} sfi_rank_maps;

bool sfi_rank_plan_create(sfi_rank_plan *plan, const sfconv_net *net);
void sfi_rank_plan_destroy(sfi_rank_plan *plan, const sfconv_net *net);

/* Decides roles and sinks; shapes, liveness and gradients of `steps` are known. In training a stem
 * is one only where a pooling follows and nobody asks for the gradient of its input: elsewhere its
 * many taps would have to be passed over again in backward (rank_stem_back.h). */
void sfi_rank_plan_make(sfi_rank_plan *plan, const sfconv_net *net, const struct sfi_step *steps,
                        bool training);

/* Taps of an sfconv2d's P, or of a stem, for one output channel. */
int64_t sfi_rank_taps(const sfconv_layer *conv);
void sfi_rank_unit_of(sfi_rank_unit *unit, const sfi_rank_plan *plan, const sfconv_net *net,
                      int32_t node);
sfi_rank_maps sfi_rank_maps_of(const struct sfi_plan *plan, const sfconv_net *net,
                               int32_t consumer);

/* The node whose map input j of node i is. */
static inline int32_t sfi_rank_input(const sfi_rank_plan *plan, const sfconv_net *net, int32_t i,
                                     int32_t j)
{
    return plan->nodes[net->nodes[i].inputs[j]].holder;
}
/* The one node that uses `node`, if nobody else sees its map; -1 otherwise. */
int32_t sfi_rank_only_user(const sfi_rank_plan *plan, int32_t node);
/* The time at which node `user` reads its stored inputs; -1 when it reads none itself. */
int32_t sfi_rank_reads_at(const sfi_rank_plan *plan, int32_t user);
/* Whether backward reads the stored inputs of a node of a unit again: to make a map that was not
 * stored. */
bool sfi_rank_reads_again(const sfi_rank_plan *plan, int32_t user);
/* Whether unit `node` gives the averages of its map and nothing else. */
static inline bool sfi_rank_is_averaged(const sfi_rank_plan *plan, int32_t node)
{
    return plan->nodes[node].role == SFI_RANK_UNIT && plan->nodes[node].finished_at >= 0;
}
bool sfi_rank_has_sinks(const sfi_rank_plan *plan, int32_t node);
/* Whether a node has a step of its own: a unit, or a map with sinks. */
bool sfi_rank_has_step(const sfi_rank_plan *plan, int32_t node);

#endif
