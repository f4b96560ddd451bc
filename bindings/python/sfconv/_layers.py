# SPDX-License-Identifier: BSD-2-Clause
"""Layers: one function a kind, with the defaults of the descriptors in C."""

import ctypes
from collections import namedtuple

from ._arguments import pair
from ._library import (Batchnorm2dDesc, Conv2dDesc, LinearDesc, ParameterInfo, Pool2dDesc,
                       Sfconv2dDesc, SpectrumStruct, library)
from ._objects import Handle, Progress, memory, view_of

(WEIGHT, BIAS, FACTOR_Q, FACTOR_P, SCALE, SHIFT, BUFFER) = range(1, 8)

INITIALIZATIONS = {"kaiming": 1, "spectral": 2}
REGULARIZERS = {None: 0, "kl": 1, "kl_reverse": 2, "frobenius": 3}
ACTIVATIONS = {"relu": 1, "leaky_relu": 2, "silu": 3, "sigmoid": 4}
POOLS = {"max": 1, "average": 2, "global_average": 3}
UPSAMPLINGS = {"nearest": 1, "bilinear_aligned": 2, "bilinear": 3}
FACTORS = {"p": 1, "q": 2, "product": 3}
SVD_METHODS = {"gram": 1, "exact": 2}
BUDGETS = {"parameters": 1, "macs": 2, "energy": 3}

# `data` is a memoryview of the parameter itself.
Parameter = namedtuple("Parameter", "name role trainable data")
Spectrum = namedtuple("Spectrum", "count largest smallest effective_rank condition kl kl_reverse")


def parameters_of(owner, prefix):
    """The parameters of a layer or net by name, in its order."""
    found = {}
    for index in range(getattr(library, prefix + "_parameter_count")(owner)):
        info = ParameterInfo()
        owner.context.call(prefix + "_parameter", owner, index, ctypes.byref(info))
        name = info.name.decode()
        numbers = memory(info.view, owner.held)
        found[name] = Parameter(name, info.role, bool(info.trainable), numbers)
    return found


class Layer(Handle):
    """A layer, made by one of the functions below."""

    _destroy = "layer_destroy"

    @property
    def kind(self):
        return library.layer_kind(self).decode()

    def parameters(self):
        return parameters_of(self, "layer")

    def initialize(self, seed):
        self.context.call("layer_initialize", self, seed)

    # Factorized layers.

    @property
    def rank(self):
        return library.sfconv2d_rank(self)

    def set_regularizer(self, regularizer, weight):
        self.context.call("sfconv2d_set_regularizer", self, REGULARIZERS[regularizer], weight)

    def svd_update(self, method="gram"):
        self.context.call("layer_svd_update", self, SVD_METHODS[method])

    def spectrum(self, factor):
        facts = SpectrumStruct()
        self.context.call("layer_spectrum", self, FACTORS[factor], ctypes.byref(facts))
        return Spectrum(*(getattr(facts, name) for name in Spectrum._fields))

    def singular_values(self, factor):
        values = (ctypes.c_double * self.rank)()
        count = self.context.number(ctypes.c_int64, "layer_singular_values", self, FACTORS[factor],
                                    values, len(values))
        return values[:count]

    def regularizer(self, method="gram"):
        return self.context.number(ctypes.c_double, "layer_regularizer", self, SVD_METHODS[method])

    def compose(self):
        """The dense layer with the same function."""
        return Layer(self.context, self.context.create("layer_compose", self))

    def decompose(self, progress=None, **settings):
        """The factorized layer nearest to this dense one, and the relative error."""
        error = ctypes.c_double()
        with Progress(progress) as callback:
            handle = self.context.create("layer_decompose", self,
                                         ctypes.byref(_sfconv2d_desc(1, 1, **settings)),
                                         ctypes.byref(error), callback, None)
        return Layer(self.context, handle), error.value

    def rebalance(self):
        self.context.call("layer_rebalance", self)

    def cut_rank(self, rank):
        """A copy of smaller rank, and the relative error."""
        error = ctypes.c_double()
        handle = self.context.create("layer_cut_rank", self, rank, ctypes.byref(error))
        return Layer(self.context, handle), error.value


def _make(context, name, *arguments):
    return Layer(context, context.create(name + "_create", context, *arguments))


def _conv2d_desc(in_channels, out_channels, kernel=3, stride=1, padding=1, dilation=1, groups=1,
                 bias=False, seed=0):
    return Conv2dDesc(in_channels=in_channels, out_channels=out_channels, kernel=kernel,
                      stride=stride, padding=padding, dilation=dilation, groups=groups,
                      has_bias=bias, seed=seed)


def _sfconv2d_desc(in_channels, out_channels, kernel=3, stride=1, padding=1, dilation=1, rank=0,
                   ratio=1 / 32, min_rank=1, bias=False, initialization="kaiming",
                   regularizer=None, regularizer_weight=0.0, spectral_norm=False, seed=0):
    return Sfconv2dDesc(in_channels=in_channels, out_channels=out_channels, kernel=kernel,
                        stride=stride, padding=padding, dilation=dilation, rank=rank,
                        ratio=ratio, min_rank=min_rank, has_bias=bias,
                        initialization=INITIALIZATIONS[initialization],
                        regularizer=REGULARIZERS[regularizer], spectral_norm=spectral_norm,
                        regularizer_weight=regularizer_weight, seed=seed)


def conv2d(context, in_channels, out_channels, **settings):
    desc = _conv2d_desc(in_channels, out_channels, **settings)
    return _make(context, "conv2d", ctypes.byref(desc))


def dsconv2d(context, in_channels, out_channels, **settings):
    desc = _conv2d_desc(in_channels, out_channels, **settings)
    return _make(context, "dsconv2d", ctypes.byref(desc))


def sfconv2d(context, in_channels, out_channels, **settings):
    desc = _sfconv2d_desc(in_channels, out_channels, **settings)
    return _make(context, "sfconv2d", ctypes.byref(desc))


def batchnorm2d(context, channels, epsilon=1e-5, momentum=0.1):
    desc = Batchnorm2dDesc(channels=channels, epsilon=epsilon, momentum=momentum)
    return _make(context, "batchnorm2d", ctypes.byref(desc))


def activation(context, kind, slope=0.01):
    return _make(context, "activation", ACTIVATIONS[kind], slope)


def pool2d(context, kind, kernel=2, stride=2, padding=0):
    desc = Pool2dDesc(kind=POOLS[kind], kernel=kernel, stride=stride, padding=padding)
    return _make(context, "pool2d", ctypes.byref(desc))


def upsample2d(context, kind, factor=2):
    return _make(context, "upsample2d", UPSAMPLINGS[kind], pair(factor, "factor"))


def linear(context, in_features, out_features, bias=True, seed=0):
    desc = LinearDesc(in_features=in_features, out_features=out_features, has_bias=bias, seed=seed)
    return _make(context, "linear", ctypes.byref(desc))


def dropout(context, probability):
    return _make(context, "dropout", probability)


def add(context):
    return _make(context, "add")


def concat(context):
    return _make(context, "concat")


def kl(context, matrix, kind="kl", method="gram", weight=1.0, gradient=None):
    """KL term of one matrix; adds weight · ∂F/∂M to `gradient`."""
    return_to = ctypes.c_double()
    target = ctypes.byref(view_of(gradient, writable=True)) if gradient is not None else None
    context.call("kl", context, ctypes.byref(view_of(matrix)), REGULARIZERS[kind],
                 SVD_METHODS[method], weight, ctypes.byref(return_to), target)
    return return_to.value


def rank_from_ratio(context, in_channels, out_channels, kernel=3, ratio=1 / 32, min_rank=1):
    rank = ctypes.c_int64()
    context.call("rank_from_ratio", ctypes.byref(rank), in_channels, out_channels,
                 pair(kernel, "kernel"), ratio, min_rank)
    return rank.value


def choose_ranks(context, layers, budget_kind, budget, macs_per_rank=None, progress=None):
    """A rank for each layer within the budget."""
    ranks = (ctypes.c_int64 * len(layers))()
    handles = (ctypes.c_void_p * len(layers))(*(layer._as_parameter_ for layer in layers))
    macs = (ctypes.c_double * len(layers))(*macs_per_rank) if macs_per_rank else None
    with Progress(progress) as callback:
        context.call("choose_ranks", ranks, handles, len(layers), BUDGETS[budget_kind], budget,
                     macs, callback, None)
    return list(ranks)
