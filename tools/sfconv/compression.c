/* SPDX-License-Identifier: BSD-2-Clause */
#include "compression.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool check(const struct compression *c, sfconv_status status, struct image_error *error)
{
    return model_file_check(c->file, status, error);
}

static bool describe(struct compression *c, struct image_error *error)
{
    c->desc = (sfconv_model_desc)SFCONV_MODEL_DESC_INIT;
    c->desc.in_channels = sfconv_net_input_channels(c->file->net, 0);
    if (!model_file_kind(c->file, &c->desc.model, &c->desc.method, error) ||
        !model_file_outputs(c->file, &c->desc.out_channels, error)) {
        return false;
    }
    if (c->desc.method == SFCONV_METHOD_DPCCONV) {
        return image_fail(error, "%s: depthwise separable layers have no ranks to cut",
                          c->file->path);
    }
    if (c->desc.method == SFCONV_METHOD_CONV) {
        c->desc.method = SFCONV_METHOD_SFCONV_NO_KL;
    }
    return true;
}

static bool build(struct compression *c, sfconv_net **net, struct image_error *error)
{
    sfconv_model_desc desc = c->desc;
    desc.ranks = c->ranks;
    desc.rank_count = c->count;
    return check(c, sfconv_model_create(net, c->file->context, &desc), error);
}

static int64_t greatest_rank(const sfconv_layer *layer, const sfconv_parameter_info *p,
                             const sfconv_parameter_info *q)
{
    const int64_t rows = p->view.shape[0] * p->view.shape[2];
    const int64_t columns = q->view.shape[1] * q->view.shape[3];
    const int64_t own = sfconv_sfconv2d_rank(layer);
    return own > 0 ? own : rows < columns ? rows : columns;
}

static bool add_layer(struct compression *c, int32_t node, struct image_error *error)
{
    struct compressed_layer *layer = &c->layers[c->count];
    sfconv_parameter_info p;
    sfconv_parameter_info q;
    int32_t source;
    layer->name = sfconv_net_node_name(c->net, node);
    if (!check(c, sfconv_net_find_node(c->file->net, layer->name, &source), error)) {
        return false;
    }
    layer->source = sfconv_net_node_layer(c->file->net, source);
    if (!model_file_parameter(c->net, layer->name, "p.weight", &p) ||
        !model_file_parameter(c->net, layer->name, "q.weight", &q)) {
        return image_fail(error, "%s: %s has no factors", c->file->path, layer->name);
    }
    layer->full = greatest_rank(layer->source, &p, &q);
    c->ranks[c->count++] = 1;
    return true;
}

bool compression_open(struct compression *c, const struct model_file *file,
                      struct image_error *error)
{
    *c = (struct compression){.file = file};
    bool ok = describe(c, error);
    if (ok) {
        /* The smallest ratio there is gives rank 1. */
        c->desc.ratio = 1e-9;
        ok = build(c, &c->net, error);
    }
    if (ok) {
        const size_t nodes = (size_t)sfconv_net_node_count(c->net);
        c->layers = calloc(nodes, sizeof *c->layers);
        c->ranks = calloc(nodes, sizeof *c->ranks);
        ok = (c->layers && c->ranks) || image_fail(error, "%s: out of memory", file->path);
    }
    for (int32_t node = 0; ok && node < sfconv_net_node_count(c->net); node++) {
        if (sfconv_sfconv2d_rank(sfconv_net_node_layer(c->net, node)) > 0) {
            ok = add_layer(c, node, error);
        }
    }
    if (!ok) {
        compression_close(c);
    }
    return ok;
}

void compression_close(struct compression *c)
{
    sfconv_net_destroy(c->net);
    free(c->layers);
    free(c->ranks);
    *c = (struct compression){0};
}

bool compression_rank_by_ratio(struct compression *c, double ratio, int64_t min_rank,
                               struct image_error *error)
{
    for (int64_t i = 0; i < c->count; i++) {
        sfconv_parameter_info p;
        sfconv_parameter_info q;
        int64_t rank = 0;
        model_file_parameter(c->net, c->layers[i].name, "p.weight", &p);
        model_file_parameter(c->net, c->layers[i].name, "q.weight", &q);
        const int64_t kernel[2] = {p.view.shape[2], q.view.shape[3]};
        if (!check(c,
                   sfconv_rank_from_ratio(&rank, q.view.shape[1], p.view.shape[0], kernel, ratio,
                                          min_rank),
                   error)) {
            return false;
        }
        c->ranks[i] = rank < c->layers[i].full ? rank : c->layers[i].full;
    }
    return true;
}

static bool count(const struct compression *c, const sfconv_net *net, int32_t kind, double *cost,
                  struct image_error *error)
{
    sfconv_cost counts = SFCONV_COST_INIT;
    const sfconv_shape shape = model_file_shape(c->file);
    const bool ok = check(c, sfconv_net_cost(net, &shape, 1, &counts), error);
    *cost = (double)(kind == SFCONV_BUDGET_MACS ? counts.macs : counts.parameters);
    return ok;
}

/* What one more rank of each layer costs, by building the network with it; costs are linear in the
 * ranks. A layer that can have rank 1 only costs nothing more. */
static bool cost_of_ranks(struct compression *c, int32_t kind, double least, double *costs,
                          struct image_error *error)
{
    bool ok = true;
    for (int64_t i = 0; ok && i < c->count; i++) {
        sfconv_net *net = NULL;
        double cost = least;
        if (c->layers[i].full > 1) {
            c->ranks[i] = 2;
            ok = build(c, &net, error) && count(c, net, kind, &cost, error);
            c->ranks[i] = 1;
            sfconv_net_destroy(net);
        }
        costs[i] = cost > least ? cost - least : 1.0;
    }
    return ok;
}

/* The library counts the factorized layers alone; the user means the whole network. */
static bool budget_of_layers(struct compression *c, int32_t kind, double *budget, double *costs,
                             struct image_error *error)
{
    double least;
    if (!count(c, c->net, kind, &least, error)) {
        return false;
    }
    if (*budget < least) {
        return image_fail(
            error, "%s: with rank 1 everywhere it is at %.0f %s, above the budget %.0f",
            c->file->path, least, kind == SFCONV_BUDGET_MACS ? "MACs" : "parameters", *budget);
    }
    if (!cost_of_ranks(c, kind, least, costs, error)) {
        return false;
    }
    *budget -= least;
    for (int64_t i = 0; i < c->count; i++) {
        *budget += costs[i];
    }
    return true;
}

bool compression_rank_by_budget(struct compression *c, int32_t kind, double budget,
                                struct image_error *error)
{
    double *costs = calloc((size_t)c->count + 1, sizeof *costs);
    const sfconv_layer **layers = calloc((size_t)c->count + 1, sizeof *layers);
    int64_t *ranks = calloc((size_t)c->count + 1, sizeof *ranks);
    bool ok = (costs && layers && ranks) || image_fail(error, "%s: out of memory", c->file->path);
    for (int64_t i = 0; ok && i < c->count; i++) {
        layers[i] = c->layers[i].source;
    }
    if (ok && kind != SFCONV_BUDGET_ENERGY) {
        ok = budget_of_layers(c, kind, &budget, costs, error);
    }
    ok = ok && check(c,
                     sfconv_choose_ranks(ranks, layers, (int32_t)c->count, kind, budget,
                                         kind == SFCONV_BUDGET_MACS ? costs : NULL, NULL, NULL),
                     error);
    if (ok) {
        memcpy(c->ranks, ranks, (size_t)c->count * sizeof *ranks);
    }
    free(costs);
    free((void *)layers);
    free(ranks);
    return ok;
}

static bool copy_parameter(const struct compression *c, const sfconv_parameter_info *to,
                           const sfconv_view *from, struct image_error *error)
{
    return sfconv_view_copy(&to->view, from) >= 0 ||
           image_fail(error, "%s: '%s' has another shape in the compressed network", c->file->path,
                      to->name);
}

/* Parameters of a compressed layer, by their names in the layer. */
static bool put_layer(const struct compression *c, const char *name, const sfconv_layer *layer,
                      struct image_error *error)
{
    bool ok = true;
    for (int32_t i = 0; ok && i < sfconv_layer_parameter_count(layer); i++) {
        sfconv_parameter_info from = SFCONV_PARAMETER_INFO_INIT;
        sfconv_parameter_info to;
        ok = check(c, sfconv_layer_parameter(layer, i, &from), error);
        if (ok && model_file_parameter(c->net, name, from.name, &to)) {
            ok = copy_parameter(c, &to, &from.view, error);
        }
    }
    return ok;
}

static bool compress_layer(struct compression *c, int64_t i, struct image_error *error)
{
    struct compressed_layer *layer = &c->layers[i];
    sfconv_layer *smaller = NULL;
    sfconv_status status;
    if (sfconv_sfconv2d_rank(layer->source) > 0) {
        status = sfconv_layer_cut_rank(&smaller, layer->source, c->ranks[i], &layer->error);
    } else {
        sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
        desc.rank = c->ranks[i];
        status = sfconv_layer_decompose(&smaller, layer->source, &desc, &layer->error, NULL, NULL);
    }
    const bool ok = check(c, status, error) && put_layer(c, layer->name, smaller, error);
    sfconv_layer_destroy(smaller);
    return ok;
}

/* All that is called the same and has the same shape; the factors come afterwards. */
static bool copy_others(const struct compression *c, struct image_error *error)
{
    bool ok = true;
    for (int32_t i = 0; ok && i < sfconv_net_parameter_count(c->net); i++) {
        sfconv_parameter_info to = SFCONV_PARAMETER_INFO_INIT;
        sfconv_parameter_info from = SFCONV_PARAMETER_INFO_INIT;
        int32_t index;
        ok = check(c, sfconv_net_parameter(c->net, i, &to), error);
        if (!ok || to.role == SFCONV_PARAMETER_FACTOR_P || to.role == SFCONV_PARAMETER_FACTOR_Q) {
            continue;
        }
        ok = check(c, sfconv_net_find_parameter(c->file->net, to.name, &index), error) &&
             check(c, sfconv_net_parameter(c->file->net, index, &from), error) &&
             copy_parameter(c, &to, &from.view, error);
    }
    return ok;
}

bool compression_apply(struct compression *c, struct image_error *error)
{
    sfconv_net *net = NULL;
    if (!build(c, &net, error)) {
        return false;
    }
    /* The names of the layers are borrowed from the net that goes. */
    sfconv_net *former = c->net;
    c->net = net;
    int64_t layer = 0;
    for (int32_t node = 0; node < sfconv_net_node_count(net); node++) {
        if (sfconv_sfconv2d_rank(sfconv_net_node_layer(net, node)) > 0 && layer < c->count) {
            c->layers[layer++].name = sfconv_net_node_name(net, node);
        }
    }
    sfconv_net_destroy(former);
    bool ok = copy_others(c, error);
    for (int64_t i = 0; ok && i < c->count; i++) {
        ok = compress_layer(c, i, error);
    }
    return ok;
}
