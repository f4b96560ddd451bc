# SPDX-License-Identifier: BSD-2-Clause
"""Measures of results."""

import ctypes

from ._arguments import wholes
from ._library import OverlapStruct, library
from ._objects import Handle, view_of


def _labels(labels):
    return wholes(ctypes.c_int32, labels, "labels")


class Confusion(Handle):
    """Counts of a classification."""

    _destroy = "confusion_destroy"

    def __init__(self, context, classes):
        super().__init__(context, context.create("confusion_create", context, classes))

    def add(self, truth, prediction):
        self.context.call("confusion_add", self, truth, prediction)

    def add_logits(self, logits, labels):
        self.context.call("confusion_add_logits", self, ctypes.byref(view_of(logits)),
                          _labels(labels))

    def count(self, truth, prediction):
        return self.context.number(ctypes.c_int64, "confusion_count", self, truth, prediction)

    def _measure(self, name):
        return self.context.number(ctypes.c_double, name, self)

    @property
    def accuracy(self):
        return self._measure("confusion_accuracy")

    @property
    def balanced_accuracy(self):
        return self._measure("confusion_balanced_accuracy")

    @property
    def quadratic_kappa(self):
        return self._measure("confusion_quadratic_kappa")


class Overlap:
    """Counts of a binary segmentation."""

    def __init__(self, context):
        self.context = context
        self._counts = OverlapStruct()

    def add(self, logits, mask, threshold=0.0):
        self.context.call("overlap_add", self.context, ctypes.byref(self._counts),
                          ctypes.byref(view_of(logits)), ctypes.byref(view_of(mask)), threshold)

    def _measure(self, name):
        return getattr(library, name)(ctypes.byref(self._counts))

    @property
    def dice(self):
        return self._measure("overlap_dice")

    @property
    def iou(self):
        return self._measure("overlap_iou")

    @property
    def sensitivity(self):
        return self._measure("overlap_sensitivity")

    @property
    def specificity(self):
        return self._measure("overlap_specificity")


def auc(context, scores, labels):
    """Area under the ROC curve of scores against labels of 0 and 1."""
    return context.number(ctypes.c_double, "metric_auc", context,
                          (ctypes.c_float * len(scores))(*scores), _labels(labels), len(labels))
