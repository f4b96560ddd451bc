/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done to all gradients of a run before an optimizer uses them. */
#ifndef SFI_CLIP_H
#define SFI_CLIP_H

#include "run.h"

/* NUMERIC with the name of the first parameter whose gradient is not finite. */
sfconv_status sfi_gradients_check(const sfconv_run *run);

/* Scales all gradients so that their Euclidean norm is at most max_norm; *norm is the norm before.
 * NUMERIC as above, and then nothing is scaled. */
sfconv_status sfi_gradients_clip(sfconv_run *run, double max_norm, double *norm);

#endif
