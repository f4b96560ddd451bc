# SPDX-License-Identifier: BSD-2-Clause
"""Losses and optimizers against torch.nn.functional and torch.optim."""

import oracle
import torch
from oracle import buffer, context, floats, tensor
from torch.nn import functional as F

import sfconv


class Losses(oracle.Case):
    def assert_loss_agrees(self, call, logits, expected):
        """call(logits, gradient) is the library's, expected a scalar of torch."""
        gradient = torch.full(logits.shape, float("nan"))
        value = call(buffer(logits), gradient.numpy())
        self.assert_numbers_near(value, expected, "value", 1e-6)
        expected.backward()
        self.assert_near(gradient, logits.grad, "gradient")
        self.assertEqual(call(buffer(logits), None), value, "a gradient that is not wanted")

    def test_cross_entropy_with_weights_and_smoothing(self):
        for weighted in (False, True):
            for smoothing in (0.0, 0.1, 0.7):
                batch, classes = self.random.randint(1, 20), self.random.randint(2, 12)
                labels = torch.randint(0, classes, (batch,))
                weights = torch.rand(classes) + 0.1 if weighted else None
                logits = (5 * floats(batch, classes, 1, 1)).requires_grad_()
                expected = F.cross_entropy(logits[:, :, 0, 0], labels, label_smoothing=smoothing,
                                           weight=weights.double() if weighted else None)

                def call(logits, gradient):
                    return sfconv.cross_entropy(
                        context, logits, labels.tolist(), label_smoothing=smoothing,
                        class_weights=weights.tolist() if weighted else None, gradient=gradient)

                with self.subTest(weighted=weighted, smoothing=smoothing, batch=batch):
                    self.assert_loss_agrees(call, logits, expected)

    def maps(self):
        draw = self.random.randint
        shape = draw(1, 3), draw(1, 3), draw(1, 40), draw(1, 40)
        return (4 * floats(*shape)).requires_grad_(), torch.rand(shape).double()

    def test_binary_cross_entropy_with_positive_weight(self):
        for weight in (1.0, 0.3, 8.0):
            logits, targets = self.maps()
            targets = targets.float().double()
            expected = F.binary_cross_entropy_with_logits(
                logits, targets, pos_weight=torch.tensor(weight, dtype=torch.double))
            self.assert_loss_agrees(
                lambda x, gradient: sfconv.bce(context, x, buffer(targets), weight, gradient),
                logits, expected)

    def test_logits_beyond_the_range_of_exp(self):
        for size in (90.0, 1e3, 1e30):
            logits = torch.tensor([size, -size, 0.0]).double().view(1, 3, 1, 1).requires_grad_()
            targets = torch.tensor([0.0, 1.0, 1.0]).double().view(1, 3, 1, 1)
            with self.subTest(size=size):
                self.assert_loss_agrees(
                    lambda x, gradient: sfconv.bce(context, x, buffer(targets), gradient=gradient),
                    logits, F.binary_cross_entropy_with_logits(logits, targets))
                logits.grad = None
                self.assert_loss_agrees(
                    lambda x, gradient: sfconv.cross_entropy(context, x, [1], gradient=gradient),
                    logits, F.cross_entropy(logits[:, :, 0, 0], torch.tensor([1])))

    @staticmethod
    def dice(logits, targets, smooth):
        p = torch.sigmoid(logits)
        overlap = 2 * (p * targets).sum((2, 3)) + smooth
        return 1 - (overlap / (p.sum((2, 3)) + targets.sum((2, 3)) + smooth)).mean()

    def test_soft_dice(self):
        for smooth in (1.0, 0.01):
            logits, targets = self.maps()
            targets = targets.round()
            self.assert_loss_agrees(
                lambda x, gradient: sfconv.dice(context, x, buffer(targets), smooth, gradient),
                logits, self.dice(logits, targets, smooth))

    def test_binary_cross_entropy_with_dice(self):
        logits, targets = self.maps()
        targets = targets.round()
        expected = (0.7 * F.binary_cross_entropy_with_logits(logits, targets)
                    + 1.3 * self.dice(logits, targets, 1.0))
        self.assert_loss_agrees(
            lambda x, gradient: sfconv.bce_dice(context, x, buffer(targets), 0.7, 1.3, gradient),
            logits, expected)

    def test_mean_squared_error(self):
        values, targets = self.maps()
        targets = targets.float().double()
        self.assert_loss_agrees(
            lambda x, gradient: sfconv.mse(context, x, buffer(targets), gradient),
            values, F.mse_loss(values, targets))


class SmallNet:
    """A dense and a factorized convolution with BatchNorm, and a linear head, in the library and in
    torch with the same parameters."""

    CLASSES = 4
    SHAPE = (6, 3, 12, 10)

    def __init__(self):
        self.net = net = sfconv.Net(context)
        node = net.add_input("image", 3)
        node = net.add("conv", sfconv.conv2d(context, 3, 8), node)
        node = net.add("bn", sfconv.batchnorm2d(context, 8), node)
        node = net.add("silu", sfconv.activation(context, "silu"), node)
        node = net.add("factors", sfconv.sfconv2d(context, 8, 8, rank=3, bias=True), node)
        node = net.add("pool", sfconv.pool2d(context, "global_average"), node)
        net.add_output(net.add("fc", sfconv.linear(context, 8, self.CLASSES), node))
        net.initialize(oracle.SEED)
        self.parameters = oracle.draw_parameters(net.parameters())
        self.run = sfconv.Run(net, sfconv.TRAINING)
        self.run.reshape(self.SHAPE)

    def trainable(self, names=None):
        return [value for name, value in self.parameters.items()
                if value.requires_grad and (names is None or name in names)]

    def forward(self, x):
        p = self.parameters
        x = F.conv2d(x, p["conv.weight"], padding=1)
        x = F.silu(F.batch_norm(x, p["bn.running_mean"], p["bn.running_var"], p["bn.weight"],
                                p["bn.bias"], True))
        x = F.conv2d(x, p["factors.q.weight"], padding=(0, 1))
        x = F.conv2d(x, p["factors.p.weight"], p["factors.bias"], padding=(1, 0))
        return F.linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"])

    def step(self, inputs, labels, optimizer, rate, torch_optimizer):
        torch_optimizer.zero_grad()
        F.cross_entropy(self.forward(inputs), labels).backward()
        torch_optimizer.step()

        logits = self.run.forward(buffer(inputs))
        sfconv.cross_entropy(context, logits, labels.tolist(),
                             gradient=self.run.output_gradient())
        self.run.zero_gradients()
        self.run.backward()
        optimizer.step(self.run, rate)


class Optimizers(oracle.Case):
    STEPS = 10
    RATE = 0.05

    def assert_steps_agree(self, torch_class, torch_settings, rate=RATE, groups=None, **settings):
        """Ten steps of both optimizers; then all parameters and running statistics agree."""
        small = SmallNet()
        optimizer = sfconv.Optimizer(small.net, **settings)
        reference = torch_class(groups(small) if groups else small.trainable(), lr=rate,
                                **torch_settings)
        for _ in range(self.STEPS):
            labels = torch.randint(0, small.CLASSES, small.SHAPE[:1])
            small.step(floats(*small.SHAPE), labels, optimizer, rate, reference)
        self.assertEqual(optimizer.steps, self.STEPS)
        for name, parameter in small.net.parameters().items():
            self.assert_near(tensor(parameter.data), small.parameters[name], name, 1e-4)

    def test_sgd(self):
        self.assert_steps_agree(torch.optim.SGD, {}, kind="sgd", momentum=0.0)

    def test_sgd_with_momentum(self):
        self.assert_steps_agree(torch.optim.SGD, {"momentum": 0.9}, kind="sgd", momentum=0.9)

    def test_sgd_with_nesterov(self):
        self.assert_steps_agree(torch.optim.SGD, {"momentum": 0.8, "nesterov": True}, kind="sgd",
                                momentum=0.8, nesterov=True)

    def test_sgd_with_weight_decay_of_everything(self):
        self.assert_steps_agree(torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.02},
                                kind="sgd", momentum=0.9, weight_decay=0.02,
                                decay_bias_and_norm=True)

    def test_adam(self):
        self.assert_steps_agree(torch.optim.Adam, {"betas": (0.8, 0.95)}, rate=0.01, kind="adam",
                                beta1=0.8, beta2=0.95)

    def test_adam_with_weight_decay_of_everything(self):
        self.assert_steps_agree(torch.optim.Adam, {"weight_decay": 0.05, "eps": 1e-6}, rate=0.01,
                                kind="adam", weight_decay=0.05, epsilon=1e-6,
                                decay_bias_and_norm=True)

    def test_adamw(self):
        self.assert_steps_agree(torch.optim.AdamW, {"weight_decay": 0.1}, rate=0.01, kind="adamw",
                                weight_decay=0.1, decay_bias_and_norm=True)

    def test_decay_of_dense_weights_alone(self):
        """Without decay_factors and decay_bias_and_norm, the weights of conv and fc decay."""
        decaying = ("conv.weight", "fc.weight")

        def groups(small):
            rest = [name for name in small.parameters if name not in decaying]
            return [{"params": small.trainable(decaying), "weight_decay": 0.1},
                    {"params": small.trainable(rest), "weight_decay": 0.0}]

        self.assert_steps_agree(torch.optim.AdamW, {}, rate=0.01, groups=groups, kind="adamw",
                                weight_decay=0.1, decay_factors=False)


class Schedules(oracle.Case):
    def torch_rates(self, rate, make, steps):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
        schedule = make(optimizer)
        rates = []
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return rates

    def test_steps(self):
        schedule = sfconv.Schedule(context, "step", rate=0.3, factor=0.5, period=3)
        expected = self.torch_rates(
            0.3, lambda o: torch.optim.lr_scheduler.StepLR(o, 3, gamma=0.5), 12)
        for step, rate in enumerate(expected):
            self.assertAlmostEqual(schedule.rate(step), rate, places=12)

    def test_cosine(self):
        schedule = sfconv.Schedule(context, "cosine", rate=0.3, factor=0.1, total=20)
        expected = self.torch_rates(
            0.3, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20, eta_min=0.03), 20)
        for step, rate in enumerate(expected):
            self.assertAlmostEqual(schedule.rate(step), rate, places=9)


class Clipping(oracle.Case):
    def test_clipping_by_the_common_norm(self):
        small = SmallNet()
        labels = torch.randint(0, small.CLASSES, small.SHAPE[:1])
        inputs = floats(*small.SHAPE)
        F.cross_entropy(small.forward(inputs), labels).backward()
        expected = torch.nn.utils.clip_grad_norm_(small.trainable(), 0.01)

        logits = small.run.forward(buffer(inputs))
        sfconv.cross_entropy(context, logits, labels.tolist(),
                             gradient=small.run.output_gradient())
        small.run.backward()
        self.assert_numbers_near(small.run.clip_gradients(0.01), expected, "norm")
        for name, gradient in small.run.parameter_gradients().items():
            self.assert_near(tensor(gradient), small.parameters[name].grad, name)


if __name__ == "__main__":
    oracle.main()
