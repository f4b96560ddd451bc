/* SPDX-License-Identifier: BSD-2-Clause */
#include "models.h"

#include "error.h"
#include "memory.h"
#include "model_builder.h"
#include "sfconv2d.h"

#include <jansson.h>
#include <stdlib.h>

static void build(sfi_builder *builder)
{
    switch (builder->desc->model) {
    case SFCONV_MODEL_RESNET18:
        sfi_build_resnet18(builder);
        break;
    case SFCONV_MODEL_UNET:
        sfi_build_unet(builder, 64, 4);
        break;
    case SFCONV_MODEL_TINY_CLASSIFIER:
        sfi_build_tiny_classifier(builder);
        break;
    default:
        sfi_build_unet(builder, 16, 3);
    }
}

static json_t *list_ranks(const sfconv_net *net)
{
    json_t *ranks = json_array();
    for (int32_t i = 0; ranks && i < net->node_count; i++) {
        const sfconv_layer *layer = net->nodes[i].layer;
        const sfi_sfconv2d *factorized = layer ? sfi_as_const_sfconv2d(layer) : NULL;
        if (factorized && json_array_append_new(ranks, json_integer(factorized->desc.rank)) != 0) {
            json_decref(ranks);
            return NULL;
        }
    }
    return ranks;
}

/* Jansson writes numbers the same way in every locale. */
static sfconv_status describe(sfconv_net *net, const sfconv_model_desc *desc)
{
    json_t *ranks = list_ranks(net);
    json_t *object = json_pack(
        "{s:s, s:s, s:I, s:I, s:f, s:I, s:f, s:o*}", "model", sfconv_model_name(desc->model),
        "method", sfconv_method_name(desc->method), "in_channels", (json_int_t)desc->in_channels,
        "out_channels", (json_int_t)desc->out_channels, "ratio", desc->ratio, "min_rank",
        (json_int_t)desc->min_rank, "regularizer_weight", desc->regularizer_weight, "ranks", ranks);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text) {
        net->description = sfi_copy_text(net->context, text);
    }
    /* The text is Jansson's, made by its malloc and not by the context's allocator. */
    free(text);
    json_decref(object);
    return net->description ? SFCONV_OK : sfi_fail_memory(net->context, "model", 0);
}

sfconv_status sfi_model_new(sfconv_net **net, sfconv_context *context,
                            const sfconv_model_desc *desc, int64_t most)
{
    sfi_builder builder = {.net = sfi_net_new(context), .desc = desc, .room = most};
    *net = NULL;
    if (!builder.net) {
        return sfi_fail_memory(context, "model", sizeof **net);
    }
    build(&builder);
    if (builder.status >= 0 && desc->rank_count && builder.factorized != desc->rank_count) {
        builder.status = sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                                  "model: %lld ranks given, the network has %lld factorized layers",
                                  (long long)desc->rank_count, (long long)builder.factorized);
    }
    if (builder.status >= 0) {
        builder.status = describe(builder.net, desc);
    }
    if (builder.status < 0) {
        sfi_net_release(builder.net);
        return builder.status;
    }
    *net = builder.net;
    return SFCONV_OK;
}

static sfconv_status take_ranks(sfconv_context *context, const json_t *list,
                                sfconv_model_desc *desc, int64_t **ranks)
{
    const size_t count = json_array_size(list);
    bool numbers = json_is_array(list);
    for (size_t i = 0; i < count; i++) {
        numbers &= json_is_integer(json_array_get(list, i));
    }
    if (!numbers) {
        return sfi_fail(context, SFCONV_ERROR_FORMAT,
                        "description of the model: ranks: expected a list of integers");
    }
    if (count == 0) {
        return SFCONV_OK;
    }
    *ranks = sfi_calloc(context, count, sizeof **ranks);
    if (!*ranks) {
        return sfi_fail_memory(context, "ranks", count * sizeof **ranks);
    }
    for (size_t i = 0; i < count; i++) {
        (*ranks)[i] = json_integer_value(json_array_get(list, i));
    }
    desc->ranks = *ranks;
    desc->rank_count = (int64_t)count;
    return SFCONV_OK;
}

sfconv_status sfi_model_parse(sfconv_context *context, const char *description,
                              sfconv_model_desc *desc, int64_t **ranks)
{
    const sfconv_model_desc defaults = SFCONV_MODEL_DESC_INIT;
    json_error_t error;
    const char *model = NULL;
    const char *method = NULL;
    json_int_t in = 0, out = 0, min_rank = 0;
    json_t *list = NULL;
    json_t *object = json_loads(description, JSON_REJECT_DUPLICATES, &error);
    *desc = defaults;
    *ranks = NULL;
    if (!object ||
        json_unpack_ex(object, &error, 0, "{s:s, s:s, s:I, s:I, s:F, s:I, s:F, s:o}", "model",
                       &model, "method", &method, "in_channels", &in, "out_channels", &out, "ratio",
                       &desc->ratio, "min_rank", &min_rank, "regularizer_weight",
                       &desc->regularizer_weight, "ranks", &list) != 0) {
        json_decref(object);
        return sfi_fail(context, SFCONV_ERROR_FORMAT, "description of the model: %s", error.text);
    }
    desc->model = sfconv_model_from_name(model);
    desc->method = sfconv_method_from_name(method);
    desc->in_channels = in;
    desc->out_channels = out;
    desc->min_rank = min_rank;
    sfconv_status status = SFCONV_OK;
    if (!desc->model || !desc->method) {
        status = sfi_fail(context, SFCONV_ERROR_FORMAT,
                          "description of the model: unknown model '%.40s' or method '%.40s'",
                          model, method);
    } else {
        status = take_ranks(context, list, desc, ranks);
    }
    json_decref(object);
    return status;
}
