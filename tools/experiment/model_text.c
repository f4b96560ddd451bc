/* SPDX-License-Identifier: BSD-2-Clause */
#include "model_text.h"

#include "parse_text.h"

bool model_text_whole(int64_t *value, const sfconv_metadata *texts, const char *name, int64_t least,
                      int64_t most, const char *path, struct image_error *error)
{
    const char *text = sfconv_metadata_get(texts, name);
    return !text || parse_whole(value, text, least, most) ||
           image_fail(error, "%s: %s is '%s', expected a whole number from %lld to %lld", path,
                      name, text, (long long)least, (long long)most);
}

bool model_text_multiple(int64_t *multiple, const sfconv_metadata *texts, const char *path,
                         struct image_error *error)
{
    return model_text_whole(multiple, texts, MODEL_TEXT_MULTIPLE, 1, 1024, path, error);
}

bool model_text_size(int64_t *size, const sfconv_metadata *texts, const char *path,
                     struct image_error *error)
{
    return model_text_whole(size, texts, MODEL_TEXT_SIZE, 0, 65536, path, error);
}
