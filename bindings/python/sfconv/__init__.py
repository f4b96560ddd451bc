# SPDX-License-Identifier: BSD-2-Clause
"""libsfconv from Python, by ctypes and the standard library alone.

Tensors are memoryviews of float32 on the library's own numbers, and any object with the buffer
protocol may be given: numpy.asarray(run.output()) and torch.from_numpy(…) of it copy nothing. A call
that fails raises Error with the library's reason. Texts replace the C constants: "kl", "adamw".

The shared library is that of the environment variable SFCONV_LIBRARY, or the system's.
"""

from ._layers import (BIAS, BUFFER, FACTOR_P, FACTOR_Q, SCALE, SHIFT, WEIGHT, Layer, Parameter,
                      Spectrum, activation, add, batchnorm2d, choose_ranks, concat, conv2d,
                      dropout, dsconv2d, kl, linear, pool2d, rank_from_ratio, sfconv2d,
                      upsample2d)
from ._library import library
from ._metrics import Confusion, Overlap, auc
from ._nets import (DECOMPOSE, IGNORE_UNKNOWN, INFERENCE, KEEP_MISSING, TRAINING, Cost, Metadata,
                    Net, Run, load_checkpoint, load_model, model, save_checkpoint)
from ._objects import (CONVOLUTION_AUTO, CONVOLUTION_DIRECT, CONVOLUTION_WINOGRAD, ISA_AVX2,
                       ISA_AVX512, ISA_BEST, ISA_NEON, ISA_REFERENCE, Context, Error, copy)
from ._training import (Average, Optimizer, Schedule, bce, bce_dice, cross_entropy, dice, mse)


def version():
    """Version of the shared library."""
    return library.version().decode()
