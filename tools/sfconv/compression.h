/* SPDX-License-Identifier: BSD-2-Clause */
/* A network built again with smaller ranks: dense convolutions are decomposed, factorized ones cut,
 * everything else is copied. */
#ifndef SFCONV_TOOL_COMPRESSION_H
#define SFCONV_TOOL_COMPRESSION_H

#include "model_file.h"

/* A layer of the source that is factorized in the result. */
struct compressed_layer {
    const char *name;
    sfconv_layer *source; /* conv2d or sfconv2d, borrowed */
    int64_t full;         /* its rank, or the greatest there is */
    double error;         /* relative, in Frobenius norm; known after compression_apply() */
};

struct compression {
    const struct model_file *file;
    sfconv_model_desc desc;
    sfconv_net *net; /* the result; until compression_apply() as it would be with rank 1 */
    struct compressed_layer *layers;
    int64_t *ranks; /* one for each layer */
    int64_t count;
};

/* Finds the layers. Errors: a file that does not name its network, or whose layers are depthwise
 * separable. */
bool compression_open(struct compression *c, const struct model_file *file,
                      struct image_error *error);
void compression_close(struct compression *c);

/* Ranks by the rule max(min_rank, round(ratio * min(in, out))), at most those of the source. */
bool compression_rank_by_ratio(struct compression *c, double ratio, int64_t min_rank,
                               struct image_error *error);
/* Ranks within a budget (SFCONV_BUDGET_…): of parameters or MACs of the whole network, or the part
 * of energy that each layer keeps. */
bool compression_rank_by_budget(struct compression *c, int32_t kind, double budget,
                                struct image_error *error);

/* Builds the result with the ranks chosen. */
bool compression_apply(struct compression *c, struct image_error *error);

#endif
