/* SPDX-License-Identifier: BSD-2-Clause */
#include "average.h"
#include "checkpoint.h"
#include "handles.h"
#include "metadata.h"
#include "net_file.h"
#include "optimizers.h"
#include "schedules.h"

#include "sfconv/model.h"

#include <string.h>

#include <stddef.h>

#define LOAD_FLAGS (SFCONV_LOAD_IGNORE_UNKNOWN | SFCONV_LOAD_KEEP_MISSING | SFCONV_LOAD_DECOMPOSE)

sfconv_status sfconv_metadata_create(sfconv_metadata **metadata, sfconv_context *context)
{
    if (!metadata) {
        return sfi_refuse_null(context, "sfconv_metadata_create", "metadata");
    }
    *metadata = NULL;
    return context ? sfi_metadata_new(metadata, context) : SFCONV_ERROR_ARGUMENT;
}

void sfconv_metadata_destroy(sfconv_metadata *metadata)
{
    if (sfi_check_metadata(metadata) == SFCONV_OK) {
        sfi_metadata_free(metadata);
    }
}

sfconv_status sfconv_metadata_set(sfconv_metadata *metadata, const char *name, const char *value)
{
    const sfconv_status status = sfi_check_metadata(metadata);
    if (status < 0) {
        return status;
    }
    if (!name || !value) {
        return sfi_refuse_null(metadata->context, "sfconv_metadata_set", name ? "value" : "name");
    }
    if (strncmp(name, SFI_RESERVED_PREFIX, strlen(SFI_RESERVED_PREFIX)) == 0) {
        return sfi_fail(metadata->context, SFCONV_ERROR_ARGUMENT,
                        "sfconv_metadata_set: '%.60s': names that begin with %s are the library's",
                        name, SFI_RESERVED_PREFIX);
    }
    return sfi_metadata_set(metadata, name, value);
}

const char *sfconv_metadata_get(const sfconv_metadata *metadata, const char *name)
{
    return sfi_check_metadata(metadata) < 0 || !name ? NULL : sfi_metadata_get(metadata, name);
}

int32_t sfconv_metadata_count(const sfconv_metadata *metadata)
{
    return sfi_check_metadata(metadata) < 0 ? 0 : (int32_t)metadata->count;
}

const char *sfconv_metadata_name(const sfconv_metadata *metadata, int32_t index)
{
    if (index < 0 || index >= sfconv_metadata_count(metadata)) {
        return NULL;
    }
    return metadata->pairs[index].name;
}

sfconv_status sfconv_net_save(const sfconv_net *net, const char *path,
                              const sfconv_metadata *metadata)
{
    static const char call[] = "sfconv_net_save";
    sfconv_status status = sfi_check_net(net);
    if (status < 0 || (status = sfi_check_path(net->context, call, path)) < 0) {
        return status;
    }
    if (metadata && sfi_check_metadata(metadata) < 0) {
        return sfi_fail(net->context, SFCONV_ERROR_ARGUMENT, "%s: metadata is closed", call);
    }
    return sfi_net_save(net, path, metadata);
}

sfconv_status sfconv_net_load(sfconv_net *net, const char *path, int32_t flags,
                              sfconv_progress_fn progress, void *user)
{
    static const char call[] = "sfconv_net_load";
    sfi_file_reader *reader;
    sfconv_status status = sfi_check_net(net);
    if (status < 0 || (status = sfi_check_path(net->context, call, path)) < 0) {
        return status;
    }
    if (flags & ~LOAD_FLAGS) {
        return sfi_fail(net->context, SFCONV_ERROR_ARGUMENT,
                        "%s: flags are %d, expected a sum of SFCONV_LOAD_ flags", call, flags);
    }
    status = sfi_file_reader_open(&reader, net->context, path);
    if (status < 0) {
        return status;
    }
    status = sfi_net_load(net, reader, flags, progress, user);
    sfi_file_reader_close(reader);
    return status;
}

static sfconv_status refuse_part(sfconv_context *context, const char *call, const char *part)
{
    return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                    "%s: expected %s that is open and made for the net, got another", call, part);
}

/* Copies the caller's descriptor into `parts` and doubts every handle in it. */
static sfconv_status take_parts(sfconv_checkpoint *parts, const char *call,
                                const sfconv_checkpoint *checkpoint, const char *path)
{
    *parts = (sfconv_checkpoint)SFCONV_CHECKPOINT_INIT;
    if (!checkpoint || checkpoint->struct_size < offsetof(sfconv_checkpoint, optimizer) ||
        sfi_check_net(checkpoint->net) < 0) {
        return SFCONV_ERROR_ARGUMENT;
    }
    const sfconv_net *net = checkpoint->net;
    sfconv_context *context = net->context;
    sfconv_status status = sfi_take_desc(context, call, parts, sizeof *parts, checkpoint);
    if (status < 0 || (status = sfi_check_path(context, call, path)) < 0) {
        return status;
    }
    if (parts->optimizer &&
        (parts->optimizer->magic != SFI_OPTIMIZER_MAGIC || parts->optimizer->net != net)) {
        return refuse_part(context, call, "an optimizer");
    }
    if (parts->schedule && parts->schedule->magic != SFI_SCHEDULE_MAGIC) {
        return refuse_part(context, call, "a schedule");
    }
    if (parts->average &&
        (parts->average->magic != SFI_AVERAGE_MAGIC || parts->average->net != net)) {
        return refuse_part(context, call, "an average");
    }
    if (parts->average && parts->average->exchanged) {
        return sfi_fail(context, SFCONV_ERROR_STATE,
                        "%s: the net holds its average; call sfconv_average_swap first", call);
    }
    if (parts->run && (sfi_check_run(parts->run) < 0 || parts->run->net != net)) {
        return refuse_part(context, call, "a run");
    }
    if (parts->metadata && sfi_check_metadata(parts->metadata) < 0) {
        return refuse_part(context, call, "metadata");
    }
    return SFCONV_OK;
}

sfconv_status sfconv_checkpoint_save(const sfconv_checkpoint *checkpoint, const char *path)
{
    sfconv_checkpoint parts;
    const sfconv_status status = take_parts(&parts, "sfconv_checkpoint_save", checkpoint, path);
    return status < 0 ? status : sfi_checkpoint_save(&parts, path);
}

sfconv_status sfconv_checkpoint_load(const sfconv_checkpoint *checkpoint, const char *path)
{
    sfconv_checkpoint parts;
    const sfconv_status status = take_parts(&parts, "sfconv_checkpoint_load", checkpoint, path);
    return status < 0 ? status : sfi_checkpoint_load(&parts, path);
}
