# SPDX-License-Identifier: BSD-2-Clause
"""What the comparisons with PyTorch share.

PyTorch computes in double precision, the library in float: a difference is the library's rounding.
Random numbers and shapes come from one seed; SFCONV_ORACLE_SEED sets it.
"""

import importlib.util
import os
import random
import subprocess
import sys
import unittest

SKIPPED = 77


def has_torch(interpreter):
    probe = "import importlib.util, sys; sys.exit(not importlib.util.find_spec('torch'))"
    try:
        return subprocess.run([interpreter, "-c", probe], check=False).returncode == 0
    except OSError:
        return False


if not importlib.util.find_spec("torch"):
    # The python3 that comes first may be the user's own, PyTorch a package of the system.
    for interpreter in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if has_torch(interpreter):
            os.execv(interpreter, [interpreter, *sys.argv])
    print("PyTorch is not installed (Debian: python3-torch): nothing to compare with")
    sys.exit(SKIPPED)

import torch

import sfconv

SEED = int(os.environ.get("SFCONV_ORACLE_SEED", "1"))
# Rounding of float sums, relative to the norm of the result.
TOLERANCE = 1e-5

context = sfconv.Context(workers=2)


def tensor(buffer):
    """A torch tensor on the numbers of a memoryview."""
    return torch.frombuffer(buffer.cast("B"), dtype=torch.float32).view(buffer.shape)


def buffer(values):
    """What the binding takes, from a torch tensor."""
    return values.detach().to(torch.float32).contiguous().numpy()


def floats(*shape):
    """Random numbers that float holds, as the doubles that PyTorch computes with."""
    return torch.randn(*shape, dtype=torch.float32).double()


class Case(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(f"{SEED} {self.id()}")
        torch.manual_seed(self.random.getrandbits(32))

    def assert_near(self, found, expected, what, tolerance=TOLERANCE):
        """The norm of the difference is small beside the norm of what is expected."""
        self.assertEqual(tuple(found.shape), tuple(expected.shape), what)
        expected = expected.detach().double()
        error = float((found.double() - expected).norm())
        bound = tolerance * float(expected.norm()) + 1e-12
        self.assertLessEqual(error, bound, f"{what}: shape {tuple(expected.shape)}")

    def assert_numbers_near(self, found, expected, what, tolerance=TOLERANCE):
        bound = tolerance * max(abs(float(expected)), 1e-6)
        self.assertAlmostEqual(found, float(expected), delta=bound, msg=what)

    def assert_layer_agrees(self, layer, reference, inputs, tolerance=TOLERANCE):
        """Outputs, input gradients and parameter gradients of a training step, and the outputs of
        inference after it. reference(parameters, training, *inputs) is the layer in torch; its
        `parameters` are those of the layer, by name."""
        parameters = draw_parameters(layer.parameters())
        channels = [value.shape[1] for value in inputs]
        shapes = [tuple(value.shape) for value in inputs]
        what = f"{layer.kind} {shapes}"

        run = sfconv.Run.for_layer(layer, channels, sfconv.TRAINING)
        run.want_input_gradients()
        run.reshape(*shapes)
        inputs = [value.requires_grad_() for value in inputs]
        output = reference(parameters, True, *inputs)
        self.assert_near(tensor(run.forward(*map(buffer, inputs))), output, f"{what}: output",
                         tolerance)

        direction = floats(*output.shape)
        output.backward(direction)
        sfconv.copy(run.output_gradient(), buffer(direction))
        run.backward()
        for index, value in enumerate(inputs):
            self.assert_near(tensor(run.input_gradient(index)), value.grad,
                             f"{what}: gradient of input {index}", tolerance)
        for name, gradient in run.parameter_gradients().items():
            own_name = name.partition(".")[2]
            self.assert_near(tensor(gradient), parameters[own_name].grad,
                             f"{what}: gradient of {name}", tolerance)
        for name, parameter in layer.parameters().items():
            self.assert_near(tensor(parameter.data), parameters[name], f"{what}: {name} after",
                             tolerance)

        inference = sfconv.Run.for_layer(layer, channels)
        inference.reshape(*shapes)
        expected = reference(parameters, False, *inputs)
        self.assert_near(tensor(inference.forward(*map(buffer, inputs))), expected,
                         f"{what}: output of inference", tolerance)


def draw_parameters(parameters):
    """The parameters of a layer or net as leaves of torch. Trainable ones are moved off their first
    values, which are 0 and 1 in BatchNorm."""
    leaves = {}
    for name, parameter in parameters.items():
        values = tensor(parameter.data)
        if parameter.trainable:
            values += 0.1 * torch.randn(values.shape)
        leaves[name] = values.double().requires_grad_(parameter.trainable)
    return leaves


def main():
    print(f"PyTorch {torch.__version__}, libsfconv {sfconv.version()}, SFCONV_ORACLE_SEED={SEED}")
    torch.set_num_threads(1)
    unittest.main(verbosity=2)
