/* SPDX-License-Identifier: BSD-2-Clause */
/* A whole net and a file. */
#ifndef SFI_NET_FILE_H
#define SFI_NET_FILE_H

#include "state.h"

/* Name of the text that holds what models/ built. */
#define SFI_TEXT_DESCRIPTION SFI_RESERVED_PREFIX "model"

/* Saves a net: its parameters, its description where it has one, and the texts of `metadata` (may
 * be NULL) whose names are not the library's own. ARGUMENT, IO, MEMORY. */
sfconv_status sfi_net_save(const sfconv_net *net, const char *path,
                           const sfconv_metadata *metadata);

/* New metadata: what sfi_net_save() writes beside the numbers. MEMORY; *texts is NULL then. */
sfconv_status sfi_net_texts(sfconv_metadata **texts, const sfconv_net *net,
                            const sfconv_metadata *metadata);

/* Loads a net from a file that is open: all or nothing. Errors as sfconv_net_load(). */
sfconv_status sfi_net_load(sfconv_net *net, sfi_file_reader *reader, int32_t flags,
                           sfconv_progress_fn progress, void *user);

#endif
