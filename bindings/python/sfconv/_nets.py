# SPDX-License-Identifier: BSD-2-Clause
"""Nets, runs, ready-made models and files."""

import ctypes
import os
from collections import namedtuple

from ._arguments import whole, wholes
from ._layers import REGULARIZERS, parameters_of
from ._library import CheckpointStruct, CostStruct, ModelDesc, Shape, View, library
from ._objects import Handle, Progress, memory, view_of

INFERENCE, TRAINING = 1, 2
IGNORE_UNKNOWN, KEEP_MISSING, DECOMPOSE = 1, 2, 4

Cost = namedtuple("Cost", "parameters macs flops activation_bytes")


def _shape(sizes):
    if len(sizes) != 4:
        raise ValueError(f"shape is {sizes!r}, expected batch, channels, height and width")
    return Shape(*(whole(ctypes.c_int64, size, name)
                   for size, (name, _) in zip(sizes, Shape._fields_)))


def _shapes(shapes):
    return (Shape * len(shapes))(*map(_shape, shapes))


class Net(Handle):
    """A graph of layers. Nodes are numbers that the add calls return."""

    _destroy = "net_destroy"

    def __init__(self, context, handle=None):
        super().__init__(context, handle or context.create("net_create", context))

    def add_input(self, name, channels):
        return self.context.number(ctypes.c_int32, "net_add_input", self, name, channels)

    def add(self, name, layer, *inputs):
        return self.context.number(ctypes.c_int32, "net_add_layer", self, name, layer,
                                   wholes(ctypes.c_int32, inputs, "inputs"), len(inputs))

    def add_output(self, node):
        self.context.call("net_add_output", self, node)

    def nodes(self):
        """Names of the nodes, by number."""
        return [library.net_node_name(self, node).decode()
                for node in range(library.net_node_count(self))]

    def parameters(self):
        return parameters_of(self, "net")

    def initialize(self, seed):
        self.context.call("net_initialize", self, seed)

    def set_regularizer(self, regularizer, weight):
        self.context.call("net_set_regularizer", self, REGULARIZERS[regularizer], weight)

    def cost(self, *shapes):
        """Counts for inputs of these shapes (batch, channels, height, width)."""
        facts = CostStruct()
        self.context.call("net_cost", self, _shapes(shapes), len(shapes), ctypes.byref(facts))
        return Cost(*(getattr(facts, name) for name in Cost._fields))

    def run_bytes(self, mode, *shapes):
        return self.context.number(ctypes.c_int64, "net_run_bytes", self, mode, _shapes(shapes),
                                   len(shapes))

    def save(self, path, metadata=None):
        with _metadata(self.context, metadata) as texts:
            self.context.call("net_save", self, os.fsencode(path), texts)

    def load(self, path, flags=0, progress=None):
        """Loads parameters by name; `flags` is a sum of IGNORE_UNKNOWN, KEEP_MISSING, DECOMPOSE."""
        with Progress(progress) as callback:
            self.context.call("net_load", self, os.fsencode(path), flags, callback, None)


class Run(Handle):
    """Activations and gradients of a net, or of a layer alone, for inputs of one size. Memory that
    its methods return is valid until the next reshape; it outlives close()."""

    _destroy = "run_destroy"

    def __init__(self, net, mode=INFERENCE):
        super().__init__(net.context, net.context.create("run_create", net, mode))
        self.net = net
        self._trainable = None

    @classmethod
    def for_layer(cls, layer, channels, mode=INFERENCE):
        """A run of one layer whose inputs have these numbers of channels."""
        run = cls.__new__(cls)
        numbers = wholes(ctypes.c_int64, channels, "channels")
        handle = layer.context.create("run_create_for_layer", layer, numbers, len(channels), mode)
        Handle.__init__(run, layer.context, handle)
        run.net = run._trainable = None
        return run

    def reshape(self, *shapes):
        self.context.call("run_reshape", self, _shapes(shapes), len(shapes), None, 0)

    def freeze(self):
        """Keeps the weights of dense layers, as they are now, in the form that forward reads
        soonest, until the next reshape."""
        self.context.call("run_freeze", self, None, 0)

    def frozen_bytes(self):
        return self.context.number(ctypes.c_int64, "run_frozen_bytes", self)

    def thaw(self):
        """Forward reads the parameters themselves again."""
        self.context.call("run_thaw", self)

    def _memory(self, name, index):
        view = View()
        self.context.call(name, self, index, ctypes.byref(view))
        return memory(view, self.held)

    def input(self, index=0):
        return self._memory("run_input", index)

    def set_input(self, numbers, index=0):
        """Copies numbers of the input's shape to it."""
        self.context.call("run_set_input", self, index, ctypes.byref(view_of(numbers)))

    def output(self, index=0):
        return self._memory("run_output", index)

    def output_gradient(self, index=0):
        return self._memory("run_output_gradient", index)

    def input_gradient(self, index=0):
        return self._memory("run_input_gradient", index)

    def parameter_gradients(self):
        """Gradients of the trainable parameters by name."""
        if self._trainable is None:
            net = _Borrowed(self.context, library.run_net(self), self.held)
            parameters = parameters_of(net, "net").values()
            self._trainable = {parameter.name: index for index, parameter in enumerate(parameters)
                               if parameter.trainable}
        return {name: self._memory("run_parameter_gradient", index)
                for name, index in self._trainable.items()}

    def want_input_gradients(self, wanted=True):
        self.context.call("run_want_input_gradients", self, wanted)

    def forward(self, *inputs):
        """Copies the inputs, where given, computes, and returns the first output."""
        for index, numbers in enumerate(inputs):
            self.set_input(numbers, index)
        self.context.call("run_forward", self)
        return self.output()

    def backward(self):
        self.context.call("run_backward", self)

    def zero_gradients(self):
        self.context.call("run_zero_gradients", self)

    def regularize(self):
        """Adds the gradients of the regularizers and returns their sum."""
        return self.context.number(ctypes.c_double, "run_regularize", self)

    def clip_gradients(self, max_norm):
        """Returns the norm before."""
        return self.context.number(ctypes.c_double, "run_clip_gradients", self, max_norm)

    def set_seed(self, seed, step=0):
        self.context.call("run_set_seed", self, seed, step)

    @property
    def step(self):
        return library.run_step(self)

    def plan(self):
        """The plan in words."""
        length = self.context.number(ctypes.c_size_t, "run_plan_text", self, None, 0)
        text = ctypes.create_string_buffer(length + 1)
        self.context.number(ctypes.c_size_t, "run_plan_text", self, text, len(text))
        return text.value.decode()


class _Borrowed:
    """A handle that another object owns, which `held` keeps."""

    def __init__(self, context, handle, held):
        self.context = context
        self.held = held
        self._as_parameter_ = ctypes.c_void_p(handle)


class Metadata(Handle):
    """Texts by name that travel in a file."""

    _destroy = "metadata_destroy"

    def __init__(self, context, handle=None):
        super().__init__(context, handle or context.create("metadata_create", context))

    def __setitem__(self, name, value):
        self.context.call("metadata_set", self, name, value)

    def __getitem__(self, name):
        value = library.metadata_get(self, name)
        if value is None:
            raise KeyError(name)
        return value.decode()

    def __len__(self):
        return library.metadata_count(self)

    def __iter__(self):
        return (library.metadata_name(self, index).decode() for index in range(len(self)))

    def keys(self):
        return list(self)


def _metadata(context, texts):
    metadata = Metadata(context)
    for name, value in (texts or {}).items():
        metadata[name] = value
    return metadata


def model(context, name, method, in_channels=3, out_channels=1, ratio=1 / 32, min_rank=1,
          regularizer_weight=0.0, ranks=None, seed=0):
    """A ready-made network by the names of its model and method: "unet", "sfconv"."""
    numbers = wholes(ctypes.c_int64, ranks, "ranks") if ranks else None
    desc = ModelDesc(model=library.model_from_name(name), method=library.method_from_name(method),
                     in_channels=in_channels, out_channels=out_channels, ratio=ratio,
                     min_rank=min_rank, regularizer_weight=regularizer_weight,
                     ranks=ctypes.cast(numbers, ctypes.c_void_p) if ranks else None,
                     rank_count=len(ranks) if ranks else 0, seed=seed)
    return Net(context, context.create("model_create", context, ctypes.byref(desc)))


def load_model(context, path):
    """The network that a file describes, and the file's texts."""
    metadata = ctypes.c_void_p()
    net = context.create("model_load", ctypes.byref(metadata), context, os.fsencode(path))
    return Net(context, net), dict(Metadata(context, metadata))


def _checkpoint(net, optimizer, schedule, average, run, metadata):
    parts = {"net": net, "optimizer": optimizer, "schedule": schedule, "average": average,
             "run": run, "metadata": metadata}
    return CheckpointStruct(**{name: part._as_parameter_ for name, part in parts.items()
                               if part is not None})


def save_checkpoint(path, net, optimizer=None, schedule=None, average=None, run=None,
                    metadata=None):
    parts = _checkpoint(net, optimizer, schedule, average, run, metadata)
    net.context.call("checkpoint_save", ctypes.byref(parts), os.fsencode(path))


def load_checkpoint(path, net, optimizer=None, schedule=None, average=None, run=None,
                    metadata=None):
    parts = _checkpoint(net, optimizer, schedule, average, run, metadata)
    net.context.call("checkpoint_load", ctypes.byref(parts), os.fsencode(path))
