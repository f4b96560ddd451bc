# SPDX-License-Identifier: BSD-2-Clause
"""The shared library: where it is, the signatures of its functions, the layout of its structures.

The headers in include/sfconv say what each function does; nothing is repeated here.
"""

import ctypes
import ctypes.util
import os

from ._arguments import PAIR, fitting

ABI_NUMBER = 1

# Result, then arguments: e status, p pointer, s text, i int32, l int64, u uint64, z size_t,
# d double, v nothing. Those that are checked have their names.
SIGNATURES = {
    "version": "s",
    "abi_number": "i",
    "status_name": "s status:e",
    "view_copy": "e pp",
    # context.h
    "context_create": "e pp",
    "context_destroy": "v p",
    "context_warning": "s p",
    "context_isa": "i p",
    "context_workers": "i p",
    # layer.h
    "layer_destroy": "v p",
    "layer_kind": "s p",
    "layer_initialize": "e p seed:u",
    "layer_parameter_count": "i p",
    "layer_parameter": "e p index:i p",
    "conv2d_create": "e ppp",
    "sfconv2d_create": "e ppp",
    "sfconv2d_rank": "l p",
    "sfconv2d_set_regularizer": "e p regularizer:i d",
    "dsconv2d_create": "e ppp",
    "batchnorm2d_create": "e ppp",
    "activation_create": "e pp activation:i d",
    "pool2d_create": "e ppp",
    "upsample2d_create": "e pp kind:i p",
    "linear_create": "e ppp",
    "dropout_create": "e ppd",
    "add_create": "e pp",
    "concat_create": "e pp",
    # net.h
    "net_create": "e pp",
    "net_destroy": "v p",
    "net_add_input": "e p name:s channels:l p",
    "net_add_layer": "e p name:s pp count:i p",
    "net_add_output": "e p node:i",
    "net_node_count": "i p",
    "net_input_count": "i p",
    "net_output_count": "i p",
    "net_node_name": "s p node:i",
    "net_find_node": "e p name:s p",
    "net_input_channels": "l p index:i",
    "net_parameter_count": "i p",
    "net_parameter": "e p index:i p",
    "net_initialize": "e p seed:u",
    "net_set_regularizer": "e p regularizer:i d",
    "net_cost": "e pp count:i p",
    "net_run_bytes": "e p mode:i p count:i p",
    "run_create": "e pp mode:i",
    "run_create_for_layer": "e ppp count:i mode:i",
    "run_destroy": "v p",
    "run_net": "p p",
    "run_reshape": "e pp count:i p bytes:l",
    "run_set_input": "e p index:i p",
    "run_input": "e p index:i p",
    "run_output": "e p index:i p",
    "run_output_gradient": "e p index:i p",
    "run_input_gradient": "e p index:i p",
    "run_parameter_gradient": "e p index:i p",
    "run_want_input_gradients": "e p wanted:i",
    "run_forward": "e p",
    "run_backward": "e p",
    "run_bytes": "e pp count:i p",
    "run_zero_gradients": "e p",
    "run_regularize": "e pp",
    "run_set_engine": "e p engine:i",
    "run_set_seed": "e p seed:u step:u",
    "run_set_window": "e p top:l left:l height:l width:l",
    "run_freeze": "e pp bytes:l",
    "run_frozen_bytes": "e pp",
    "run_thaw": "e p",
    "run_step": "u p",
    "run_plan_text": "e pp capacity:z p",
    # train.h
    "loss_cross_entropy": "e pppppp",
    "loss_bce": "e pppdpp",
    "loss_dice": "e pppdpp",
    "loss_bce_dice": "e pppddpp",
    "loss_mse": "e ppppp",
    "run_clip_gradients": "e pdp",
    "optimizer_create": "e ppp",
    "optimizer_destroy": "v p",
    "optimizer_step": "e ppd",
    "optimizer_steps": "l p",
    "schedule_create": "e ppp",
    "schedule_destroy": "v p",
    "schedule_rate": "e p step:l p",
    "schedule_observe": "e pd",
    "average_create": "e ppd",
    "average_destroy": "v p",
    "average_update": "e p",
    "average_swap": "e p",
    "confusion_create": "e pp classes:i",
    "confusion_destroy": "v p",
    "confusion_add": "e p truth:i prediction:i",
    "confusion_add_logits": "e ppp",
    "confusion_count": "e p truth:i prediction:i p",
    "confusion_accuracy": "e pp",
    "confusion_balanced_accuracy": "e pp",
    "confusion_quadratic_kappa": "e pp",
    "metric_auc": "e ppp count:l p",
    "overlap_add": "e ppppd",
    "overlap_dice": "d p",
    "overlap_iou": "d p",
    "overlap_sensitivity": "d p",
    "overlap_specificity": "d p",
    # model.h
    "model_create": "e ppp",
    "model_from_name": "i name:s",
    "method_from_name": "i name:s",
    "metadata_create": "e pp",
    "metadata_destroy": "v p",
    "metadata_set": "e p name:s value:s",
    "metadata_get": "s p name:s",
    "metadata_count": "i p",
    "metadata_name": "s p index:i",
    "net_save": "e p path:s p",
    "model_load": "e ppp path:s",
    "net_load": "e p path:s flags:i pp",
    "checkpoint_save": "e p path:s",
    "checkpoint_load": "e p path:s",
    # spectral.h
    "layer_svd_update": "e p method:i",
    "layer_spectrum": "e p factor:i p",
    "layer_singular_values": "e p factor:i p capacity:l p",
    "layer_regularizer": "e p method:i p",
    "kl": "e pp kind:i method:i dpp",
    "layer_compose": "e pp",
    "layer_decompose": "e pppppp",
    "layer_rebalance": "e p",
    "layer_cut_rank": "e pp rank:l p",
    "rank_from_ratio": "e p in_channels:l out_channels:l pd min_rank:l",
    "choose_ranks": "e pp count:i budget_kind:i dppp",
}

TYPES = {
    "e": ctypes.c_int32,
    "i": ctypes.c_int32,
    "l": ctypes.c_int64,
    "u": ctypes.c_uint64,
    "z": ctypes.c_size_t,
    "d": ctypes.c_double,
    "p": ctypes.c_void_p,
    "s": ctypes.c_char_p,
    "v": None,
}

CHECKED = "eiluzs"

LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p)
PROGRESS = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_double)


class Sized(ctypes.Structure):
    """A structure that begins with its own size."""

    def __init__(self, **values):
        kinds = dict(self._fields_)
        super().__init__(struct_size=ctypes.sizeof(self),
                         **{name: fitting(kinds[name], value, name)
                            for name, value in values.items()})


def fields(text):
    """Fields of a Sized from "type name" lines of C."""
    types = {
        "int32_t": ctypes.c_int32,
        "int64_t": ctypes.c_int64,
        "uint64_t": ctypes.c_uint64,
        "double": ctypes.c_double,
        "pointer": ctypes.c_void_p,
        "text": ctypes.c_char_p,
        "pair": PAIR,
        "view": View,
    }
    lines = [line.split() for line in text.strip().splitlines()]
    return [("struct_size", ctypes.c_size_t)] + [(name, types[kind]) for kind, *names in lines
                                                 for name in names]


class View(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("rank", ctypes.c_int32), ("reserved", ctypes.c_int32),
                ("shape", ctypes.c_int64 * 4), ("stride", ctypes.c_int64 * 4)]


class Shape(ctypes.Structure):
    _fields_ = [("batch", ctypes.c_int64), ("channels", ctypes.c_int64),
                ("height", ctypes.c_int64), ("width", ctypes.c_int64)]


class ContextDesc(Sized):
    _fields_ = [("struct_size", ctypes.c_size_t), ("allocate", ctypes.c_void_p),
                ("release", ctypes.c_void_p), ("memory_user", ctypes.c_void_p), ("log", LOG),
                ("log_user", ctypes.c_void_p), ("workers", ctypes.c_int32),
                ("isa", ctypes.c_int32), ("parallel_for", ctypes.c_void_p),
                ("parallel_user", ctypes.c_void_p), ("convolution", ctypes.c_int32)]


class ParameterInfo(Sized):
    _fields_ = fields("""
        text name
        int32_t role trainable
        view view""")


class Conv2dDesc(Sized):
    _fields_ = fields("""
        int64_t in_channels out_channels
        pair kernel stride padding dilation
        int64_t groups
        int32_t has_bias reserved
        uint64_t seed""")


class Sfconv2dDesc(Sized):
    _fields_ = fields("""
        int64_t in_channels out_channels
        pair kernel stride padding dilation
        int64_t rank
        double ratio
        int64_t min_rank
        int32_t has_bias initialization regularizer spectral_norm
        double regularizer_weight
        uint64_t seed""")


class Batchnorm2dDesc(Sized):
    _fields_ = fields("""
        int64_t channels
        double epsilon momentum""")


class Pool2dDesc(Sized):
    _fields_ = fields("""
        int32_t kind reserved
        pair kernel stride padding""")


class LinearDesc(Sized):
    _fields_ = fields("""
        int64_t in_features out_features
        int32_t has_bias reserved
        uint64_t seed""")


class CostStruct(Sized):
    _fields_ = fields("int64_t parameters macs flops activation_bytes")


class CrossEntropyDesc(Sized):
    _fields_ = fields("""
        pointer class_weights
        double label_smoothing""")


class OptimizerDesc(Sized):
    _fields_ = fields("""
        int32_t kind nesterov
        double momentum beta1 beta2 epsilon weight_decay
        int32_t decay_factors decay_bias_and_norm""")


class ScheduleDesc(Sized):
    _fields_ = fields("""
        int32_t kind larger_is_better
        double rate factor
        int64_t warmup total period patience""")


class ModelDesc(Sized):
    _fields_ = fields("""
        int32_t model method
        int64_t in_channels out_channels
        double ratio
        int64_t min_rank
        double regularizer_weight
        pointer ranks
        int64_t rank_count
        uint64_t seed""")


class CheckpointStruct(Sized):
    _fields_ = fields("pointer net optimizer schedule average run metadata")


class SpectrumStruct(Sized):
    _fields_ = fields("""
        int64_t count
        double largest smallest effective_rank condition kl kl_reverse""")


class OverlapStruct(Sized):
    _fields_ = fields("int64_t true_positive false_positive false_negative true_negative")


def arguments_of(words):
    """A name ("" for none) and a type for each argument of a signature."""
    for word in words:
        name, _, letters = word.rpartition(":")
        for letter in letters:
            yield name, TYPES[letter]


def checked(call, function, arguments):
    """The function, which also takes objects and refuses what its arguments cannot hold."""
    def passed(value, name, kind):
        # What a closed object has to say would come out of ctypes as an ArgumentError.
        value = getattr(value, "_as_parameter_", value)
        return fitting(kind, value, f"{call}: {name}") if name else value

    def checked_call(*values):
        if len(values) != len(arguments):
            raise TypeError(f"{call} takes {len(arguments)} arguments, got {len(values)}")
        return function(*(passed(value, *argument)
                          for value, argument in zip(values, arguments)))

    return checked_call


class Library:
    """Functions by their names without "sfconv_"; those that the library lacks fail when used."""

    def __init__(self, path):
        self._library = ctypes.CDLL(path)
        found = self.abi_number()
        if found != ABI_NUMBER:
            raise ImportError(f"{path}: binary interface {found}, this binding is for {ABI_NUMBER}")

    def __getattr__(self, name):
        signature = SIGNATURES.get(name)
        if signature is None:
            raise AttributeError(name)
        result, *words = signature.split()
        arguments = list(arguments_of(words))
        function = self._library["sfconv_" + name]
        function.restype = TYPES[result]
        function.argtypes = [kind for _, kind in arguments]
        call = checked("sfconv_" + name, function, arguments)
        setattr(self, name, call)
        return call


def find():
    """Path of the shared library: the environment variable SFCONV_LIBRARY, or the system's."""
    return (os.environ.get("SFCONV_LIBRARY") or ctypes.util.find_library("sfconv")
            or f"libsfconv.so.{ABI_NUMBER}")


library = Library(find())
