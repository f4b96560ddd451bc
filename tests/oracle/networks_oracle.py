# SPDX-License-Identifier: BSD-2-Clause
"""The ready-made networks: names, counts, and outputs of the same weights in PyTorch.

The environment variable SFCONV_PEERS names a folder with the networks in PyTorch: models.py, and in
models/ for each NAME the state dict NAME.pt, an input NAME.in.bin and its output NAME.out.bin (raw
float32). Without it the outputs are not compared.
"""

import json
import os
import pathlib
import struct
import tempfile
import unittest

import oracle
import torch
from networks_torch import Network
from oracle import buffer, context, floats, tensor

import sfconv

PEERS = os.environ.get("SFCONV_PEERS")
BATCHNORM = ("weight", "bias", "running_mean", "running_var")
# Name: model, method, output channels, input size, trainable numbers, multiply-adds.
NETWORKS = {
    "resnet18_dense": ("resnet18", "conv", 5, 224, 11_179_077, 1_813_563_904),
    "resnet18_sf32": ("resnet18", "sfconv", 5, 224, 250_437, 154_143_232),
    "unet_dense": ("unet", "conv", 1, 304, 17_262_977, 56_378_195_968),
    "unet_sf32": ("unet", "sfconv", 1, 304, 319_754, 1_000_403_200),
}
FACTORS = ("q.weight", "p.weight")


def make(name):
    model, method, classes, size, *_ = NETWORKS[name]
    return sfconv.model(context, model, method, 3, classes), (1, 3, size, size)


def batchnorm(name):
    return [f"{name}.{part}" for part in BATCHNORM]


def resnet18_names(weights):
    """torchvision's names; `weights` are those of a convolution that may be factorized."""
    def convolution(name):
        return [f"{name}.{weight}" for weight in weights]

    names = ["conv1.weight", *batchnorm("bn1"), "fc.weight", "fc.bias"]
    for stage in range(1, 5):
        for block in range(2):
            prefix = f"layer{stage}.{block}"
            for index in (1, 2):
                names += convolution(f"{prefix}.conv{index}") + batchnorm(f"{prefix}.bn{index}")
            if stage > 1 and block == 0:
                names += convolution(f"{prefix}.downsample.0")
                names += batchnorm(f"{prefix}.downsample.1")
    return names


def unet_names(weights):
    """The usual names of the bilinear U-Net."""
    blocks = ["inc", *(f"down{level}.maxpool_conv.1" for level in range(1, 5)),
              *(f"up{level}.conv" for level in range(1, 5))]
    names = ["outc.conv.weight", "outc.conv.bias"]
    for block in blocks:
        for convolution in (0, 3):
            names += [f"{block}.double_conv.{convolution}.{weight}" for weight in weights]
            names += batchnorm(f"{block}.double_conv.{convolution + 1}")
    return names


class Networks(oracle.Case):
    def test_names_are_those_of_existing_files(self):
        lists = {"resnet18": resnet18_names, "unet": unet_names}
        for name, (model, method, *_) in NETWORKS.items():
            net, _ = make(name)
            weights = ("weight",) if method == "conv" else FACTORS
            with self.subTest(name=name):
                self.assertEqual(sorted(net.parameters()), sorted(lists[model](weights)))

    def test_published_counts(self):
        for name, (*_, parameters, macs) in NETWORKS.items():
            net, shape = make(name)
            cost = net.cost(shape)
            with self.subTest(name=name):
                self.assertEqual(cost.parameters, parameters)
                self.assertEqual(cost.macs, macs)
                self.assertEqual(cost.flops, 2 * macs)

    def test_input_sizes_are_multiples_as_documented(self):
        for model, multiple in (("unet", 16), ("tiny_segmenter", 8)):
            net = sfconv.model(context, model, "sfconv")
            with self.subTest(model=model):
                net.cost((1, 3, multiple, 3 * multiple))
                with self.assertRaises(sfconv.Error):
                    net.cost((1, 3, multiple, 3 * multiple // 2))


class TrainingSteps(oracle.Case):
    """A forward and backward pass through whole networks. Of a million ReLUs a few are so near zero
    that they open in double and not in float, in PyTorch as here; each moves the gradients of what
    is before it by up to a few percent. What is wrongly wired moves them by much more."""

    GRADIENTS = 5e-2

    SHAPES = {"resnet18": (4, 3, 96, 64), "tiny_classifier": (4, 3, 64, 48),
              "unet": (2, 3, 32, 48), "tiny_segmenter": (2, 3, 40, 48)}
    METHODS = ("conv", "fconvsn", "dpcconv", "sfconv")

    def assert_step_agrees(self, model, method):
        shape = self.SHAPES[model]
        net = sfconv.model(context, model, method, shape[1], 2, min_rank=2)
        parameters = oracle.draw_parameters(net.parameters())
        run = sfconv.Run(net, sfconv.TRAINING)
        run.want_input_gradients()
        run.reshape(shape)
        image = floats(*shape).requires_grad_()

        expected = Network(model, parameters, training=True).forward(image)
        self.assert_near(tensor(run.forward(buffer(image))), expected, "output", 1e-4)
        direction = floats(*expected.shape)
        expected.backward(direction)
        sfconv.copy(run.output_gradient(), buffer(direction))
        run.backward()
        self.assert_near(tensor(run.input_gradient()), image.grad, "gradient of the image",
                         self.GRADIENTS)
        for name, gradient in run.parameter_gradients().items():
            self.assert_near(tensor(gradient), parameters[name].grad, f"gradient of {name}",
                             self.GRADIENTS)
        for name, parameter in net.parameters().items():
            self.assert_near(tensor(parameter.data), parameters[name], f"{name} after", 1e-4)

        inference = sfconv.Run(net)
        inference.reshape(shape)
        expected = Network(model, parameters, training=False).forward(image)
        self.assert_near(tensor(inference.forward(buffer(image))), expected,
                         "output of inference", 1e-4)

    def test_small_networks_by_every_method(self):
        for model in ("tiny_classifier", "tiny_segmenter"):
            for method in self.METHODS:
                with self.subTest(model=model, method=method):
                    self.assert_step_agrees(model, method)

    def test_networks_of_the_paper_factorized(self):
        for model in ("resnet18", "unet"):
            with self.subTest(model=model):
                self.assert_step_agrees(model, "sfconv")


def library_name(network, key, weight):
    """The library's name of an entry in a state dict of the peers."""
    parts = key.split(".")
    if network.startswith("resnet18"):
        if parts[0] == "blocks":
            number = int(parts[1])
            parts[:2] = [f"layer{number // 2 + 1}", str(number % 2)]
        names = {"stem": "conv1", "bn": "bn1", "ds": "downsample"}
    else:
        names = {"inc": "inc", "out": "outc.conv",
                 "c1": "double_conv.0", "b1": "double_conv.1",
                 "c2": "double_conv.3", "b2": "double_conv.4",
                 **{f"d{level}": f"down{level}.maxpool_conv.1" for level in range(1, 5)},
                 **{f"u{level}": f"up{level}.conv" for level in range(1, 5)}}
    parts = [names.get(part, part) for part in parts]
    # A factorized convolution is a sequence of Q and P.
    if network.endswith("sf32") and weight.dim() == 4 and parts[-2] in ("0", "1"):
        parts[-2] = "qp"[int(parts[-2])]
    return ".".join(parts)


def write_safetensors(path, tensors):
    header, end = {}, 0
    for name, values in tensors.items():
        size = values.numel() * values.element_size()
        header[name] = {"dtype": {torch.float32: "F32", torch.int64: "I64"}[values.dtype],
                        "shape": list(values.shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            file.write(values.contiguous().numpy().tobytes())


@unittest.skipUnless(PEERS, "SFCONV_PEERS names no folder of networks")
class Peers(oracle.Case):
    def test_outputs_of_the_same_weights_agree(self):
        folder = pathlib.Path(PEERS, "models")
        for name in NETWORKS:
            net, shape = make(name)
            state = torch.load(folder / f"{name}.pt")
            tensors = {library_name(name, key, value): value for key, value in state.items()}
            with tempfile.TemporaryDirectory() as temporary:
                path = pathlib.Path(temporary, "weights.safetensors")
                write_safetensors(path, tensors)
                net.load(path)
            run = sfconv.Run(net)
            run.reshape(shape)
            image = torch.from_file(str(folder / f"{name}.in.bin"), size=3 * shape[2] * shape[3])
            output = tensor(run.forward(buffer(image.view(shape))))
            expected = torch.from_file(str(folder / f"{name}.out.bin"), size=output.numel())
            with self.subTest(name=name):
                self.assert_near(output, expected.view(output.shape), "output", 1e-4)


if __name__ == "__main__":
    oracle.main()
