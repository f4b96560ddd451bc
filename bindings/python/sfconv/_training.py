# SPDX-License-Identifier: BSD-2-Clause
"""Losses, optimizers, schedules and averages."""

import ctypes

from ._arguments import wholes
from ._library import CrossEntropyDesc, OptimizerDesc, ScheduleDesc, library
from ._objects import Handle, view_of

OPTIMIZERS = {"sgd": 1, "adam": 2, "adamw": 3}
SCHEDULES = {"constant": 1, "step": 2, "cosine": 3, "plateau": 4}


def _gradient(buffer):
    return None if buffer is None else ctypes.byref(view_of(buffer, writable=True))


def _loss(context, name, logits, targets, *settings, gradient):
    value = ctypes.c_double()
    context.call(name, context, ctypes.byref(view_of(logits)), ctypes.byref(view_of(targets)),
                 *settings, ctypes.byref(value), _gradient(gradient))
    return value.value


def cross_entropy(context, logits, labels, class_weights=None, label_smoothing=0.0, gradient=None):
    """Labels and class weights are sequences of numbers. All losses return the value and write
    their derivative to `gradient` where that is given."""
    weights = (ctypes.c_float * len(class_weights))(*class_weights) if class_weights else None
    desc = CrossEntropyDesc(class_weights=ctypes.cast(weights, ctypes.c_void_p),
                            label_smoothing=label_smoothing)
    value = ctypes.c_double()
    context.call("loss_cross_entropy", context, ctypes.byref(view_of(logits)),
                 wholes(ctypes.c_int32, labels, "labels"), ctypes.byref(desc),
                 ctypes.byref(value), _gradient(gradient))
    return value.value


def bce(context, logits, targets, positive_weight=1.0, gradient=None):
    return _loss(context, "loss_bce", logits, targets, positive_weight, gradient=gradient)


def dice(context, logits, targets, smooth=1.0, gradient=None):
    return _loss(context, "loss_dice", logits, targets, smooth, gradient=gradient)


def bce_dice(context, logits, targets, bce_weight=1.0, dice_weight=1.0, gradient=None):
    return _loss(context, "loss_bce_dice", logits, targets, bce_weight, dice_weight,
                 gradient=gradient)


def mse(context, predictions, targets, gradient=None):
    return _loss(context, "loss_mse", predictions, targets, gradient=gradient)


class Optimizer(Handle):
    _destroy = "optimizer_destroy"

    def __init__(self, net, kind="sgd", nesterov=False, momentum=0.9, beta1=0.9, beta2=0.999,
                 epsilon=1e-8, weight_decay=0.0, decay_factors=True, decay_bias_and_norm=False):
        desc = OptimizerDesc(kind=OPTIMIZERS[kind], nesterov=nesterov, momentum=momentum,
                             beta1=beta1, beta2=beta2, epsilon=epsilon, weight_decay=weight_decay,
                             decay_factors=decay_factors, decay_bias_and_norm=decay_bias_and_norm)
        super().__init__(net.context,
                         net.context.create("optimizer_create", net, ctypes.byref(desc)))

    def step(self, run, rate):
        self.context.call("optimizer_step", self, run, rate)

    @property
    def steps(self):
        return library.optimizer_steps(self)


class Schedule(Handle):
    _destroy = "schedule_destroy"

    def __init__(self, context, kind="constant", rate=0.01, factor=0.1, warmup=0, total=1,
                 period=1, patience=10, larger_is_better=False):
        desc = ScheduleDesc(kind=SCHEDULES[kind], larger_is_better=larger_is_better, rate=rate,
                            factor=factor, warmup=warmup, total=total, period=period,
                            patience=patience)
        super().__init__(context, context.create("schedule_create", context, ctypes.byref(desc)))

    def rate(self, step):
        return self.context.number(ctypes.c_double, "schedule_rate", self, step)

    def observe(self, value):
        self.context.call("schedule_observe", self, value)


class Average(Handle):
    """Exponential moving average of a net's parameters."""

    _destroy = "average_destroy"

    def __init__(self, net, decay):
        super().__init__(net.context, net.context.create("average_create", net, decay))

    def update(self):
        self.context.call("average_update", self)

    def swap(self):
        self.context.call("average_swap", self)
