#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""sfconv train: models, logs, early stopping, and a resumed training that gives the same bits."""

import fcntl
import json
import os
import pty
import resource
import shutil
import signal
import struct
import subprocess
import termios
import unittest

import png_files
from program_case import (FAILURE, USAGE, blot, main, number_after, put_classes, put_masks,
                          stripes)
from tool_case import TOOL, ToolCase

FILES = ["best.safetensors", "last.safetensors", "log.csv", "log.jsonl", "state.safetensors"]


class Train(ToolCase):
    def train(self, output, *options, data="set", task="segment"):
        return self.sfconv("train", data, "--task", task, "--output", output, *options)

    def without_speed(self, folder):
        """All files of a training; the logs without the last column, the speed."""
        content = {name.split("/")[-1]: data for name, data in self.content(folder).items()}
        for name in ("log.csv", "log.jsonl"):
            content[name] = [line.rsplit(b",", 1)[0] for line in content[name].splitlines()]
        return content

    def test_learns_and_the_best_model_repeats_the_score(self):
        put_masks(self, "set", (32, 8, 8), 32)
        output = self.train("out", "--epochs", 10, "--rate", 0.01)
        self.assertGreater(number_after(output, "test: Dice"), 0.8)
        again = self.sfconv("eval", "out/best.safetensors", "set")
        self.assertEqual(number_after(again, "test: Dice"), number_after(output, "test: Dice"))

    def test_files_that_are_no_images_are_passed_over_and_told(self):
        put_classes(self, "set")
        for name in ("train/grid/notes.txt", "val/.hidden.png", "test/lines/Thumbs.db"):
            (self.folder / "set" / name).write_text("")
        output = self.train("out", "--epochs", 1, task="classify")
        self.assertIn("4 to test; 3 other files are passed over\n", output)

    def test_lazy_reading_gives_the_same_bits(self):
        put_masks(self, "set", size=24)
        how = ("--epochs", 2, "--crop", 16)
        self.train("kept", *how)
        self.train("lazy", *how, "--lazy")
        self.assertEqual(self.without_speed("lazy"), self.without_speed("kept"))

    def test_an_image_that_vanishes_while_it_is_read_lazily_is_named(self):
        put_masks(self, "set")
        process = subprocess.Popen(
            [TOOL, "train", "set", "--task", "segment", "--epochs", "100000", "--lazy", "--output",
             "out"], cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while "epoch 2/" not in process.stdout.readline():
            self.assertIsNone(process.poll())
        (self.folder / "set/train/images/003.png").unlink()
        error = process.communicate(timeout=60)[1]
        self.assertEqual((process.returncode, error.count("\n")), (FAILURE, 1))
        for text in ("set/train/images/003.png: No such file", "replace the file", "--resume"):
            self.assertIn(text, error)
        self.assertNotIn("--rate", error)
        self.assertEqual(sorted(os.listdir(self.folder / "out")), FILES)

    def test_the_split_has_a_seed_that_the_model_keeps(self):
        for i in range(20):
            picture, mask = blot(16, i)
            self.put(f"set/images/{i:02}.png", picture)
            self.put(f"set/masks/{i:02}.png", mask)
        losses = set()
        for seed in (0, 5, 6):
            output = self.train(f"out{seed}", "--epochs", 1, "--split-seed", seed)
            self.assertIn("14 images to train on, 3 to validate, 3 to test", output)
            losses.add(self.table(f"out{seed}/log.csv")[0]["loss"])
            again = self.sfconv("eval", f"out{seed}/best.safetensors", "set")
            self.assertIn(again.splitlines()[-1], output)
        self.assertEqual(len(losses), 3)

    def test_idrid_is_read_as_it_comes(self):
        images, truths = "grading/1. Original Images", "grading/2. Groundtruths"
        for letter, part, count in (("a", "Training", 12), ("b", "Testing", 4)):
            lines = ["Image name,Retinopathy grade,Risk of macular edema ,,"]
            for i in range(count):
                # The kind of a file is told by its content.
                self.put(f"{images}/{letter}. {part} Set/IDRiD_{i:03}.jpg",
                         stripes(16, i, i % 2 == 0), 3)
                lines.append(f"IDRiD_{i:03},{4 * (i % 2)},0,,")
            table = self.folder / truths / f"{letter}. IDRiD_Disease Grading_{part} Labels.csv"
            table.parent.mkdir(exist_ok=True)
            table.write_text("\r\n".join(lines))
        output = self.train("out", "--epochs", 2, data="grading", task="classify")
        self.assertIn("10 images to train on, 2 to validate, 4 to test\n", output)
        again = self.sfconv("eval", "out/best.safetensors", "grading")
        self.assertEqual(number_after(again, "accuracy"), number_after(output, "test: accuracy"))
        self.sfconv("predict", "out/best.safetensors", f"{images}/b. Testing Set", "--output", "p")
        self.assertEqual(list(self.table("p/predictions.csv")[0])[3:], ["0", "4"])

    def test_rose_is_read_as_it_comes(self):
        for part, count in (("train", 10), ("test", 3)):
            for i in range(count):
                picture, mask = blot(16, i)
                self.put(f"ROSE-1/SVC/{part}/img/{i:02}.tif", picture)
                for name in ("gt", "thick_gt"):
                    self.put(f"ROSE-1/SVC/{part}/{name}/{i:02}.tif", mask)
            (self.folder / "ROSE-1/DVC").mkdir(exist_ok=True)
        output = self.train("out", "--epochs", 2, data="ROSE-1/SVC")
        self.assertIn("8 images to train on, 2 to validate, 3 to test", output)
        again = self.sfconv("eval", "out/best.safetensors", "ROSE-1/SVC")
        self.assertEqual(number_after(again, "test: Dice"), number_after(output, "test: Dice"))
        self.assert_sfconv_refused(FAILURE, ["ROSE-1/SVC or ROSE-1/DVC"], "train", "ROSE-1",
                                   "--task", "segment", "--output", "none")

    def test_tiny_is_the_small_network_of_the_task(self):
        put_masks(self, "masks")
        put_classes(self, "classes")
        for data, task, name in (("masks", "segment", "tiny_segmenter"),
                                 ("classes", "classify", "tiny_classifier")):
            self.train(task, "--epochs", 1, "--model", "tiny", data=data, task=task)
            self.assertIn(f"network: {name}\n", self.sfconv("info", f"{task}/best.safetensors"))

    def test_writes_models_state_and_logs(self):
        put_classes(self, "set")
        self.train("out", "--epochs", 3, task="classify")
        self.assertEqual(sorted(os.listdir(self.folder / "out")), FILES)
        rows = self.table("out/log.csv")
        lines = [json.loads(line) for line in
                 (self.folder / "out/log.jsonl").read_text().splitlines()]
        self.assertEqual([int(row["epoch"]) for row in rows], [1, 2, 3])
        for row, line in zip(rows, lines):
            for name in ("epoch", "loss", "penalty", "validation", "images_per_second"):
                self.assertEqual(float(row[name]), line[name])
            self.assertEqual(row["best"] == "1", line["best"])
        facts = json.loads(self.sfconv("info", "out/best.safetensors", "--json"))["metadata"]
        best = [row["epoch"] for row in rows if row["best"] == "1"][-1]
        self.assertEqual((facts["training.epoch"], facts["class.1"]), (best, "lines"))
        self.assertIn("epochs 3", facts["training.settings"])

    def test_a_stopped_training_goes_on_with_the_same_bits(self):
        put_masks(self, "set", (48, 4, 4), 32)
        how = ("--epochs", 4, "--batch", 2)
        self.train("unbroken", *how)
        arguments = [TOOL, "train", "set", "--task", "segment", "--output", "broken", *how]
        process = subprocess.Popen([*map(str, arguments), "--workers", "1"], cwd=self.folder,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while "epoch 2/" not in process.stdout.readline():
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertIn("--resume goes on from there", output)
        # Whoever presses Ctrl-C does not wait for all test images.
        self.assertNotIn("test: Dice", output)
        self.assertEqual(len(self.table("broken/log.csv")), 2)
        # Nor does a disk that is full when the next epoch is over lose anything.
        before = self.content("broken")
        for limit in (0, 4096):
            self.assert_sfconv_refused(
                FAILURE, ["broken/", "--resume goes on"], "train", "set", "--task", "segment",
                "--output", "broken", *how, "--resume",
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
            after = self.content("broken")
            self.assertEqual(after.keys(), before.keys())
            for name in ("best", "last", "state"):
                name = f"broken/{name}.safetensors"
                self.assertEqual(after[name], before[name])
        self.train("broken", *how, "--resume")
        self.assertEqual(self.without_speed("broken"), self.without_speed("unbroken"))

    def test_a_terminal_that_is_closed_and_a_shutdown_lose_nothing(self):
        put_masks(self, "set")
        for name in ("SIGHUP", "SIGTERM"):
            with self.subTest(signal=name):
                arguments = ["train", "set", "--task", "segment", "--epochs", "100000",
                             "--output", name]
                # Under nohup the signal would be ignored.
                process = subprocess.Popen(
                    [TOOL, *arguments], cwd=self.folder, text=True, stdout=subprocess.PIPE,
                    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
                self.addCleanup(process.wait)
                self.addCleanup(process.kill)
                while "epoch 1/" not in process.stdout.readline():
                    self.assertIsNone(process.poll())
                process.send_signal(getattr(signal, name))
                self.assertIn("--resume goes on from there", process.communicate(timeout=60)[0])
                self.assertEqual(process.returncode, 0)
                self.assertEqual(sorted(os.listdir(self.folder / name)), FILES)

    def test_a_finished_training_has_nothing_to_resume(self):
        put_masks(self, "set")
        self.train("out", "--epochs", 2)
        before = self.content("out")
        output = self.train("out", "--epochs", 2, "--resume")
        self.assertIn("test: Dice", output)
        self.assertEqual(self.content("out"), before)

    def test_black_borders_are_cut_off_and_the_model_knows_it(self):
        put_masks(self, "inner", (8, 2, 2), 32)
        for part, count in (("train", 8), ("val", 2), ("test", 2)):
            for i in range(count):
                for kind in ("images", "masks"):
                    _, _, _, rows = png_files.read(self.folder / f"inner/{part}/{kind}/{i:03}.png")
                    # No pixel of the inner part is as dark as the border.
                    rows = [bytes(max(value, 90) for value in row) if kind == "images" else row
                            for row in rows]
                    self.put(f"inner/{part}/{kind}/{i:03}.png", rows)
                    framed = [bytes(5) + row + bytes(7) for row in rows]
                    black = bytes(len(framed[0]))
                    self.put(f"framed/{part}/{kind}/{i:03}.png",
                             [black] * 9 + framed + [black] * 3)
        inner = self.train("a", "--epochs", 2, data="inner")
        framed = self.train("b", "--epochs", 2, "--field-of-view", data="framed")
        self.assertEqual(number_after(inner, "test: Dice"), number_after(framed, "test: Dice"))
        self.assertIn("input.crop: field of view", self.sfconv("info", "b/best.safetensors"))
        self.assertEqual(number_after(self.sfconv("eval", "b/best.safetensors", "framed"),
                                      "test: Dice"), number_after(framed, "test: Dice"))
        # Masks lie where they belong, with nothing in the border.
        self.sfconv("predict", "a/best.safetensors", "inner/test/images/000.png", "--output", "pa")
        self.sfconv("predict", "b/best.safetensors", "framed/test/images/000.png", "--output", "pb")
        small = png_files.read(self.folder / "pa/000-mask.png")[3]
        width, height, _, large = png_files.read(self.folder / "pb/000-mask.png")
        self.assertEqual((width, height), (44, 44))
        self.assertEqual([row[5:37] for row in large[9:41]], small)
        self.assertEqual(sum(map(sum, large)), sum(map(sum, small)))

    def test_padding_keeps_proportions_and_the_model_knows_it(self):
        put_masks(self, "square", (8, 2, 2), 32)
        for path in sorted((self.folder / "square").rglob("*.png")):
            _, _, _, rows = png_files.read(path)
            name = path.relative_to(self.folder / "square")
            # Wide pictures, and the same ones in squares.
            self.put(f"wide/{name}", rows[3:24])
            black = bytes(32)
            self.put(f"square/{name}", [black] * 5 + rows[3:24] + [black] * 6)
        how = ("--epochs", 6, "--rate", 0.01, "--size", 16)
        square = self.train("a", *how, data="square")
        wide = self.train("b", *how, "--pad", data="wide")
        self.assertEqual(number_after(wide, "test: Dice"), number_after(square, "test: Dice"))
        self.assertIn("input.pad: square", self.sfconv("info", "b/best.safetensors"))
        self.assertEqual(number_after(self.sfconv("eval", "b/best.safetensors", "wide"),
                                      "test: Dice"), number_after(square, "test: Dice"))
        for model, data in (("a", "square"), ("b", "wide")):
            self.sfconv("predict", f"{model}/best.safetensors", f"{data}/test/images/000.png",
                        "--output", f"p{model}")
        whole = png_files.read(self.folder / "pa/000-mask.png")[3]
        self.assertGreater(sum(map(sum, whole[5:26])), 0)
        self.assertEqual(png_files.read(self.folder / "pb/000-mask.png")[3], whole[5:26])
        # A square of seventy thousand pixels a side is too much.
        thread = b"P5 70000 1 255\n" + bytes(70000)
        for kind in ("images", "masks"):
            (self.folder / f"wide/train/{kind}/003.png").write_bytes(thread)
        thread = "wide/train/images/003.png"
        self.assert_sfconv_refused(FAILURE, [thread, "70000"], "train", "wide", "--task",
                                   "segment", "--output", "c", *how, "--pad")
        self.assert_sfconv_refused(FAILURE, [thread, "70000"], "predict", "b/best.safetensors",
                                   thread, "--output", "pc")

    def test_balance_makes_a_rare_class_count(self):
        put_classes(self, "set")
        self.train("plain", "--epochs", 1, "--balance", "weights", task="classify")
        self.train("weighed", "--epochs", 1, task="classify")
        # Classes of one size are balanced as they are.
        self.assertEqual(self.table("plain/log.csv")[0]["loss"],
                         self.table("weighed/log.csv")[0]["loss"])
        for path in sorted((self.folder / "set/train/grid").iterdir())[3:]:
            path.unlink()
        losses = set()
        for how in ("weights", "sampling"):
            output = self.train(how, "--epochs", 1, "--batch", 11, "--balance", how,
                                task="classify")
            self.assertIn("test: accuracy", output)
            losses.add(self.table(f"{how}/log.csv")[0]["loss"])
            facts = json.loads(self.sfconv("info", f"{how}/best.safetensors", "--json"))
            self.assertIn(f"balance {how}", facts["metadata"]["training.settings"])
        self.train("none", "--epochs", 1, "--batch", 11, task="classify")
        losses.add(self.table("none/log.csv")[0]["loss"])
        self.assertEqual(len(losses), 3)

    def test_decay_pulls_weights_to_zero(self):
        put_masks(self, "set")
        self.train("free", "--epochs", 2, "--seed", 3)
        self.train("bound", "--epochs", 2, "--seed", 3, "--decay", 0.5)
        spectra = []
        for name in ("free", "bound"):
            self.sfconv("spectrum", f"{name}/best.safetensors", "--csv", f"{name}.csv")
            spectra.append(sum(float(row["singular_value"]) for row in self.table(f"{name}.csv")))
        self.assertLess(spectra[1], spectra[0])

    def test_what_cannot_be_balanced_or_grouped_is_refused(self):
        put_masks(self, "set")
        put_classes(self, "classes")
        put = ("--output", "out")
        self.assert_sfconv_refused(USAGE, ["--balance: only classes are balanced"], "train", "set",
                                   "--task", "segment", *put, "--balance", "weights")
        self.assert_sfconv_refused(USAGE, ["--balance: expected weights or sampling, got 'coins'"],
                                   "train", "classes", "--task", "classify", *put, "--balance",
                                   "coins")
        how = ("train", "classes", "--task", "classify", *put, "--group-by")
        self.assert_sfconv_refused(USAGE, ["--group-by: pattern '('"], *how, "(")
        self.assert_sfconv_refused(USAGE, ["--group-by: pattern '('"], "eval", "model", "classes",
                                   "--group-by", "(")
        for name in ("grid", "lines"):
            (self.folder / f"classes/train/{name}").rename(self.folder / f"classes/{name}")
        for part in ("train", "val", "test"):
            shutil.rmtree(self.folder / f"classes/{part}")
        self.assert_sfconv_refused(FAILURE, ["classes: ", "'0'", "together"], *how, "0")

    def test_validation_every_third_epoch(self):
        put_masks(self, "set")
        self.train("out", "--epochs", 7, "--validate-every", 3)
        rows = self.table("out/log.csv")
        self.assertEqual([row["epoch"] for row in rows if row["validation"]], ["3", "6", "7"])
        self.assertEqual(rows[2]["best"], "1")

    def test_patience_ends_it(self):
        put_masks(self, "set")
        output = self.train("out", "--epochs", 200, "--patience", 2, "--rate", "1e-9",
                            "--no-augment")
        rows = self.table("out/log.csv")
        self.assertLess(len(rows), 200)
        self.assertEqual([row["best"] for row in rows[-3:]], ["1", "0", "0"])
        self.assertIn(f"stopped after epoch {len(rows)}", output)

    def on_terminal(self, columns, *arguments):
        """What the command writes to a terminal that has so many columns."""
        try:
            ours, theirs = pty.openpty()
        except OSError:
            self.skipTest("no pseudo-terminal can be had here")
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([TOOL, *map(str, arguments)], cwd=self.folder, stdout=theirs)
        os.close(theirs)
        output = b""
        try:
            while part := os.read(ours, 65536):
                output += part
        except OSError:
            pass  # The other end is closed.
        os.close(ours)
        self.assertEqual(process.wait(), 0)
        return output.decode()

    def test_a_terminal_shows_a_bar(self):
        put_masks(self, "set")
        output = self.on_terminal(80, "train", "set", "--task", "segment", "--epochs", 3,
                                  "--batch", 2, "--output", "out")
        bars = output.split("\r\033[K")[1:-1]
        self.assertRegex(bars[-1], r"^sfconv epoch \d/3 \[#+-*\] loss [0-9.]+ Dice [0-9.]+ "
                                   r"\d+ img/s \d:\d\d left$")
        self.assertRegex(output, r"epoch 3/3 .*validation Dice [0-9.]+( \*)?\r\n")
        self.assertLess(max(map(len, bars)), 80)

    def test_anything_but_a_terminal_gets_plain_lines(self):
        put_masks(self, "set")
        plain = self.train("plain", "--epochs", 3)
        self.assertNotIn("\r", plain)
        self.assertEqual(plain.count("epoch"), 3)

    def test_other_settings_or_images_are_not_resumed(self):
        put_masks(self, "set")
        self.train("out", "--epochs", 2)
        before = self.content("out")
        self.assert_sfconv_refused(FAILURE, ["out/state.safetensors: was started with rate 0.003, "
                                             "not with rate 0.5"],
                                   "train", "set", "--task", "segment", "--output", "out",
                                   "--epochs", 2, "--rate", "0.5", "--resume")
        # Nor are weights of another network looked at before the settings are.
        for option, then, now in [("rho", "0.125", "0.25"), ("decay", "0", "0.1"),
                                  ("method", "sfconv", "conv"),
                                  ("model", "tiny_segmenter", "unet")]:
            self.assert_sfconv_refused(
                FAILURE, [f"was started with {option} {then}, not with {option} {now}"], "train",
                "set", "--task", "segment", "--output", "out", "--epochs", 2, "--resume",
                f"--{option}", now)
        self.put_flat("set/train/images/000.png", value=77)
        self.assert_sfconv_refused(FAILURE, ["out/state.safetensors", "of mean"], "train", "set",
                                   "--task", "segment", "--output", "out", "--epochs", 2,
                                   "--resume")
        self.assertEqual(self.content("out"), before)

    def test_where_nothing_can_be_written_nothing_is_read(self):
        (self.folder / "file").write_text("")
        for command in ("train", "reproduce"):
            for output, text in (("no/such", "no/such: cannot make the folder: No such file"),
                                 ("file", "file: not a folder"), ("file/x", "file/x: cannot make")):
                self.assert_sfconv_refused(FAILURE, [text], command, "gone", "--task", "segment",
                                           "--output", output)
        self.assertEqual(os.listdir(self.folder), ["file"])

    def test_a_training_is_not_overwritten_and_not_invented(self):
        put_masks(self, "set")
        self.train("out", "--epochs", 1)
        before = self.content("out")
        self.assert_sfconv_refused(FAILURE, ["out/state.safetensors", "--resume"], "train", "set",
                                   "--task", "segment", "--output", "out")
        self.assertEqual(self.content("out"), before)
        self.assert_sfconv_refused(FAILURE, ["new/state.safetensors", "no training"], "train",
                                   "set", "--task", "segment", "--output", "new", "--resume")

    def test_a_full_disk_is_found_before_the_first_epoch(self):
        put_masks(self, "set")
        self.assert_sfconv_refused(
            FAILURE, ["out/state.safetensors"], "train", "set", "--task", "segment", "--output",
            "out", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
        self.assertEqual(self.content("out"), {})

    def test_command_lines_that_make_no_sense_are_refused(self):
        for arguments, text in [
            ([], "--output"),
            (["--output", "o"], "--task"),
            (["--output", "o", "--task", "sing"], "--task"),
            (["--output", "o", "--task", "segment", "--model", "resnet18"], "names classes"),
            (["--output", "o", "--task", "classify", "--crop", "8"], "--crop"),
            (["--output", "o", "--task", "classify", "--method", "x"], "no method 'x'"),
            (["--output", "o", "--task", "classify", "--rho", "0"], "--rho: '0'"),
            (["--output", "o", "--task", "classify", "--patience", "-1"], "--patience"),
            (["--output", "", "--task", "classify"], "--output"),
            (["--output", "o", "--task", "segment", "--pad"], "--pad goes with --size"),
            (["--output", "o", "--task", "classify", "--model", "unet"], "draws masks"),
            (["--output", "o", "--task", "segment", "--crop", "12"], "takes multiples of 8"),
            (["--output", "o", "--task", "segment", "--model", "unet", "--crop", "24"],
             "unet takes multiples of 16"),
            (["--output", "o", "--task", "segment", "--size", "7"], "takes at least 8"),
            (["--output", "o", "--task", "segment", "--size", "16", "--crop", "24"],
             "--crop: 24 is more than --size 16"),
            (["--output", "o", "--task", "segment", "--method", "conv", "--kl", "1"],
             "--kl: conv has no regularizer"),
            (["--output", "o", "--task", "segment", "--method", "sfconv_no_kl", "--kl", "1"],
             "--kl: sfconv_no_kl has no regularizer"),
        ]:
            with self.subTest(arguments=arguments):
                self.assert_sfconv_refused(USAGE, [text], "train", "set", *arguments)
        self.assertEqual(self.content(), {})


if __name__ == "__main__":
    main()
