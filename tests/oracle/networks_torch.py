# SPDX-License-Identifier: BSD-2-Clause
"""The ready-made networks as functions of torch on parameters by the library's names."""

import torch
from torch.nn import functional as F


class Network:
    """forward(x) of a named model; `parameters` says by its names how each convolution is made."""

    def __init__(self, model, parameters, training):
        self.forward = getattr(self, model)
        self.parameters = parameters
        self.training = training

    def convolution(self, name, x, stride=1):
        p = {key: self.parameters.get(f"{name}.{key}")
             for key in ("weight", "bias", "q.weight", "p.weight", "depthwise.weight",
                         "pointwise.weight", "u", "v")}
        if p["weight"] is not None:
            return F.conv2d(x, p["weight"], p["bias"], stride, p["weight"].shape[-1] // 2)
        if p["depthwise.weight"] is not None:
            x = F.conv2d(x, p["depthwise.weight"], None, stride,
                         p["depthwise.weight"].shape[-1] // 2, groups=x.shape[1])
            return F.conv2d(x, p["pointwise.weight"])
        padding = p["q.weight"].shape[-1] // 2
        x = F.conv2d(x, p["q.weight"], None, (1, stride), (0, padding))
        x = F.conv2d(x, p["p.weight"], None, (stride, 1), (padding, 0))
        return x if p["u"] is None else x / self.sigma(p)

    def sigma(self, p):
        """uᵀ·P·Q·v after one step of the power iteration in training."""
        rank = p["q.weight"].shape[0]
        left = p["p.weight"][..., 0].permute(0, 2, 1).reshape(-1, rank)
        product = left @ p["q.weight"].reshape(rank, -1)
        if self.training:
            with torch.no_grad():
                v = F.normalize(product.T @ p["u"], dim=0)
                p["u"].copy_(F.normalize(product @ v, dim=0))
                p["v"].copy_(F.normalize(product.T @ p["u"], dim=0))
        return p["u"].clone() @ product @ p["v"].clone()

    def batchnorm(self, name, x):
        mean, variance, weight, bias = (
            self.parameters[f"{name}.{key}"]
            for key in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, variance, weight, bias, self.training)

    def basic_block(self, name, x, stride):
        y = F.relu(self.batchnorm(f"{name}.bn1", self.convolution(f"{name}.conv1", x, stride)))
        y = self.batchnorm(f"{name}.bn2", self.convolution(f"{name}.conv2", y))
        if f"{name}.downsample.1.weight" in self.parameters:
            x = self.convolution(f"{name}.downsample.0", x, stride)
            x = self.batchnorm(f"{name}.downsample.1", x)
        return F.relu(y + x)

    def stages(self, x, blocks):
        for stage in range(1, 5):
            for block in range(blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                x = self.basic_block(f"layer{stage}.{block}", x, stride)
        x = x.mean((2, 3))
        x = F.linear(x, self.parameters["fc.weight"], self.parameters["fc.bias"])
        return x[:, :, None, None]

    def resnet18(self, x):
        x = F.relu(self.batchnorm("bn1", self.convolution("conv1", x, 2)))
        return self.stages(F.max_pool2d(x, 3, 2, 1), 2)

    def tiny_classifier(self, x):
        return self.stages(F.relu(self.batchnorm("bn1", self.convolution("conv1", x, 2))), 1)

    def double_conv(self, name, x):
        for number in (0, 3):
            x = self.convolution(f"{name}.double_conv.{number}", x)
            x = F.relu(self.batchnorm(f"{name}.double_conv.{number + 1}", x))
        return x

    def unet(self, x):
        levels = len({name.split(".")[0] for name in self.parameters if name.startswith("down")})
        skips = [self.double_conv("inc", x)]
        for level in range(1, levels + 1):
            skips.append(self.double_conv(f"down{level}.maxpool_conv.1",
                                          F.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for number in range(1, levels + 1):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = self.double_conv(f"up{number}.conv", torch.cat([skips.pop(), x], 1))
        return self.convolution("outc.conv", x)

    tiny_segmenter = unet
