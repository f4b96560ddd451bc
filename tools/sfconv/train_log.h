/* SPDX-License-Identifier: BSD-2-Clause */
/* What happened in each epoch, as CSV and as JSON lines. The files are replaced as a whole, so that
 * they end with a whole line whatever happens. */
#ifndef SFCONV_TOOL_TRAIN_LOG_H
#define SFCONV_TOOL_TRAIN_LOG_H

#include "experiment.h"

struct train_log {
    const char *csv;
    const char *json_lines;
};

/* Adds an epoch. Epochs from this one on that are there already are replaced: a training that is
 * resumed, or begun anew, comes to them again. */
bool train_log_add(const struct train_log *log, const struct experiment_progress *progress,
                   struct image_error *error);

#endif
