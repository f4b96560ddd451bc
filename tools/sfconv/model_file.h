/* SPDX-License-Identifier: BSD-2-Clause */
/* A model file as it is: the network and its texts, whatever program saved it. */
#ifndef SFCONV_TOOL_MODEL_FILE_H
#define SFCONV_TOOL_MODEL_FILE_H

#include "command.h"

struct model_file {
    const char *path;
    sfconv_context *context;
    sfconv_net *net;
    sfconv_metadata *metadata;
    /* Of one image: --size, else that of the first training image, else 304 x 304; rounded up to
     * what the network takes. */
    int64_t width;
    int64_t height;
};

/* Loads the first operand in a context of its own. */
bool model_file_open(struct model_file *file, struct arguments *arguments,
                     struct image_error *error);
void model_file_close(struct model_file *file);

/* "FILE: reason of the library" unless status is success. */
bool model_file_check(const struct model_file *file, sfconv_status status,
                      struct image_error *error);

/* Shape of a batch of one image. */
sfconv_shape model_file_shape(const struct model_file *file);

/* Channels of the first output: classes, or maps. */
bool model_file_outputs(const struct model_file *file, int64_t *channels,
                        struct image_error *error);

/* Number of the network (SFCONV_MODEL_…) and of the method; fails where the file names none. */
bool model_file_kind(const struct model_file *file, int32_t *network, int32_t *method,
                     struct image_error *error);

/* Parameter NODE.NAME of the net; false where there is none. */
bool model_file_parameter(const sfconv_net *net, const char *node, const char *name,
                          sfconv_parameter_info *info);

#define MODEL_FILE_OPTION_SIZE                                                                     \
    {                                                                                              \
        "size", "N|WxH", "size of the image that is counted for"                                   \
    }

#endif
