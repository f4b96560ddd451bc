/* SPDX-License-Identifier: BSD-2-Clause */
#include "net_file.h"

sfconv_status sfi_net_save(const sfconv_net *net, const char *path, const sfconv_metadata *metadata)
{
    sfi_state state;
    sfconv_metadata *texts;
    sfi_state_init(&state, net->context);
    sfconv_status status = sfi_net_texts(&texts, net, metadata);
    if (status == SFCONV_OK) {
        status = sfi_state_add_net(&state, net);
    }
    if (status == SFCONV_OK) {
        status = sfi_state_save(&state, path, texts);
    }
    sfi_metadata_free(texts);
    sfi_state_clear(&state);
    return status;
}

sfconv_status sfi_net_texts(sfconv_metadata **texts, const sfconv_net *net,
                            const sfconv_metadata *metadata)
{
    sfconv_status status = sfi_metadata_new(texts, net->context);
    if (status == SFCONV_OK && net->description) {
        status = sfi_metadata_set(*texts, SFI_TEXT_DESCRIPTION, net->description);
    }
    if (status == SFCONV_OK && metadata) {
        status = sfi_metadata_copy_foreign(*texts, metadata);
    }
    if (status < 0) {
        sfi_metadata_free(*texts);
        *texts = NULL;
    }
    return status;
}

sfconv_status sfi_net_load(sfconv_net *net, sfi_file_reader *reader, int32_t flags,
                           sfconv_progress_fn progress, void *user)
{
    sfi_state state;
    sfi_state_init(&state, net->context);
    sfconv_status status = sfi_state_add_net(&state, net);
    if (status == SFCONV_OK) {
        status = sfi_state_stage(&state, reader, flags, progress, user);
    }
    if (status == SFCONV_OK) {
        sfi_state_commit(&state);
    }
    sfi_state_clear(&state);
    return status;
}
