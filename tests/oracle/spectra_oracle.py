# SPDX-License-Identifier: BSD-2-Clause
"""Spectra of factors against torch.linalg and its automatic differentiation."""

import itertools
import math

import oracle
import torch
from oracle import buffer, context, floats, tensor

import sfconv


def kl(matrix, kind):
    """F(s, u) or F(u, s) of the singular values, u uniform."""
    s = torch.linalg.svdvals(matrix)
    p = s / s.sum()
    if kind == "kl":
        return math.log(len(s)) + (p * p.log()).sum()
    return -math.log(len(s)) - p.log().mean()


def factor_matrices(p):
    """P with rows o·kh + i, and Q with columns c·kw + j."""
    rank = p["q.weight"].shape[0]
    return (p["p.weight"][..., 0].permute(0, 2, 1).reshape(-1, rank),
            p["q.weight"][:, :, 0].reshape(rank, -1))


KINDS_AND_METHODS = list(itertools.product(("kl", "kl_reverse"), ("gram", "exact")))


class KlTerm(oracle.Case):
    def assert_kl_agrees(self, matrix, tolerance):
        for kind, method in KINDS_AND_METHODS:
            matrix = matrix.detach().requires_grad_()
            expected = kl(matrix, kind)
            expected.backward()
            gradient = torch.zeros(matrix.shape)
            with self.subTest(kind=kind, method=method, shape=tuple(matrix.shape)):
                value = sfconv.kl(context, buffer(matrix), kind, method, 1.0, gradient.numpy())
                self.assertAlmostEqual(value, float(expected), delta=tolerance)
                self.assert_near(gradient, matrix.grad, "gradient", tolerance)

    def test_random_matrices_tall_and_wide(self):
        for _ in range(12):
            shape = self.random.randint(2, 60), self.random.randint(2, 60)
            self.assert_kl_agrees(floats(*shape), 1e-6)

    def test_singular_values_over_three_decades(self):
        u, _ = torch.linalg.qr(floats(40, 8))
        v, _ = torch.linalg.qr(floats(8, 8))
        matrix = (u * torch.logspace(0, -3, 8, dtype=torch.double)) @ v
        self.assert_kl_agrees(matrix.float().double(), 1e-6)

    def test_equal_singular_values_have_value_and_gradient_zero(self):
        q, _ = torch.linalg.qr(floats(30, 6))
        for kind, method in KINDS_AND_METHODS:
            gradient = torch.zeros(30, 6)
            with self.subTest(kind=kind, method=method):
                value = sfconv.kl(context, buffer(2 * q), kind, method, 1.0, gradient.numpy())
                self.assertLess(abs(value), 1e-10)
                self.assertLess(float(gradient.norm()), 1e-6)

    def test_the_weighted_gradient_is_added(self):
        matrix = floats(9, 5)
        alone, added = torch.zeros(9, 5), torch.ones(9, 5)
        sfconv.kl(context, buffer(matrix), "kl", "gram", 1.0, alone.numpy())
        sfconv.kl(context, buffer(matrix), "kl", "gram", 3.0, added.numpy())
        self.assert_near(added, 1 + 3 * alone, "gradient", 1e-6)


class FactorizedLayers(oracle.Case):
    def layer(self, **settings):
        layer = sfconv.sfconv2d(context, 12, 20, kernel=(3, 3), rank=7, **settings)
        return layer, oracle.draw_parameters(layer.parameters())

    def test_singular_values_and_their_measures(self):
        layer, parameters = self.layer()
        left, right = factor_matrices(parameters)
        expected = {"p": left, "q": right, "product": left @ right}
        for method in ("gram", "exact"):
            layer.svd_update(method)
            for factor, matrix in expected.items():
                values = torch.linalg.svdvals(matrix)[:layer.rank]
                found = torch.tensor(layer.singular_values(factor), dtype=torch.double)
                self.assert_near(found, values, f"singular values of {factor}", 1e-6)
            for factor in ("p", "q"):
                values = torch.linalg.svdvals(expected[factor])
                p = values / values.sum()
                spectrum = layer.spectrum(factor)
                self.assertEqual(spectrum.count, layer.rank)
                for name, number in {
                        "largest": values[0], "smallest": values[-1],
                        "condition": values[0] / values[-1],
                        "effective_rank": torch.exp(-(p * p.log()).sum()),
                        "kl": kl(expected[factor], "kl"),
                        "kl_reverse": kl(expected[factor], "kl_reverse")}.items():
                    self.assert_numbers_near(getattr(spectrum, name), number, name)

    def test_regularizers_and_their_gradients_in_a_run(self):
        terms = {
            "kl": lambda p, q: kl(p, "kl") + kl(q, "kl"),
            "kl_reverse": lambda p, q: kl(p, "kl_reverse") + kl(q, "kl_reverse"),
            "frobenius": lambda p, q: (p @ q).pow(2).sum() / 2,
        }
        for regularizer, term in terms.items():
            layer, parameters = self.layer(regularizer=regularizer, regularizer_weight=0.25)
            expected = term(*factor_matrices(parameters))
            expected.backward()
            run = sfconv.Run.for_layer(layer, [12], sfconv.TRAINING)
            run.reshape((1, 12, 8, 8))
            with self.subTest(regularizer=regularizer):
                self.assert_numbers_near(run.regularize(), 0.25 * expected, "λ·F")
                self.assert_numbers_near(layer.regularizer(), expected, "F by Gram matrix")
                self.assert_numbers_near(layer.regularizer("exact"), expected, "F exactly")
                for name, gradient in run.parameter_gradients().items():
                    own = parameters[name.partition(".")[2]]
                    self.assert_near(tensor(gradient), 0.25 * own.grad, name)

    def test_composition_decomposition_and_cut(self):
        layer, parameters = self.layer(bias=True)
        left, right = factor_matrices(parameters)
        product = left @ right
        dense = layer.compose()
        weight = product.reshape(20, 3, 12, 3).permute(0, 2, 1, 3)
        self.assert_near(tensor(dense.parameters()["weight"].data), weight, "composed weight")

        u, s, v = torch.linalg.svd(product, full_matrices=False)
        for rank in (1, 3, 7):
            best = (u[:, :rank] * s[:rank]) @ v[:rank]
            error = s[rank:].norm() / s.norm()
            for found, made in (("cut", layer.cut_rank(rank)),
                                ("decomposed", dense.decompose(rank=rank))):
                factors = {name: tensor(parameter.data).double()
                           for name, parameter in made[0].parameters().items()}
                p, q = factor_matrices(factors)
                self.assert_near(p @ q, best, f"{found} to rank {rank}")
                self.assertAlmostEqual(made[1], float(error), delta=1e-6)

    def test_rebalanced_factors_share_their_singular_values(self):
        layer, parameters = self.layer()
        left, right = factor_matrices(parameters)
        layer.rebalance()
        now = {name: tensor(parameter.data).double()
               for name, parameter in layer.parameters().items()}
        p, q = factor_matrices(now)
        self.assert_near(p @ q, left @ right, "product")
        roots = torch.linalg.svdvals(left @ right)[:7].sqrt()
        self.assert_near(torch.linalg.svdvals(p), roots, "singular values of P")
        self.assert_near(torch.linalg.svdvals(q), roots, "singular values of Q")


if __name__ == "__main__":
    oracle.main()
