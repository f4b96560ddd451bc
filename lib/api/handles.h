/* SPDX-License-Identifier: BSD-2-Clause */
/* Handles that callers hand in. Only api/ includes it. */
#ifndef SFI_HANDLES_H
#define SFI_HANDLES_H

#include "arguments.h"
#include "layer_class.h"

/* Whether it is the handle of a layer that lives; one of another kind or closed is not, as far as
 * its memory can still be read. */
static inline bool sfi_is_layer(const sfconv_layer *layer)
{
    return layer && layer->magic == SFI_LAYER_MAGIC;
}

#endif
