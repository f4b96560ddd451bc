#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""sfconv compress: the ranks that were asked for, the error that is told, a model that works."""

import json
import math
import re
import resource
import struct
import unittest

from program_case import FAILURE, USAGE, main, put_classes, put_masks
from tool_case import ToolCase


class Compress(ToolCase):
    def setUp(self):
        super().setUp()
        put_masks(self, "set")

    def facts(self, model):
        return json.loads(self.sfconv("info", model, "--json"))

    def ranks(self, model):
        return [layer["rank"] for layer in self.facts(model)["layers"] if layer["rank"]]

    def tensor(self, model, name):
        """Numbers of a tensor in the order of the file, and its shape."""
        data = (self.folder / model).read_bytes()
        length = struct.unpack_from("<Q", data)[0]
        entry = json.loads(data[8:8 + length])[name]
        first, last = (8 + length + offset for offset in entry["data_offsets"])
        return struct.unpack(f"<{(last - first) // 4}f", data[first:last]), entry["shape"]

    def test_errors_are_those_of_the_weights(self):
        dense = self.segmenter("--method", "conv")
        table = self.sfconv("compress", dense, "--rho", "1/16", "--output", "small")
        name = "inc.double_conv.3"
        told = float(re.search(rf"{re.escape(name)} .* (\S+)\n", table).group(1))
        weight, (outs, ins, height, width) = self.tensor(dense, f"{name}.weight")
        q, (rank, *_) = self.tensor("small", f"{name}.q.weight")
        p, _ = self.tensor("small", f"{name}.p.weight")
        distance = 0.0
        for o in range(outs):
            for c in range(ins):
                for i in range(height):
                    for j in range(width):
                        product = sum(p[(o * rank + t) * height + i] * q[(t * ins + c) * width + j]
                                      for t in range(rank))
                        distance += (weight[((o * ins + c) * height + i) * width + j]
                                     - product) ** 2
        self.assertAlmostEqual(told, math.sqrt(distance / sum(w * w for w in weight)), delta=1e-5)

    def test_full_rank_changes_nothing(self):
        for method, program in (("conv", "dense"), ("sfconv", "factorized")):
            with self.subTest(method=method):
                model = self.segmenter("--method", method)
                table = self.sfconv("compress", model, "--rho", "1e6", "--output", "full")
                self.assertEqual(set(re.findall(r"0\.\d{6}$", table, re.MULTILINE)), {"0.000000"},
                                 program)
                self.assertEqual(self.sfconv("eval", "full", "set", "--set", "all", "--json")[:60],
                                 self.sfconv("eval", model, "set", "--set", "all", "--json")[:60])

    def test_ranks_follow_the_rule_and_never_grow(self):
        dense = self.segmenter("--method", "conv")
        self.sfconv("compress", dense, "--rho", "1/8", "--min-rank", "3", "--output", "a")
        self.assertEqual(min(self.ranks("a")), 3)
        self.assertEqual(max(self.ranks("a")), 8)
        self.sfconv("compress", "a", "--rho", "1/16", "--min-rank", "2", "--output", "b")
        self.assertEqual(self.ranks("b"), [max(2, rank // 2) if rank > 3 else 2
                                           for rank in self.ranks("a")])
        self.sfconv("compress", "b", "--rho", "1e6", "--output", "c")
        self.assertEqual(self.ranks("c"), self.ranks("b"))

    def test_budgets_are_kept_and_used(self):
        for method in ("conv", "sfconv"):
            model = self.segmenter("--method", method)
            self.sfconv("compress", model, "--rho", "1e-9", "--output", "least")
            for kind, name in (("params", "parameters"), ("macs", "macs")):
                with self.subTest(method=method, kind=kind):
                    least, most = self.facts("least")[name], self.facts(model)[name]
                    budget = (least + most) // 2
                    self.sfconv("compress", model, "--budget", f"{kind}={budget}", "--output",
                                "small")
                    self.assertLessEqual(self.facts("small")[name], budget)
                    self.assertGreater(self.facts("small")[name], budget * 0.9)

    def test_energy_is_kept(self):
        dense = self.segmenter("--method", "conv")
        table = self.sfconv("compress", dense, "--budget", "energy=0.75", "--output", "small")
        errors = [float(line.split()[-1]) for line in table.split("\n\n")[0].splitlines()[1:]]
        self.assertGreater(len(errors), 10)
        self.assertLessEqual(max(errors), 0.5 + 1e-6)

    def test_classifiers_load_and_predict(self):
        put_classes(self, "classes")
        for method in ("conv", "fconv", "fconvsn"):
            with self.subTest(method=method):
                model = self.classifier("--method", method, data="classes")
                self.sfconv("compress", model, "--rho", "1/8", "--output", "small")
                self.sfconv("predict", "small", "classes/test/grid", "--output", "out")
                self.assertEqual(len(self.table("out/predictions.csv")), 2)

    def test_what_cannot_be_done_is_refused(self):
        model = self.segmenter()
        separable = self.segmenter("--method", "dpcconv", "--output", "other")
        separable = separable.replace("model/", "other/")
        before = self.content()
        for status, text, arguments in [
            (USAGE, "--output", [model, "--rho", "1/8"]),
            (USAGE, "either", [model, "--output", "x"]),
            (USAGE, "either", [model, "--output", "x", "--rho", "1", "--budget", "macs=1"]),
            (USAGE, "--min-rank", [model, "--output", "x", "--min-rank", 2, "--budget", "macs=1"]),
            (USAGE, "'size=3'", [model, "--output", "x", "--budget", "size=3"]),
            (USAGE, "'x'", [model, "--output", "x", "--budget", "params=x"]),
            (USAGE, "energy=2", [model, "--output", "x", "--budget", "energy=2"]),
            (FAILURE, "above the budget 3", [model, "--output", "x", "--budget", "params=3"]),
            (FAILURE, "no ranks", [separable, "--output", "x", "--rho", "1/8"]),
            (FAILURE, "gone/x", [model, "--output", "gone/x", "--rho", "1/8"]),
        ]:
            with self.subTest(arguments=arguments):
                self.assert_sfconv_refused(status, [text], "compress", *arguments)
        self.assertEqual(self.content(), before)

    def test_a_full_disk_leaves_what_was_there(self):
        model = self.segmenter()
        self.sfconv("compress", model, "--rho", "1/8", "--output", "small")
        before = self.content()
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        self.assert_sfconv_refused(FAILURE, ["small"], "compress", model, "--rho", "1/4",
                                   "--output", "small", preexec_fn=limit)
        self.assertEqual(self.content(), before)


if __name__ == "__main__":
    main()
