#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Trainings from start to end: they learn, come again bit for bit, can be stopped, and what they
save does the same again."""

import os
import pathlib
import re
import signal
import subprocess
import time
import unittest

import png_files
from program_case import (FAILURE, PROGRAMS, ProgramCase, main, number_after, put_classes,
                          put_masks, stripes)

TEST_DATA = pathlib.Path(os.environ.get("SFCONV_TEST_DATA", ""))
NO_TEST_DATA = "SFCONV_TEST_DATA names no folder with real images"


class Segmenting(ProgramCase):
    def test_learns_to_find_rectangles(self):
        put_masks(self, "set", (32, 8, 8), 32)
        output = self.run_well("segmenter", "--data", "set", "--epochs", 12, "--rate", 0.01)
        self.assertIn("32 images to train on, 8 to validate, 8 to test", output)
        self.assertGreater(number_after(output, "test: Dice"), 0.85)

    def test_writes_pictures_of_the_size_of_the_images(self):
        put_masks(self, "set", (8, 2, 3), 21)
        self.run_well("segmenter", "--data", "set", "--epochs", 1, "--output", "out")
        for number in (1, 2, 3):
            for kind, channels in [("input", 1), ("mask", 1), ("compared", 3)]:
                path = self.folder / f"out/segmenter-{number:02}-{kind}.png"
                self.assertEqual(png_files.read(path)[:3], (21, 21, channels))
        width, height, channels, _ = png_files.read(self.folder / "out/segmenter-sheet.png")
        self.assertEqual((width, height, channels), (4 * 25 + 4, 3 * 25 + 4, 3))

    def test_saved_model_draws_the_same_masks(self):
        put_masks(self, "set", (16, 4, 4), 27)
        self.run_well("segmenter", "--data", "set", "--epochs", 6, "--output", "out")
        inputs = [f"out/segmenter-{number:02}-input.png" for number in (1, 2, 3, 4)]
        self.run_well("predict", "out/segmenter.safetensors", *inputs, "--output", "again")
        found = 0
        for path in inputs:
            drawn = png_files.read(self.folder / path.replace("input", "mask"))
            again = png_files.read(
                self.folder / path.replace("out/", "again/").replace("input", "input-mask"))
            self.assertEqual(drawn, again)
            found += sum(map(sum, drawn[3]))
            self.assertLessEqual({value for row in drawn[3] for value in row}, {0, 255})
        self.assertGreater(found, 0, "all masks are empty: nothing was compared")

    def test_made_images_need_no_data(self):
        output = self.run_well("segmenter", "--images", 8, "--size", 32, "--epochs", 1)
        self.assertIn("8 images to train on, 3 to validate, 3 to test", output)

    def test_windows_smaller_than_the_images(self):
        put_masks(self, "set", (8, 2, 2), 40)
        for network, crop in [("tiny_segmenter", 24), ("unet", 16)]:
            self.run_well("segmenter", "--data", "set", "--model", network, "--crop", crop,
                          "--epochs", 1, "--output", network)

    def test_odd_sizes_and_batches_larger_than_the_set(self):
        put_masks(self, "set", (5, 2, 2), 19)
        self.run_well("segmenter", "--data", "set", "--batch", 1000, "--epochs", 1)
        self.run_well("segmenter", "--data", "set", "--size", 33, "--epochs", 1)

    def test_ranks_are_cut_to_what_a_layer_can_have(self):
        put_masks(self, "set")
        for rho in ("1e9", "1/64"):
            self.run_well("segmenter", "--data", "set", "--rho", rho, "--epochs", 1)

    def test_one_rgb_image_among_gray_ones_makes_the_network_rgb(self):
        put_masks(self, "set")
        gray = png_files.read(self.folder / "set/train/images/004.png")[3]
        self.put("set/train/images/004.png",
                 [bytes(value for value in row for _ in range(3)) for row in gray], 3)
        self.run_well("segmenter", "--data", "set", "--epochs", 1, "--output", "out")
        model = (self.folder / "out/segmenter.safetensors").read_bytes()
        self.assertIn(b'"input.mean.2"', model)
        self.run_well("predict", "out/segmenter.safetensors", "set/train/images/000.png")


class Classifying(ProgramCase):
    def test_learns_to_tell_lines_from_grids(self):
        put_classes(self, "set", (24, 6, 8), 24)
        output = self.run_well("classifier", "--data", "set", "--epochs", 10, "--batch", 8,
                               "--output", "out")
        self.assertGreater(number_after(output, "test: accuracy"), 0.9)
        answers = self.run_well("predict", "out/classifier.safetensors",
                                "set/test/grid/000.png", "set/test/lines/000.png")
        self.assertRegex(answers, r"set/test/grid/000.png: grid \([0-9.]+ %\)\n"
                                  r"set/test/lines/000.png: lines \([0-9.]+ %\)\n")

    def test_shows_every_class(self):
        put_classes(self, "set", (8, 2, 6))
        output = self.run_well("classifier", "--data", "set", "--epochs", 1)
        self.assertEqual(set(re.findall(r"class '(\w+)'", output)), {"grid", "lines"})

    def test_gives_up_training_images_where_there_are_none_to_validate(self):
        put_classes(self, "set", (20, 0, 4))
        output = self.run_well("classifier", "--data", "set", "--epochs", 1)
        self.assertIn("34 images to train on, 6 to validate, 8 to test", output)

    def test_says_when_it_is_judged_by_validation_images(self):
        put_classes(self, "set", (20, 4, 0))
        output = self.run_well("classifier", "--data", "set", "--epochs", 1)
        self.assertIn("validation (no test images): accuracy", output)

    def test_splits_a_folder_without_parts_the_same_way_for_every_seed(self):
        for i in range(20):
            for name in ("grid", "lines"):
                self.put(f"set/{name}/{i:03}.png", stripes(16, i, name == "lines"), 3)
        shown = []
        for seed in (1, 2):
            output = self.run_well("classifier", "--data", "set", "--epochs", 1, "--seed", seed,
                                   "--output", f"out{seed}")
            self.assertIn("28 images to train on, 6 to validate, 6 to test", output)
            shown.append((self.folder / f"out{seed}/classifier-01-input.png").read_bytes())
        self.assertEqual(shown[0], shown[1])

    def test_counts_files_that_are_passed_over(self):
        put_classes(self, "set")
        (self.folder / "set/train/grid/notes.txt").write_text("hello")
        self.assertIn("; 1 other file is passed over",
                      self.run_well("classifier", "--data", "set", "--epochs", 1))


class Repeating(ProgramCase):
    def test_same_seed_gives_the_same_model_for_any_number_of_workers(self):
        put_masks(self, "masks", size=24)
        put_classes(self, "classes", size=24)
        for program, data in [("segmenter", "masks"), ("classifier", "classes")]:
            models = {}
            for run, arguments in [("one", ("--workers", 1)), ("two", ("--workers", 2)),
                                   ("other", ("--workers", 2, "--seed", 9))]:
                output = f"{program}-{run}"
                self.run_well(program, "--data", data, "--epochs", 2, "--batch", 4, "--output",
                              output, *arguments)
                models[run] = self.content(output)
            bits = {run: content[f"{program}-{run}/{program}.safetensors"]
                    for run, content in models.items()}
            self.assertEqual(bits["one"], bits["two"])
            self.assertNotEqual(bits["one"], bits["other"])


class Stopping(ProgramCase):
    def start(self, name, *arguments):
        process = subprocess.Popen([PROGRAMS / name, *map(str, arguments)], cwd=self.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_keeps_the_best_epoch(self):
        put_masks(self, "set")
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start("segmenter", "--data", "set", "--epochs", 1000000, "--output",
                                 "out")
            while "epoch 2/" not in process.stdout.readline():
                self.assertIsNone(process.poll())
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
            self.assertEqual((process.returncode, errors), (0, ""))
            self.assertRegex(output, r"stopped after epoch \d+; epoch \d+, the best one, is kept")
            self.run_well("predict", "out/segmenter.safetensors", "set/test/images/000.png")

    def test_before_the_first_epoch_leaves_earlier_results_intact(self):
        put_masks(self, "set")
        self.run_well("segmenter", "--data", "set", "--epochs", 1, "--output", "out")
        before = self.content()
        process = self.start("segmenter", "--model", "unet", "--images", 64, "--size", 96,
                             "--method", "conv", "--output", "out")
        self.assertIn("64 images", process.stdout.readline())
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, FAILURE)
        self.assertIn("stopped before the first epoch was over", errors)
        self.assertEqual(self.content(), before)

    def test_twice_ends_at_once(self):
        process = self.start("segmenter", "--model", "unet", "--images", 8, "--size", 256,
                             "--method", "conv", "--batch", 2)
        self.assertIn("8 images", process.stdout.readline())
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        self.assertEqual(process.returncode, -signal.SIGINT)


class RealImages(ProgramCase):
    @unittest.skipUnless((TEST_DATA / "rossa").is_dir(), NO_TEST_DATA)
    def test_vessels_of_rossa(self):
        output = self.run_well("segmenter", "--data", TEST_DATA / "rossa", "--leave-out",
                               "val/images/131", "--leave-out", "val/images/168", "--size", 96,
                               "--epochs", 3)
        self.assertIn("100 images to train on, 98 to validate, 100 to test", output)
        self.assertGreater(number_after(output, "test: Dice"), 0.4)

    @unittest.skipUnless((TEST_DATA / "bccd").is_dir(), NO_TEST_DATA)
    def test_cells_of_bccd(self):
        output = self.run_well("classifier", "--data", TEST_DATA / "bccd", "--size", 32,
                               "--epochs", 4)
        self.assertGreater(number_after(output, "test: accuracy"), 0.8)


if __name__ == "__main__":
    main()
