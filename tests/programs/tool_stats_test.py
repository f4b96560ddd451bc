#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""sfconv stats: the moments of pixels, with and without the border of a photograph."""

import math
import os
import random
import signal
import statistics
import subprocess
import unittest

import png_files
from program_case import FAILURE, main, put_masks
from tool_case import TOOL, ToolCase


def moments(values):
    """Mean, deviation, skewness G1 and excess kurtosis G2, by their definitions."""
    n, mean = len(values), statistics.fmean(values)
    second, third, fourth = (statistics.fmean((v - mean) ** k for v in values) for k in (2, 3, 4))
    skewness = third / second ** 1.5 * math.sqrt(n * (n - 1)) / (n - 2)
    kurtosis = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (fourth / second ** 2 - 3) + 6)
    return [mean, statistics.stdev(values), skewness, kurtosis]


class Stats(ToolCase):
    NAMES = ("mean", "deviation", "skewness", "kurtosis")

    def rows(self, *arguments):
        self.sfconv("stats", *arguments, "--csv", "stats.csv")
        return self.table("stats.csv")

    def assert_row(self, row, images):
        """The row has mean and spread of the moments of these lists of pixels."""
        measured = list(zip(*map(moments, images)))
        for name, values in zip(self.NAMES, measured):
            self.assertAlmostEqual(float(row[name]), statistics.fmean(values), delta=2e-3)
            self.assertAlmostEqual(float(row[f"{name}_spread"]), statistics.stdev(values),
                                   delta=2e-3)

    def test_measures_are_those_of_their_definitions(self):
        chance = random.Random(5)
        images = []
        for i in range(3):
            pixels = [int(255 * chance.random() ** (i + 1)) for _ in range(12 * 9)]
            self.put(f"set/{i}.png", [bytes(pixels[y * 12:y * 12 + 12]) for y in range(9)])
            images.append(pixels)
        every, _ = self.rows("set")
        self.assertEqual([every[name] for name in ("pixels", "images", "kept")],
                         ["all", "3", "1.000000"])
        self.assert_row(every, images)

    def test_field_of_view_leaves_out_the_border_and_keeps_dark_spots_inside(self):
        chance = random.Random(6)
        inside = []
        for i in range(2):
            rows, own = [], []
            for y in range(20):
                row = [chance.randrange(8) for _ in range(20)]
                for x in range(20):
                    if (x - 9.5) ** 2 + (y - 9.5) ** 2 < 64:
                        row[x] = 3 if 8 <= x <= 9 and 8 <= y <= 9 else chance.randrange(60, 200)
                        own.append(row[x])
                rows.append(bytes(row))
            self.put(f"eyes/{i}.png", rows)
            inside.append(own)
        every, view = self.rows("eyes")
        self.assert_row(view, inside)
        self.assertAlmostEqual(float(view["kept"]), len(inside[0]) / 400, delta=1e-6)
        self.assertLess(float(every["mean"]), float(view["mean"]))

    def test_each_folder_has_its_rows(self):
        for name in ("a/0.png", "a/1.png", "b/c/0.png"):
            self.put(name, [bytes(range(8))] * 4)
        rows = self.rows("a", "b")
        self.assertEqual([(row["folder"], row["images"]) for row in rows],
                         [("a", "2"), ("a", "2"), ("b/c", "1"), ("b/c", "1")])

    def test_folders_within_a_folder_have_rows_for_all_of_them(self):
        chance, images = random.Random(7), []
        for name in ("set/a/0.png", "set/a/1.png", "set/b/0.png"):
            pixels = [chance.randrange(256) for _ in range(64)]
            self.put(name, [bytes(pixels[y * 8:y * 8 + 8]) for y in range(8)])
            images.append(pixels)
        rows = self.rows("set/")
        self.assertEqual([(row["folder"], row["pixels"], row["images"]) for row in rows[4:]],
                         [("set/**", "all", "3"), ("set/**", "field_of_view", "3")])
        self.assert_row(rows[4], images)

    def test_masks_beside_images_are_no_images(self):
        put_masks(self, "long", (2, 1, 1))
        for name in ("img", "gt"):
            self.put_flat(f"short/{name}/0.png")
        self.put_flat("alone/masks/0.png")
        self.assertEqual({row["folder"] for row in self.rows("long", "short", "alone")},
                         {"long/train/images", "long/val/images", "long/test/images", "long/**",
                          "short/img", "alone/masks"})

    def test_what_is_undefined_is_nan(self):
        self.put_flat("flat/0.png", value=100)
        self.put_flat("black/0.png", value=0)
        flat, _, black, nothing = self.rows("flat", "black")
        self.assertEqual((flat["skewness"], black["kurtosis"]), ("nan", "nan"))
        self.assertEqual((nothing["kept"], nothing["mean"]), ("0.000000", "nan"))
        self.assertAlmostEqual(float(flat["mean"]), 100, delta=1e-3)

    def test_folders_without_images_are_refused(self):
        (self.folder / "none/inner").mkdir(parents=True)
        for name in ("none", "gone"):
            self.assert_sfconv_refused(FAILURE, [name], "stats", name, "--csv", "stats.csv")
        self.assertEqual(self.content(), {})

    def test_a_damaged_image_is_named(self):
        self.put_flat("set/0.png")
        (self.folder / "set/1.png").write_bytes(b"no image")
        self.assert_sfconv_refused(FAILURE, ["set/1.png", "replace the file"], "stats", "set")

    def test_a_table_on_the_screen_has_no_nan(self):
        self.put_flat("flat/0.png", value=100)
        self.assertNotIn("nan", self.sfconv("stats", "flat"))

    def test_ctrl_c_leaves_no_half_table(self):
        picture = png_files.encode([bytes(range(256))] * 256)
        (self.folder / "b").mkdir()
        for i in range(600):
            (self.folder / f"b/{i}.png").write_bytes(picture)
        self.put_flat("a/0.png", value=100)
        process = subprocess.Popen([TOOL, "stats", "a", "b", "--csv", "stats.csv"],
                                   cwd=self.folder, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while "a " not in process.stdout.readline():
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        error = process.stderr.read()
        self.assertEqual((process.wait(), error.count("\n")), (FAILURE, 1))
        self.assertIn("stopped", error)
        self.assertEqual(sorted(os.listdir(self.folder)), ["a", "b"])


if __name__ == "__main__":
    main()
