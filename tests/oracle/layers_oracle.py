# SPDX-License-Identifier: BSD-2-Clause
"""Every kind of layer against PyTorch: outputs and all gradients, on random shapes."""

import oracle
import torch
from oracle import context, floats
from torch.nn import functional as F

import sfconv

TRIALS = 12


class Convolutions(oracle.Case):
    def geometry(self):
        """A kernel of at most 5 x 5 with stride, padding and dilation for each axis, and a height
        and width that it fits."""
        draw = self.random.randint
        kernel = draw(1, 5), draw(1, 5)
        dilation = draw(1, 2), draw(1, 2)
        settings = {"kernel": kernel, "stride": (draw(1, 3), draw(1, 3)),
                    "padding": tuple(draw(0, size // 2) for size in kernel), "dilation": dilation}
        size = tuple(step * (length - 1) + draw(1, 18) for step, length in zip(dilation, kernel))
        return settings, size

    @staticmethod
    def torch_settings(settings):
        return {name: settings[name] for name in ("stride", "padding", "dilation")}

    def test_conv2d_with_groups(self):
        for _ in range(TRIALS):
            settings, size = self.geometry()
            groups = self.random.choice([1, 1, 2, 3])
            into, out = (groups * self.random.randint(1, 20 // groups) for _ in range(2))
            has_bias = self.random.random() < 0.5
            layer = sfconv.conv2d(context, into, out, groups=groups, bias=has_bias, **settings)

            def reference(p, training, x):
                return F.conv2d(x, p["weight"], p.get("bias"), groups=groups,
                                **self.torch_settings(settings))

            batch = self.random.randint(1, 3)
            with self.subTest(channels=(into, out), groups=groups, size=size, **settings):
                self.assert_layer_agrees(layer, reference, [floats(batch, into, *size)])

    def test_conv2d_3x3_as_in_networks(self):
        for channels, stride, size in ((64, 1, 19), (32, 2, 38), (16, 1, 64)):
            layer = sfconv.conv2d(context, channels, channels, stride=stride)

            def reference(p, training, x):
                return F.conv2d(x, p["weight"], stride=stride, padding=1)

            self.assert_layer_agrees(layer, reference, [floats(2, channels, size, size)])

    def factorized(self, settings):
        """The two convolutions of a factorized layer: Q with the horizontal settings, then P with
        the vertical ones."""
        (stride_y, stride_x), (pad_y, pad_x), (step_y, step_x) = (
            settings["stride"], settings["padding"], settings["dilation"])

        def reference(p, training, x):
            ranks = F.conv2d(x, p["q.weight"], stride=(1, stride_x), padding=(0, pad_x),
                             dilation=(1, step_x))
            return F.conv2d(ranks, p["p.weight"], p.get("bias"), stride=(stride_y, 1),
                            padding=(pad_y, 0), dilation=(step_y, 1))

        return reference

    def test_sfconv2d_is_two_convolutions(self):
        for _ in range(TRIALS):
            settings, size = self.geometry()
            into, out = self.random.randint(1, 24), self.random.randint(1, 24)
            most = min(into * settings["kernel"][1], out * settings["kernel"][0])
            rank = self.random.randint(1, most)
            layer = sfconv.sfconv2d(context, into, out, rank=rank,
                                    bias=self.random.random() < 0.5, **settings)
            self.assertEqual(layer.rank, rank)
            batch = self.random.randint(1, 3)
            with self.subTest(channels=(into, out), rank=rank, size=size, **settings):
                self.assert_layer_agrees(layer, self.factorized(settings),
                                         [floats(batch, into, *size)])

    def test_sfconv2d_is_the_dense_layer_of_the_product_of_its_factors(self):
        layer = sfconv.sfconv2d(context, 6, 10, kernel=(3, 5), stride=(2, 1), padding=(1, 2), rank=4,
                                bias=True)

        def reference(p, training, x):
            weight = torch.einsum("oti,tcj->ocij", p["p.weight"][..., 0], p["q.weight"][:, :, 0])
            return F.conv2d(x, weight, p["bias"], stride=(2, 1), padding=(1, 2))

        self.assert_layer_agrees(layer, reference, [floats(2, 6, 13, 17)])

    def test_sfconv2d_with_spectral_norm(self):
        """The weight is W / σ with W = P·Q and σ = uᵀ·W·v. A training forward moves u by one step
        of the power iteration, v is always Wᵀ·u / |Wᵀ·u|, and gradients take both as constants."""
        for _ in range(TRIALS // 2):
            settings, size = self.geometry()
            into, out = self.random.randint(2, 16), self.random.randint(2, 16)
            rank = self.random.randint(1, min(into, out))
            layer = sfconv.sfconv2d(context, into, out, rank=rank, spectral_norm=True, **settings)
            convolve = self.factorized(settings)

            def reference(p, training, x):
                # Rows o·kh + i and columns c·kw + j, as the factors are unfolded.
                left = p["p.weight"][..., 0].permute(0, 2, 1).reshape(-1, rank)
                right = p["q.weight"][:, :, 0].reshape(rank, -1)
                product = left @ right
                if training:
                    with torch.no_grad():
                        v = F.normalize(product.T @ p["u"], dim=0)
                        p["u"].copy_(F.normalize(product @ v, dim=0))
                        p["v"].copy_(F.normalize(product.T @ p["u"], dim=0))
                sigma = p["u"].clone() @ product @ p["v"].clone()
                return convolve(p, training, x) / sigma

            with self.subTest(channels=(into, out), rank=rank, size=size, **settings):
                self.assert_layer_agrees(layer, reference, [floats(2, into, *size)])

    def test_dsconv2d_is_depthwise_then_pointwise(self):
        for _ in range(TRIALS):
            settings, size = self.geometry()
            into, out = self.random.randint(1, 20), self.random.randint(1, 20)
            layer = sfconv.dsconv2d(context, into, out, bias=self.random.random() < 0.5,
                                    **settings)

            def reference(p, training, x):
                own = F.conv2d(x, p["depthwise.weight"], groups=x.shape[1],
                               **self.torch_settings(settings))
                return F.conv2d(own, p["pointwise.weight"], p.get("bias"))

            with self.subTest(channels=(into, out), size=size, **settings):
                self.assert_layer_agrees(layer, reference, [floats(2, into, *size)])


class OtherLayers(oracle.Case):
    def shape(self, least=1, channels=None):
        draw = self.random.randint
        return (draw(2, 4), channels or draw(1, 20), draw(least, 30), draw(least, 30))

    def test_linear(self):
        for _ in range(TRIALS):
            shape = self.shape()
            features = shape[1] * shape[2] * shape[3]
            layer = sfconv.linear(context, features, self.random.randint(1, 30),
                                  bias=self.random.random() < 0.5)

            def reference(p, training, x):
                return F.linear(x.flatten(1), p["weight"], p.get("bias"))[:, :, None, None]

            self.assert_layer_agrees(layer, reference, [floats(*shape)])

    def test_batchnorm2d_with_running_statistics(self):
        for _ in range(TRIALS):
            shape = self.shape(least=2)
            momentum, epsilon = self.random.uniform(0, 1), 10 ** self.random.uniform(-5, -2)
            layer = sfconv.batchnorm2d(context, shape[1], epsilon=epsilon, momentum=momentum)

            def reference(p, training, x):
                return F.batch_norm(x, p["running_mean"], p["running_var"], p["weight"], p["bias"],
                                    training, momentum, epsilon)

            offset, spread = 3 * floats(1, shape[1], 1, 1), floats(1, shape[1], 1, 1).exp()
            inputs = (offset + spread * floats(*shape)).float().double()
            with self.subTest(shape=shape, momentum=momentum, epsilon=epsilon):
                self.assert_layer_agrees(layer, reference, [inputs], tolerance=2e-5)

    def test_batchnorm2d_far_from_zero(self):
        """Where float loses its digits in sums of squares: the mean is 10,000 deviations."""
        layer = sfconv.batchnorm2d(context, 3)

        def reference(p, training, x):
            return F.batch_norm(x, p["running_mean"], p["running_var"], p["weight"], p["bias"],
                                training)

        self.assert_layer_agrees(layer, reference, [(1e4 + floats(4, 3, 20, 30)).float().double()])

    def test_activations(self):
        kinds = {"relu": F.relu, "leaky_relu": lambda x: F.leaky_relu(x, 0.2), "silu": F.silu,
                 "sigmoid": torch.sigmoid}
        for kind, function in kinds.items():
            layer = sfconv.activation(context, kind, slope=0.2)
            inputs = 4 * floats(*self.shape())
            with self.subTest(kind=kind):
                self.assert_layer_agrees(layer, lambda p, training, x: function(x), [inputs])

    def test_activations_of_nan_and_infinity(self):
        inputs = torch.tensor([float("inf"), -float("inf"), float("nan"), 0.0]).view(1, 1, 1, 4)
        kinds = {"relu": F.relu, "leaky_relu": F.leaky_relu, "silu": F.silu,
                 "sigmoid": torch.sigmoid}
        for kind, function in kinds.items():
            run = sfconv.Run.for_layer(sfconv.activation(context, kind), [1])
            run.reshape(inputs.shape)
            with self.subTest(kind=kind):
                torch.testing.assert_close(oracle.tensor(run.forward(inputs.numpy())),
                                           function(inputs), equal_nan=True)

    def test_of_equal_largest_values_the_first_takes_the_gradient(self):
        layer = sfconv.pool2d(context, "max", kernel=3, stride=1, padding=1)
        self.assert_layer_agrees(layer, lambda p, training, x: F.max_pool2d(x, 3, 1, 1),
                                 [torch.ones(2, 3, 7, 6).double()])

    def test_max_and_average_pooling(self):
        for kind in ("max", "average"):
            for _ in range(TRIALS):
                draw = self.random.randint
                kernel = draw(1, 4), draw(1, 4)
                stride = draw(1, 4), draw(1, 4)
                padding = tuple(draw(0, size // 2) for size in kernel)
                layer = sfconv.pool2d(context, kind, kernel, stride, padding)

                def reference(p, training, x):
                    if kind == "max":
                        return F.max_pool2d(x, kernel, stride, padding)
                    return F.avg_pool2d(x, kernel, stride, padding, count_include_pad=False)

                with self.subTest(kind=kind, kernel=kernel, stride=stride, padding=padding):
                    self.assert_layer_agrees(layer, reference, [floats(*self.shape(least=4))])

    def test_global_average_pooling(self):
        layer = sfconv.pool2d(context, "global_average")
        for _ in range(TRIALS // 3):
            self.assert_layer_agrees(layer, lambda p, training, x: F.adaptive_avg_pool2d(x, 1),
                                     [floats(*self.shape())])

    def test_upsampling(self):
        modes = {"nearest": {"mode": "nearest"},
                 "bilinear": {"mode": "bilinear", "align_corners": False},
                 "bilinear_aligned": {"mode": "bilinear", "align_corners": True}}
        for kind, mode in modes.items():
            for _ in range(TRIALS // 2):
                factor = self.random.randint(1, 4), self.random.randint(1, 4)
                layer = sfconv.upsample2d(context, kind, factor)

                def reference(p, training, x):
                    return F.interpolate(x, scale_factor=factor, **mode)

                shape = self.shape()
                with self.subTest(kind=kind, factor=factor, shape=shape):
                    self.assert_layer_agrees(layer, reference, [floats(*shape)])

    def test_sum_and_concatenation(self):
        for _ in range(TRIALS // 2):
            shapes = [self.shape()] * self.random.randint(2, 4)
            self.assert_layer_agrees(sfconv.add(context), lambda p, training, *x: sum(x),
                                     [floats(*shape) for shape in shapes])
            shapes = [(*shape[:1], self.random.randint(1, 9), *shape[2:]) for shape in shapes]
            self.assert_layer_agrees(sfconv.concat(context),
                                     lambda p, training, *x: torch.cat(x, 1),
                                     [floats(*shape) for shape in shapes])

    def test_dropout_zeroes_with_its_probability_and_keeps_the_mean(self):
        """The pattern is the library's own; what torch promises of its own holds for it."""
        probability = 0.3
        run = sfconv.Run.for_layer(sfconv.dropout(context, probability), [8], sfconv.TRAINING)
        run.want_input_gradients()
        run.reshape((4, 8, 50, 50))
        inputs = floats(4, 8, 50, 50)
        output = oracle.tensor(run.forward(oracle.buffer(inputs))).clone()
        kept = output != 0
        self.assertAlmostEqual(float(kept.double().mean()), 1 - probability, delta=0.01)
        self.assert_near(output, inputs * kept / (1 - probability), "kept elements are scaled")
        direction = floats(4, 8, 50, 50)
        sfconv.copy(run.output_gradient(), oracle.buffer(direction))
        run.backward()
        self.assert_near(oracle.tensor(run.input_gradient()),
                         direction * kept / (1 - probability), "gradients follow the pattern")


if __name__ == "__main__":
    oracle.main()
