/* SPDX-License-Identifier: BSD-2-Clause */
#include "model_file.h"

#include "model_text.h"

#include <stdio.h>
#include <string.h>

#define USUAL_SIDE 304
#define NAME_CAPACITY 512

static bool take_size(struct model_file *file, struct arguments *arguments,
                      struct image_error *error)
{
    const char *image = sfconv_metadata_get(file->metadata, "training.image");
    int64_t trained = 0;
    int64_t multiple = 1;
    if (!model_text_size(&trained, file->metadata, file->path, error) ||
        !model_text_multiple(&multiple, file->metadata, file->path, error)) {
        return false;
    }
    file->width = file->height = trained > 0 ? trained : USUAL_SIDE;
    if (trained == 0 && image) {
        (void)argument_parse_size(image, &file->width, &file->height);
    }
    if (!argument_size(arguments, "size", &file->width, &file->height, error)) {
        return false;
    }
    file->width = (file->width + multiple - 1) / multiple * multiple;
    file->height = (file->height + multiple - 1) / multiple * multiple;
    return true;
}

bool model_file_check(const struct model_file *file, sfconv_status status,
                      struct image_error *error)
{
    return experiment_check(file->context, status, file->path, error);
}

bool model_file_open(struct model_file *file, struct arguments *arguments,
                     struct image_error *error)
{
    *file = (struct model_file){.path = arguments->operands[0]};
    const bool ok =
        command_context(&file->context, arguments, error) &&
        experiment_load_net(&file->net, &file->metadata, file->context, file->path, error) &&
        take_size(file, arguments, error);
    if (!ok) {
        model_file_close(file);
    }
    return ok;
}

void model_file_close(struct model_file *file)
{
    sfconv_net_destroy(file->net);
    sfconv_metadata_destroy(file->metadata);
    sfconv_context_destroy(file->context);
    *file = (struct model_file){0};
}

sfconv_shape model_file_shape(const struct model_file *file)
{
    return (sfconv_shape){1, sfconv_net_input_channels(file->net, 0), file->height, file->width};
}

bool model_file_outputs(const struct model_file *file, int64_t *channels, struct image_error *error)
{
    sfconv_run *run = NULL;
    sfconv_view output;
    const sfconv_shape shape = model_file_shape(file);
    const bool ok =
        model_file_check(file, sfconv_run_create(&run, file->net, SFCONV_MODE_INFERENCE), error) &&
        model_file_check(file, sfconv_run_reshape(run, &shape, 1, NULL, 0), error) &&
        model_file_check(file, sfconv_run_output(run, 0, &output), error);
    *channels = ok ? output.shape[1] : 0;
    sfconv_run_destroy(run);
    return ok;
}

bool model_file_kind(const struct model_file *file, int32_t *network, int32_t *method,
                     struct image_error *error)
{
    const char *network_name = sfconv_metadata_get(file->metadata, "network");
    const char *method_name = sfconv_metadata_get(file->metadata, "method");
    *network = network_name ? sfconv_model_from_name(network_name) : 0;
    *method = method_name ? sfconv_method_from_name(method_name) : 0;
    return (*network != 0 && *method != 0) ||
           image_fail(error,
                      "%s: it does not name its network and method; sfconv train and the examples "
                      "save models that do",
                      file->path);
}

bool model_file_parameter(const sfconv_net *net, const char *node, const char *name,
                          sfconv_parameter_info *info)
{
    char full[NAME_CAPACITY];
    int32_t index;
    snprintf(full, sizeof full, "%s.%s", node, name);
    *info = (sfconv_parameter_info)SFCONV_PARAMETER_INFO_INIT;
    return sfconv_net_find_parameter(net, full, &index) == SFCONV_OK &&
           sfconv_net_parameter(net, index, info) == SFCONV_OK;
}
