/* SPDX-License-Identifier: BSD-2-Clause */
#include "arguments.h"
#include "memory.h"
#include "models.h"
#include "net_file.h"

#include <float.h>

static sfconv_status check_desc(sfconv_context *context, const char *call,
                                const sfconv_model_desc *desc)
{
    const int32_t models = SFCONV_MODEL_TINY_SEGMENTER;
    const int32_t methods = SFCONV_METHOD_SFCONV;
    sfconv_status status = sfi_check_integer(context, call, "model", desc->model, 1, models);
    if (status >= 0) {
        status = sfi_check_integer(context, call, "method", desc->method, 1, methods);
    }
    if (status >= 0) {
        status = sfi_check_integer(context, call, "in_channels", desc->in_channels, 1, 1 << 20);
    }
    if (status >= 0) {
        status = sfi_check_integer(context, call, "out_channels", desc->out_channels, 1, 1 << 20);
    }
    if (status >= 0) {
        status = sfi_check_number(context, call, "ratio", desc->ratio, DBL_MIN, DBL_MAX);
    }
    if (status >= 0) {
        status = sfi_check_integer(context, call, "min_rank", desc->min_rank, 1, 1 << 20);
    }
    if (status >= 0) {
        status = sfi_check_number(context, call, "regularizer_weight", desc->regularizer_weight, 0,
                                  DBL_MAX);
    }
    if (status >= 0) {
        status = sfi_check_integer(context, call, "rank_count", desc->rank_count, 0, 1 << 20);
    }
    if (status >= 0 && desc->rank_count > 0 && !desc->ranks) {
        status = sfi_refuse_null(context, call, "ranks");
    }
    return status;
}

sfconv_status sfconv_model_create(sfconv_net **net, sfconv_context *context,
                                  const sfconv_model_desc *desc)
{
    static const char call[] = "sfconv_model_create";
    sfconv_model_desc known = SFCONV_MODEL_DESC_INIT;
    if (net) {
        *net = NULL;
    }
    if (!net || !context || !desc) {
        return sfi_refuse_null(context, call, net ? "desc" : "net");
    }
    sfconv_status status = sfi_take_desc(context, call, &known, sizeof known, desc);
    if (status >= 0) {
        status = check_desc(context, call, &known);
    }
    return status < 0 ? status : sfi_model_new(net, context, &known, INT64_MAX);
}

/* No dtype that is loaded has fewer bytes. */
#define LEAST_NUMBER_BYTES 2

/* Numbers that the file has at most: its tensors follow each other without gaps. */
static int64_t most_numbers(const sfi_file_header *header)
{
    if (header->count == 0) {
        return 0;
    }
    const sfi_file_tensor *last = &header->tensors[header->count - 1];
    return (last->offset + last->bytes) / LEAST_NUMBER_BYTES;
}

/* The net that the file's description asks for, with parameters not yet read. A net that the file
 * cannot fill is not made. */
static sfconv_status build_described(sfconv_net **net, sfconv_context *context, const char *path,
                                     const sfi_file_header *header)
{
    static const char call[] = "sfconv_model_load";
    sfconv_model_desc desc;
    int64_t *ranks = NULL;
    const char *description = sfi_metadata_get(header->metadata, SFI_TEXT_DESCRIPTION);
    if (!description) {
        return sfi_fail(context, SFCONV_ERROR_UNSUPPORTED,
                        "%s: no description of a network; build it and call sfconv_net_load", path);
    }
    sfi_error_scope scope = {.name = path};
    sfi_error_enter(context, &scope);
    sfconv_status status = sfi_model_parse(context, description, &desc, &ranks);
    if (status >= 0) {
        status = check_desc(context, call, &desc);
        /* What a caller may not ask for is a fault of the file here. */
        status = status == SFCONV_ERROR_ARGUMENT ? SFCONV_ERROR_FORMAT : status;
    }
    if (status >= 0) {
        status = sfi_model_new(net, context, &desc, most_numbers(header));
        status = status == SFCONV_ERROR_ARGUMENT ? SFCONV_ERROR_FORMAT : status;
    }
    sfi_error_leave(context, &scope);
    sfi_free(context, ranks, (size_t)(ranks ? desc.rank_count : 0) * sizeof *ranks);
    return status;
}

sfconv_status sfconv_model_load(sfconv_net **net, sfconv_metadata **metadata,
                                sfconv_context *context, const char *path)
{
    sfi_file_reader *reader = NULL;
    sfconv_metadata *copy = NULL;
    sfconv_net *loaded = NULL;
    if (net) {
        *net = NULL;
    }
    if (metadata) {
        *metadata = NULL;
    }
    if (!net || !context) {
        return sfi_refuse_null(context, "sfconv_model_load", "net");
    }
    sfconv_status status = sfi_check_path(context, "sfconv_model_load", path);
    if (status < 0 || (status = sfi_file_reader_open(&reader, context, path)) < 0) {
        return status;
    }
    const sfi_file_header *header = sfi_file_reader_header(reader);
    status = build_described(&loaded, context, path, header);
    if (status >= 0) {
        status = sfi_net_load(loaded, reader, 0, NULL, NULL);
    }
    if (status >= 0 && metadata) {
        status = sfi_metadata_new(&copy, context);
    }
    if (status >= 0 && metadata) {
        status = sfi_metadata_copy_foreign(copy, header->metadata);
    }
    sfi_file_reader_close(reader);
    if (status < 0) {
        sfi_metadata_free(copy);
        sfi_net_release(loaded);
        return status;
    }
    if (metadata) {
        *metadata = copy;
    }
    *net = loaded;
    return SFCONV_OK;
}
