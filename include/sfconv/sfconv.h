/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * libsfconv: convolutional networks with factorized, spectrally flattened convolutions.
 * Include this header, link with -lsfconv (pkg-config sfconv).
 *
 * Rules that hold for every call unless its declaration says otherwise:
 * - Outputs come first. On failure an output handle is NULL, an output number is untouched, and the
 *   objects given are as they were. The reason is kept by the context.
 * - NULL where a pointer is needed, a handle of another kind and a number out of range are
 *   SFCONV_ERROR_ARGUMENT; any call may fail with SFCONV_ERROR_MEMORY if it makes an object.
 * - Objects are counted: a net holds its layers, a run its net, everything its context. "destroy"
 *   lets go of the caller's hold and takes NULL.
 * - Texts that a call returns live as long as the object they describe.
 * - Threads: share contexts and nets, never runs. A net is only read during inference; a call that
 *   changes parameters (training runs, optimizers, loading, rank cutting) needs the net alone.
 * - Sizes are int64_t, counted in elements; tensors are float32, order N, C, H, W.
 * - Numbers are the same to the last bit for any number of workers and every instruction set,
 *   except where a call says that it uses LAPACK.
 */
#ifndef SFCONV_SFCONV_H
#define SFCONV_SFCONV_H

#include "sfconv/context.h"
#include "sfconv/layer.h"
#include "sfconv/model.h"
#include "sfconv/net.h"
#include "sfconv/spectral.h"
#include "sfconv/status.h"
#include "sfconv/tensor.h"
#include "sfconv/train.h"
#include "sfconv/version.h"

#endif
