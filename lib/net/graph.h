/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_GRAPH_H
#define SFI_GRAPH_H

#include "layer_class.h"

#include "sfconv/net.h"

typedef struct sfi_node {
    char *name;
    /* NULL for an input of the net. */
    sfconv_layer *layer;
    /* Of an input. */
    int64_t channels;
    int32_t input_count;
    int32_t inputs[SFI_MAX_INPUTS];
    /* Number in the net's table of the layer's first parameter; the others follow it. */
    int32_t first_parameter;
} sfi_node;

typedef struct sfi_net_parameter {
    /* "NODE.PARAMETER" */
    char *name;
    sfi_parameter *parameter;
} sfi_net_parameter;

/* Nodes stand in an order in which each comes after its inputs. */
struct sfconv_net {
    uint32_t magic;
    atomic_int references;
    /* Runs that hold the net; the graph is frozen while there are any. */
    atomic_int runs;
    sfconv_context *context;
    sfi_node *nodes;
    size_t node_capacity;
    int32_t node_count;
    int32_t *inputs;
    size_t input_capacity;
    int32_t input_count;
    int32_t *outputs;
    size_t output_capacity;
    int32_t output_count;
    sfi_net_parameter *parameters;
    size_t parameter_capacity;
    int32_t parameter_count;
    /* What models/ built, in its own words, or NULL; io/ saves it. */
    char *description;
};

#define SFI_NET_MAGIC 0x5fc04e54u

static inline bool sfi_parameter_trainable(const sfi_parameter *parameter)
{
    return parameter->role != SFCONV_PARAMETER_BUFFER;
}

/* Number of the first node that holds the layer; -1 when none does. */
int32_t sfi_net_layer_node(const sfconv_net *net, const sfconv_layer *layer);

sfconv_net *sfi_net_new(sfconv_context *context);
sfconv_net *sfi_net_retain(sfconv_net *net);
void sfi_net_release(sfconv_net *net);

/* As the public calls of the same names, with pointers and handles already checked. */
sfconv_status sfi_net_add_input(sfconv_net *net, const char *name, int64_t channels, int32_t *node);
sfconv_status sfi_net_add_layer(sfconv_net *net, const char *name, sfconv_layer *layer,
                                const int32_t *inputs, int32_t count, int32_t *node);
sfconv_status sfi_net_add_output(sfconv_net *net, int32_t node);

/* -1 when there is none. */
int32_t sfi_net_find_node(const sfconv_net *net, const char *name);
int32_t sfi_net_find_parameter(const sfconv_net *net, const char *name);

/* Seed of the layer of a node when its net is initialized with `seed`: layers of one kind and size
 * differ by their names. */
uint64_t sfi_node_seed(uint64_t seed, const char *name);

/* Initializes every layer; on failure all keep their parameters. */
sfconv_status sfi_net_initialize(sfconv_net *net, uint64_t seed);

#endif
