#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""sfconv on model files: what is in them, how good they are, what they answer."""

import json
import math
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import unittest
import zlib
from xml.etree import ElementTree

import png_files
from program_case import (FAILURE, USAGE, blot, main, number_after, put_classes, put_masks,
                          stripes)
from tool_case import ROOT, TOOL, ToolCase


def limit_files_to(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


class Info(ToolCase):
    def test_counts_are_those_of_the_training_program(self):
        put_masks(self, "set")
        table = self.run_well("segmenter", "--data", "set", "--epochs", 1, "--output", "model")
        facts = json.loads(self.sfconv("info", "model/segmenter.safetensors", "--json", "--size",
                                       16))
        self.assertIn(f" {facts['parameters']:,} ", table)
        self.assertIn(f" {facts['macs']:,} ", table)
        self.assertEqual(facts["flops"], 2 * facts["macs"])
        self.assertEqual(sum(layer["parameters"] for layer in facts["layers"]),
                         facts["parameters"])
        self.assertEqual(facts["metadata"]["task"], "segment")
        self.assertEqual(facts["metadata"]["network"], "tiny_segmenter")

    def test_sizes_are_rounded_to_what_the_network_takes(self):
        put_masks(self, "set")
        model = self.segmenter()
        facts = json.loads(self.sfconv("info", model, "--json", "--size", "17x40"))
        self.assertEqual((facts["width"], facts["height"]), (24, 40))

    def test_counts_are_for_an_image_of_the_training(self):
        put_masks(self, "set", size=40)
        for output, options, side in [("as-is", [], 40), ("resized", ["--size", 24], 24)]:
            self.sfconv("train", "set", "--task", "segment", "--epochs", 1, "--output", output,
                        *options, "--crop", 16)
            facts = json.loads(self.sfconv("info", f"{output}/best.safetensors", "--json"))
            self.assertEqual((facts["width"], facts["height"]), (side, side))

    def test_tables_show_ranks_costs_texts_and_the_plan(self):
        put_classes(self, "set")
        text = self.sfconv("info", self.classifier("--size", 24), "--plan")
        for part in ("sfconv2d", "for one image of 24x24", "multiply-adds", "class.0: grid",
                     "input.size.0: 24"):
            self.assertIn(part, text)
        self.assertGreater(len(text.split("method: sfconv\n")[1].splitlines()), 10)

    def test_the_state_of_a_training_is_no_model(self):
        put_masks(self, "set")
        self.sfconv("train", "set", "--task", "segment", "--epochs", 1, "--output", "out")
        state = "out/state.safetensors"
        for arguments in (["info", state], ["spectrum", state], ["bench", state],
                          ["eval", state, "set"], ["compress", state, "--rho", 1, "--output", "x"],
                          ["predict", state, "set/test/images", "--output", "x"]):
            with self.subTest(arguments=arguments):
                self.assert_sfconv_refused(FAILURE, [state, "best.safetensors"], *arguments)

    def test_guide_names_every_text_of_a_model_file(self):
        put_classes(self, "set")
        self.sfconv("train", "set", "--task", "classify", "--epochs", 1, "--output", "out", "--size",
                    16, "--pad", "--field-of-view", "--group-by", ".", "--leave-out",
                    "train/grid/000", "--split-seed", 3)
        self.sfconv("compress", "out/best.safetensors", "--rho", "1/8", "--output", "small")
        facts = json.loads(self.sfconv("info", "small", "--json"))["metadata"]
        guide = (ROOT / "docs/tool.md").read_text(encoding="utf-8")
        for name in facts:
            name = re.sub(r"^(class|input.mean|input.deviation|split.left_out)\.\d+$", r"\1.N", name)
            self.assertIn(f"`{name}`", guide)
        self.assertEqual((facts["input.pad"], facts["split.left_out.0"]),
                         ("square", "train/grid/000"))

    def test_numbers_that_no_training_writes_are_refused_by_every_command(self):
        put_masks(self, "set")
        model = self.segmenter()
        for name, texts in (("input.multiple.0", ("65536", "0", "8x")),
                            ("input.size.0", ("65537", "24.5"))):
            for text in texts:
                retold = self.retold(model, name, text)
                for command in (["info", retold], ["bench", retold], ["spectrum", retold],
                                ["compress", retold, "--rho", "1/8", "--output", "out"],
                                ["eval", retold, "set"],
                                ["predict", retold, "set/test/images", "--output", "out"]):
                    with self.subTest(name=name, text=text, command=command[0]):
                        self.assert_sfconv_refused(FAILURE, [retold, f"{name} is '{text}'"],
                                                   *command)
        self.assertFalse((self.folder / "out").exists())

    def test_damaged_files_are_refused(self):
        put_masks(self, "set")
        content = (self.folder / self.segmenter()).read_bytes()
        (self.folder / "cut").write_bytes(content[:-1])
        (self.folder / "empty").write_bytes(b"")
        for name in ("cut", "empty"):
            self.assert_sfconv_refused(FAILURE, [name], "info", name)


class Spectrum(ToolCase):
    def test_measures_follow_from_the_singular_values(self):
        put_masks(self, "set")
        model = self.segmenter()
        table = self.sfconv("spectrum", model, "--csv", "values.csv")
        rows = self.table("values.csv")
        layers = {(row["layer"], row["factor"]) for row in rows}
        self.assertEqual(len(table.splitlines()), 1 + len(layers))
        for layer, factor in layers:
            own = [row for row in rows if (row["layer"], row["factor"]) == (layer, factor)]
            values = [float(row["singular_value"]) for row in own]
            parts = [value / sum(values) for value in values]
            self.assertEqual(values, sorted(values, reverse=True))
            self.assertEqual(len(values), int(own[0]["rank"]))
            kl = math.log(len(values)) + sum(part * math.log(part) for part in parts)
            self.assertAlmostEqual(float(own[0]["kl"]), kl, delta=1e-6)
            self.assertAlmostEqual(float(own[0]["effective_rank"]), len(values) / math.exp(kl),
                                   delta=1e-4 * len(values))
            self.assertAlmostEqual(float(own[0]["condition"]) * values[-1], values[0],
                                   delta=1e-5 * values[0])

    def test_histograms_count_every_weight_and_singular_value(self):
        put_masks(self, "set")
        model = self.segmenter()
        self.sfconv("spectrum", model, "--csv", "values.csv", "--histogram", "bins.csv")
        values = [float(row["singular_value"]) for row in self.table("values.csv")]
        bins = {"weight": [], "singular_value": []}
        for row in self.table("bins.csv"):
            name = row.pop("quantity")
            bins[name].append({key: float(text) for key, text in row.items()})
        for rows in bins.values():
            self.assertAlmostEqual(sum(row["density"] * (row["high"] - row["low"])
                                       for row in rows), 1, delta=1e-6)
        for row in bins["singular_value"][:-1]:
            self.assertAlmostEqual(sum(row["low"] <= value < row["high"] for value in values),
                                   row["count"], delta=1)
        self.assertEqual(sum(row["count"] for row in bins["singular_value"]), len(values))
        factors = [layer["parameters"] for layer in
                   json.loads(self.sfconv("info", model, "--json"))["layers"] if layer["rank"]]
        self.assertEqual(sum(row["count"] for row in bins["weight"]), sum(factors))

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_histograms_are_drawn(self):
        put_masks(self, "set")
        model = self.segmenter()
        self.sfconv("spectrum", model, "--plot", "figure.svg")
        picture = ElementTree.parse(self.folder / "figure.svg").getroot()
        texts = " ".join(picture.itertext())
        for label in ("weight of a factor (mean ", "singular value of a factor (mean "):
            self.assertIn(label, texts)
        before = self.content()
        self.assert_sfconv_refused(FAILURE, ["figure.svg"], "spectrum", model, "--plot",
                                   "figure.svg", preexec_fn=limit_files_to(8192))
        result = self.run_program(TOOL, "spectrum", model, "--plot", "other.svg",
                                  env={**os.environ, "PATH": str(self.folder)})
        self.assertEqual(result.returncode, FAILURE)
        self.assertIn("gnuplot", result.stderr)
        self.assertNotIn("--no-plots", result.stderr)
        self.assertEqual(self.content(), before)

    def test_a_dense_model_has_none(self):
        put_masks(self, "set")
        model = self.segmenter("--method", "conv")
        self.assert_sfconv_refused(FAILURE, [model, "no factorized layer", "compress"], "spectrum",
                                   model, "--csv", "values.csv")
        self.assertFalse((self.folder / "values.csv").exists())


class Eval(ToolCase):
    def test_repeats_the_score_of_the_training(self):
        put_masks(self, "masks", (8, 2, 5))
        put_classes(self, "classes", (8, 2, 5))
        for program, data, label in [("segmenter", "masks", "test: Dice"),
                                     ("classifier", "classes", "test: accuracy")]:
            output = self.run_well(program, "--data", data, "--epochs", 2, "--size", 24,
                                   "--output", "model")
            again = self.sfconv("eval", f"model/{program}.safetensors", data)
            self.assertEqual(number_after(again, label), number_after(output, label))
            self.assertNotIn("split by chance", again)
            self.assertIn("over 5 images" if data == "masks" else "over 10 images", again)

    def test_sets_can_be_chosen(self):
        put_masks(self, "set", (8, 3, 2))
        model = self.segmenter()
        counts = {name: json.loads(self.sfconv("eval", model, "set", "--set", name, "--json"))
                  for name in ("train", "val", "test", "all")}
        self.assertEqual({name: score["images"] for name, score in counts.items()},
                         {"train": 8, "val": 3, "test": 2, "all": 13})
        mean = sum(counts[name]["dice"] * counts[name]["images"]
                   for name in ("train", "val", "test")) / 13
        self.assertAlmostEqual(counts["all"]["dice"], mean, delta=1e-6)

    def test_images_are_split_as_they_were_in_the_training(self):
        for i in range(24):
            name = "grid" if i % 2 else "lines"
            self.put(f"set/{name}/p{i // 6}-{i}.png", stripes(16, i, name == "lines"), 3)
        output = self.sfconv("train", "set", "--task", "classify", "--epochs", 2, "--output",
                             "out", "--group-by", "^p([0-9]+)", "--leave-out", "lines/p0-0")
        model = "out/best.safetensors"
        score = json.loads(self.sfconv("eval", model, "set", "--json"))
        self.assertEqual(score["left_out"], ["lines/p0-0"])
        # A patient's images are all in the test, or all but the one that was left out.
        self.assertIn(score["images"], (5, 6))
        text = self.sfconv("eval", model, "set")
        self.assertIn("left out, as in the training: lines/p0-0\n", text)
        self.assertIn(f"split by chance: {score['images']} of 23 images are judged; --set all", text)
        self.assertNotIn("split by chance", self.sfconv("eval", model, "set", "--set", "all"))
        self.assertIn(text.splitlines()[-1], output)
        # Said otherwise, it is another split.
        other = json.loads(self.sfconv("eval", model, "set", "--group-by", "", "--leave-out",
                                       "p0-2", "--json"))
        self.assertEqual((other["images"], other["left_out"]), (4, ["p0-2"]))
        # Other images need not have the names of those that were left out.
        (self.folder / "set/lines/p0-0.png").unlink()
        again = json.loads(self.sfconv("eval", model, "set", "--json"))
        self.assertEqual(again["accuracy"], score["accuracy"])

    def test_a_split_that_the_model_file_does_not_tell_is_refused(self):
        put_masks(self, "set")
        model = self.segmenter()
        for seed in ("x", "", "-1", "7th", "1.5", str(2**63), str(2**80)):
            with self.subTest(seed=seed):
                retold = self.retold(model, "split.seed", seed)
                self.assert_sfconv_refused(FAILURE, [retold, f"split.seed is '{seed}'"], "eval",
                                           retold, "set")
        self.sfconv("eval", self.retold(model, "split.seed", str(2**63 - 1)), "set")

    def test_images_of_a_test_alone_are_judged_as_a_set(self):
        put_masks(self, "masks")
        put_classes(self, "classes", (8, 2, 4))
        for program, data, images in (("segmenter", "masks", 2), ("classifier", "classes", 8)):
            self.run_well(program, "--data", data, "--epochs", 1, "--output", "model")
            (self.folder / f"{data}/test").rename(self.folder / f"{data}-new")
            (self.folder / f"only/{data}").mkdir(parents=True)
            (self.folder / f"{data}-new").rename(self.folder / f"only/{data}/test")
            model = f"model/{program}.safetensors"
            self.assert_sfconv_refused(FAILURE, [f"only/{data}/test is a set"], "eval", model,
                                       f"only/{data}")
            self.assertIn(f"over {images} images", self.sfconv("eval", model, f"only/{data}/test",
                                                               "--set", "all"))

    def test_a_model_of_another_task_is_refused(self):
        put_masks(self, "masks")
        put_classes(self, "classes")
        model = self.segmenter(data="masks")
        self.assert_sfconv_refused(FAILURE, [model, "draws masks", "classes"], "eval", model,
                                   "classes")
        model = self.classifier(data="classes")
        self.assert_sfconv_refused(FAILURE, [model, "names classes", "masks"], "eval", model,
                                   "masks")

    def test_other_classes_are_refused(self):
        put_classes(self, "set")
        model = self.classifier()
        for part in ("train", "val", "test"):
            (self.folder / f"set/{part}/lines").rename(self.folder / f"set/{part}/dots")
        self.assert_sfconv_refused(FAILURE, ["set", "'dots'", "'grid'"], "eval", model, "set")
        for part in ("train", "val", "test"):
            (self.folder / f"set/{part}/dots").rename(self.folder / f"set/{part}/paths")
        self.assert_sfconv_refused(FAILURE, ["set", "'paths'", "'lines'"], "eval", model, "set")
        for part in ("train", "val", "test"):
            (self.folder / f"set/{part}/paths").rename(self.folder / f"set/{part}/lines")
            for i in range(2):
                self.put_flat(f"set/{part}/more/{i}.png", channels=3)
        self.assert_sfconv_refused(FAILURE, ["set", "3 classes", "2 of the model"], "eval", model,
                                   "set")


class Predict(ToolCase):
    def test_draws_masks_of_files_and_folders_in_the_size_of_the_images(self):
        put_masks(self, "set", (8, 2, 3), 21)
        model = self.segmenter("--size", 16)
        self.put_flat("one.png", 21, 21)
        self.sfconv("predict", model, "one.png", "set/test/images", "--output", "out")
        rows = self.table("out/predictions.csv")
        self.assertEqual(rows[0]["image"], "one.png")
        self.assertEqual(len(rows), 4)
        for row in rows:
            stem = row["image"].split("/")[-1][:-4]
            mask = png_files.read(self.folder / f"out/{stem}-mask.png")
            overlay = png_files.read(self.folder / f"out/{stem}-overlay.png")
            self.assertEqual((mask[:3], overlay[:3]), ((21, 21, 1), (21, 21, 3)))
            self.assertEqual(sum(map(sum, mask[3])), 255 * int(row["foreground_pixels"]))

    def test_tiles_draw_the_mask_of_the_whole_image(self):
        put_masks(self, "set", (8, 2, 2), 40)
        model = self.segmenter()
        self.sfconv("predict", model, "set/test/images", "--output", "whole")
        # The halo is wider than the image: every tile sees all of it.
        self.sfconv("predict", model, "set/test/images", "--tile", 16, "--output", "tiled")
        self.assertEqual(self.content("whole").keys() & {"whole/000-mask.png"},
                         {"whole/000-mask.png"})
        self.assertEqual(list(self.content("whole").values()), list(self.content("tiled").values()))

    def test_masks_do_not_depend_on_the_kind_of_file(self):
        put_masks(self, "set")
        model = self.segmenter()
        pixels = b"".join(blot(16, 3)[0])
        self.put("kinds/a.png", blot(16, 3)[0])
        self.put("kinds/b.png", [bytes(value for pixel in row for value in [pixel] * 3)
                                 for row in blot(16, 3)[0]], 3)
        for name, head, content in [
                ("c.pgm", "P5 16 16 255\n", pixels),
                ("d.pgm", "P5 16 16 65535\n", bytes(v for p in pixels for v in (p, p))),
                ("e.ppm", "P6 16 16 255\n", bytes(v for p in pixels for v in (p, p, p)))]:
            (self.folder / "kinds" / name).write_bytes(head.encode() + content)
        self.sfconv("predict", model, "kinds", "--output", "out")
        masks = [png_files.read(self.folder / f"out/{name}-mask.png") for name in "abcde"]
        self.assertEqual(masks[1:], masks[:1] * 4)

    def test_an_image_that_cannot_be_read_does_not_keep_the_others_waiting(self):
        put_masks(self, "set", (8, 2, 4))
        put_classes(self, "classes", (8, 2, 4))
        masks = self.segmenter()
        for model, folder in ((masks, "set/test/images"),
                              (self.classifier(data="classes"), "classes/test/grid")):
            for name in ("001.png", "002.png"):
                (self.folder / folder / name).write_bytes(b"no image")
            self.assert_sfconv_refused(FAILURE, [f"{folder}/001.png: not an image", "2 of 4 images"],
                                       "predict", model, folder, "--output", "out")
            self.assertEqual([row["image"] for row in self.table("out/predictions.csv")],
                             [f"{folder}/000.png", f"{folder}/003.png"])
        self.assert_sfconv_refused(FAILURE, ["001.png: not an image", "replace the file"],
                                   "predict", masks, "set/test/images/001.png", "--output", "none")
        self.assertEqual(self.content("none"), {})
        # Each of them is named, not the first alone.
        output = self.run_program(TOOL, "predict", masks, "set/test/images", "--output",
                                  "again").stdout
        self.assertEqual(re.findall(r"images/(\d+)\.png: not an image.*; no answer\n", output),
                         ["001", "002"])

    def test_ctrl_c_keeps_the_answers_there_are(self):
        put_masks(self, "set")
        model = self.segmenter()
        picture = png_files.encode(blot(256, 1)[0])
        (self.folder / "many").mkdir()
        for i in range(400):
            (self.folder / f"many/{i:03}.png").write_bytes(picture)
        process = subprocess.Popen([TOOL, "predict", model, "many", "--output", "out"],
                                   cwd=self.folder, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, error = process.stdout.read(), process.stderr.read()
        self.assertEqual(process.wait(), FAILURE)
        answered = 1 + len(output.splitlines())
        self.assertLess(answered, 400)
        self.assertIn(f"stopped after {answered} of 400 images", error)
        rows = self.table("out/predictions.csv")
        self.assertEqual([row["image"] for row in rows],
                         [f"many/{i:03}.png" for i in range(answered)])
        self.assertEqual(len(os.listdir(self.folder / "out")), 2 * answered + 1)

    def test_what_is_no_file_is_not_waited_for(self):
        put_masks(self, "set")
        model = self.segmenter()
        os.mkfifo(self.folder / "set/test/images/pipe.png")
        for command in (("predict", model, "set/test/images", "--output", "out"),
                        ("stats", "set"), ("info", "set/test/images/pipe.png")):
            with self.subTest(command=command[0]):
                self.assert_sfconv_refused(FAILURE, ["pipe.png", "regular file"], *command)

    def test_images_over_the_limit_are_refused_before_they_are_decoded(self):
        put_masks(self, "set")
        model = self.segmenter()
        whole = png_files.encode([bytes(16)] * 16)
        head = whole[12:16] + struct.pack(">II", 60000, 60000) + whole[24:29]
        (self.folder / "huge.png").write_bytes(whole[:12] + head
                                               + struct.pack(">I", zlib.crc32(head)) + whole[33:])
        how = ("predict", model, "--output", "out")
        self.assert_sfconv_refused(FAILURE, ["huge.png", "60000 x 60000", "67108864"], *how,
                                   "huge.png")
        image = "set/test/images/000.png"
        commands = [(*how, image), ("eval", model, "set"), ("stats", "set/test/images"),
                    ("train", "set", "--task", "segment", "--output", "new", "--epochs", 1)]
        for command in commands:
            with self.subTest(command=command[0]):
                self.assert_sfconv_refused(FAILURE, ["images/000.png: 16 x 16", "at most 255",
                                                     "allow more with --max-pixels"], *command,
                                           "--max-pixels", 255)
                self.sfconv(*command, "--max-pixels", 256)
        self.assert_sfconv_refused(USAGE, ["--max-pixels: '0'"], *how, image, "--max-pixels", 0)

    def test_an_instruction_set_that_is_not_used_is_told_once(self):
        put_masks(self, "set")
        model = self.segmenter()
        for command in ["info", model], ["bench", model, "--seconds", 0.1]:
            with self.subTest(command=command):
                result = self.run_program(TOOL, *command, env={**os.environ, "SFCONV_ISA": "sse9"})
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertRegex(result.stderr, r"^warning: SFCONV_ISA=sse9 is no name [^\n]*\n$")

    def test_tiles_are_for_masks(self):
        put_classes(self, "set")
        model = self.classifier()
        for option in ("--tile", "--halo"):
            self.assert_sfconv_refused(USAGE, [option], "predict", model, "set/test/grid", option,
                                       16, "--output", "out")

    def test_names_classes_with_all_probabilities(self):
        put_classes(self, "set", (8, 2, 3))
        model = self.classifier("--size", 16)
        self.put("odd.png", stripes(23, 5, False), 3)
        self.sfconv("predict", model, "set/test/grid", "odd.png", "--output", "out")
        rows = self.table("out/predictions.csv")
        self.assertEqual(len(rows), 4)
        for row in rows:
            both = {name: float(row[name]) for name in ("grid", "lines")}
            self.assertAlmostEqual(sum(both.values()), 1, delta=1e-5)
            self.assertEqual(row["class"], max(both, key=both.get))
            self.assertEqual(float(row["probability"]), max(both.values()))

    def test_images_of_one_name_are_refused(self):
        put_masks(self, "set")
        model = self.segmenter()
        self.put_flat("other/000.png")
        self.assert_sfconv_refused(FAILURE, ["000.png", "same name"], "predict", model,
                                   "set/train/images/000.png", "other/000.png", "--output", "out")
        self.assertFalse((self.folder / "out").exists())

    def test_a_full_disk_leaves_no_partial_table(self):
        put_classes(self, "set")
        model = self.classifier()
        self.assert_sfconv_refused(FAILURE, ["out/predictions.csv"], "predict", model,
                                   "set/test/grid", "--output", "out",
                                   preexec_fn=limit_files_to(64))
        self.assertEqual(self.content("out"), {})

    def test_a_folder_without_images_is_refused(self):
        put_masks(self, "set")
        model = self.segmenter()
        (self.folder / "none").mkdir()
        self.assert_sfconv_refused(FAILURE, ["none"], "predict", model, "none", "--output", "out")


class Bench(ToolCase):
    def test_measures_the_model_beside_its_dense_twin(self):
        put_masks(self, "masks")
        put_classes(self, "classes")
        for model in (self.segmenter("--rho", "1/16", data="masks"),
                      self.classifier(data="classes")):
            result = json.loads(self.sfconv("bench", model, "--size", 32, "--batch", 2,
                                            "--seconds", 0.05, "--json", "--workers", 1))
            facts = json.loads(self.sfconv("info", model, "--size", 32, "--json"))
            self.assertEqual((result["width"], result["batch"], result["workers"]), (32, 2, 1))
            for name in ("parameters", "macs"):
                self.assertEqual(result["model"][name], facts[name])
                self.assertGreater(result["dense"][name], facts[name])
            for network in ("model", "dense"):
                self.assertGreater(result[network]["images_per_second"], 0)
                self.assertGreater(result[network]["peak_bytes"],
                                   4 * result[network]["parameters"])

    def test_the_twin_of_a_dense_model_has_its_costs(self):
        put_masks(self, "set")
        model = self.segmenter("--method", "conv")
        result = json.loads(self.sfconv("bench", model, "--size", 16, "--seconds", 0.05, "--json"))
        for name in ("parameters", "macs"):
            self.assertEqual(result["model"][name], result["dense"][name])
        self.assertIn("dense twin", self.sfconv("bench", model, "--size", 16, "--seconds", 0.05))

    @unittest.skipUnless(hasattr(os, "sched_setaffinity"), "processors cannot be forbidden here")
    def test_works_with_one_worker_for_each_processor_that_it_may_use(self):
        put_masks(self, "set")
        model = self.segmenter()
        all_processors = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(all_processors)})
        try:
            table = self.sfconv("bench", model, "--size", 16, "--seconds", 0.05)
        finally:
            os.sched_setaffinity(0, all_processors)
        self.assertIn("16x16, 1 worker\n", table)


if __name__ == "__main__":
    main()
