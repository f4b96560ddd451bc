/* SPDX-License-Identifier: BSD-2-Clause */
/* A training as one file: parts of train/ put together with the files of io/, which do not know
 * each other. Only api/ includes it. */
#ifndef SFI_CHECKPOINT_H
#define SFI_CHECKPOINT_H

#include "sfconv/model.h"

/* As the public calls, with all handles checked and all parts made for parts->net. */
sfconv_status sfi_checkpoint_save(const sfconv_checkpoint *parts, const char *path);
sfconv_status sfi_checkpoint_load(const sfconv_checkpoint *parts, const char *path);

#endif
