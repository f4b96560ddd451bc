/* SPDX-License-Identifier: BSD-2-Clause */
#include "sfconv/model.h"

#include <string.h>

static const char *const model_names[] = {NULL, "resnet18", "unet", "tiny_classifier",
                                          "tiny_segmenter"};
static const char *const method_names[] = {NULL,      "conv",         "fconv", "fconvsn",
                                           "dpcconv", "sfconv_no_kl", "sfconv"};

#define COUNT(list) ((int32_t)(sizeof(list) / sizeof(list)[0]))

static const char *name_of(const char *const *names, int32_t count, int32_t number)
{
    return number > 0 && number < count ? names[number] : NULL;
}

static int32_t number_of(const char *const *names, int32_t count, const char *name)
{
    for (int32_t i = 1; name && i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return 0;
}

const char *sfconv_model_name(int32_t model)
{
    return name_of(model_names, COUNT(model_names), model);
}

const char *sfconv_method_name(int32_t method)
{
    return name_of(method_names, COUNT(method_names), method);
}

int32_t sfconv_model_from_name(const char *name)
{
    return number_of(model_names, COUNT(model_names), name);
}

int32_t sfconv_method_from_name(const char *name)
{
    return number_of(method_names, COUNT(method_names), name);
}
