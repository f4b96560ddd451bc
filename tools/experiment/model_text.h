/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers among the texts of a model file, with the bounds that hold for every command. A file may
 * lack a text: *value is then as it was. On failure *error names file, text and what was expected.
 */
#ifndef EXPERIMENT_MODEL_TEXT_H
#define EXPERIMENT_MODEL_TEXT_H

#include "image.h"

#include "sfconv/sfconv.h"

#define MODEL_TEXT_MULTIPLE "input.multiple.0"
#define MODEL_TEXT_SIZE "input.size.0"

bool model_text_whole(int64_t *value, const sfconv_metadata *texts, const char *name, int64_t least,
                      int64_t most, const char *path, struct image_error *error);

/* Sides of the network's input are multiples of this. */
bool model_text_multiple(int64_t *multiple, const sfconv_metadata *texts, const char *path,
                         struct image_error *error);

/* The side to which images are resized; 0: they are not. */
bool model_text_size(int64_t *size, const sfconv_metadata *texts, const char *path,
                     struct image_error *error);

#endif
