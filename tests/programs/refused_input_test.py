#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Bad input and bad surroundings: one line that names the culprit, a status, nothing half written."""

import os
import resource
import shutil
import subprocess
import unittest

import png_files
from program_case import (FAILURE, PROGRAMS, USAGE, ProgramCase, blot, main, put_classes,
                          put_masks)

NOBODY = 65534
QUICK = ("--epochs", 1, "--workers", 1, "--batch", 4)


class BadOptions(ProgramCase):
    def test_are_named(self):
        for arguments, text in [
            (["--model", "resnet18"], "--model: resnet18 names classes"),
            (["--model", "alexnet"], "--model: there is no model 'alexnet'"),
            (["--method", "magic"], "--method: there is no method 'magic'"),
            (["--rho", "0"], "--rho: '0'"),
            (["--rho", "1/0"], "--rho: '1/0'"),
            (["--rho", "-1"], "--rho: '-1'"),
            (["--rate", "nan"], "--rate: 'nan'"),
            (["--rate", "0"], "--rate: '0'"),
            (["--lambda", "inf"], "--lambda: 'inf'"),
            (["--epochs", "0"], "--epochs: '0'"),
            (["--epochs", "3x"], "--epochs: '3x'"),
            (["--batch", "99999999999999999999"], "--batch: '99999999999999999999'"),
            (["--crop", "-8"], "--crop: '-8'"),
            (["--nonsense"], "--nonsense"),
            (["--data"], "--data"),
            (["folder"], "'folder'"),
        ]:
            with self.subTest(arguments=arguments):
                self.assert_refused(USAGE, [text], "segmenter", *arguments)
        self.assertEqual(self.content(), {})

    def test_of_the_other_task_are_refused(self):
        self.assert_refused(USAGE, ["--model: unet draws masks"], "classifier", "--model", "unet")
        self.assert_refused(USAGE, ["--crop"], "classifier", "--crop", 16)
        self.assert_refused(USAGE, ["--model"], "demo", "--model", "unet")
        self.assert_refused(USAGE, ["MODEL"], "predict", "only-one")

    def test_windows_must_fit_network_and_images(self):
        put_masks(self, "set")
        for network, crop, text in [("tiny_segmenter", 12, "multiples of 8"),
                                    ("unet", 24, "multiples of 16"),
                                    ("tiny_segmenter", 32, "set/train/images/000.png")]:
            with self.subTest(network=network, crop=crop):
                self.assert_refused(FAILURE, [text], "segmenter", "--data", "set", "--model",
                                    network, "--crop", crop, *QUICK)
        self.assertFalse(list(self.folder.rglob("*.safetensors")))

    def test_numbers_that_grow_out_of_bounds_stop_the_training(self):
        put_masks(self, "set")
        self.assert_refused(FAILURE, ["epoch 1, step 2", "finite", "--rate"], "segmenter", "--data",
                            "set", "--rate", "1e30", *QUICK)
        self.assertFalse(list(self.folder.rglob("*.safetensors")))


class BadData(ProgramCase):
    def assert_data_refused(self, program, *texts):
        before = self.content()
        self.assert_refused(FAILURE, texts, program, "--data", "set", "--output", "out", *QUICK)
        self.assertEqual(self.content(), before)

    def test_missing_folder(self):
        self.assert_data_refused("segmenter", ": set: No such file or directory")

    def test_damaged_images(self):
        whole = png_files.encode(blot(16, 0)[0])
        for fault, content in [("cut", whole[:60]), ("empty", b""), ("text", b"no picture at all"),
                               ("flipped bit", whole[:50] + bytes([whole[50] ^ 4]) + whole[51:])]:
            with self.subTest(fault=fault):
                put_masks(self, "set")
                (self.folder / "set/train/images/003.png").write_bytes(content)
                self.assert_data_refused("segmenter", "set/train/images/003.png", "leave it out")

    def test_unreadable_image(self):
        put_classes(self, "set")
        path = self.folder / "set/train/grid/000.png"
        path.unlink()
        path.symlink_to("nowhere")
        self.assert_data_refused("classifier", "set/train/grid/000.png")

    def test_mask_of_another_size(self):
        put_masks(self, "set")
        self.put_flat("set/train/masks/002.png", 16, 15)
        self.assert_data_refused("segmenter", "set/train/masks/002.png", "16 x 15")

    def test_image_without_mask(self):
        put_masks(self, "set")
        (self.folder / "set/val/masks/001.png").unlink()
        self.assert_data_refused("segmenter", "set/val/images/001.png")

    def test_mask_of_many_values(self):
        put_masks(self, "set")
        self.put("set/test/masks/000.png", [bytes(range(16))] * 16)
        self.assert_data_refused("segmenter", "set/test/masks/000.png")

    def test_empty_class(self):
        put_classes(self, "set")
        (self.folder / "set/train/none").mkdir()
        self.assert_data_refused("classifier", "set/train/none")

    def test_class_that_the_training_images_lack(self):
        put_classes(self, "set")
        self.put_flat("set/test/new/000.png")
        self.assert_data_refused("classifier", "set/test/new")

    def test_single_class(self):
        for i in range(12):
            self.put_flat(f"set/one/{i}.png")
        self.assert_data_refused("classifier", "set", "'one'")

    def test_class_with_one_training_image(self):
        put_classes(self, "set")
        self.put_flat("set/train/rare/only.png", channels=3)
        self.assert_data_refused("classifier", "set/train/rare/only.png", "'rare'")

    def test_name_of_a_class_that_no_model_file_can_hold(self):
        put_classes(self, "set")
        train = os.fsencode(self.folder / "set/train")
        os.rename(train + b"/lines", train + b"/lin\xe9s")
        for part in ("val", "test"):
            shutil.rmtree(self.folder / "set" / part / "lines")
        self.assert_data_refused("classifier", "class.1", "UTF-8")

    def test_masks_for_a_classifier(self):
        put_masks(self, "set")
        self.assert_data_refused("classifier", "set", "segmenter")

    def test_images_of_several_sizes_for_a_classifier(self):
        put_classes(self, "set")
        self.put_flat("set/train/lines/004.png", 20, 16, channels=3)
        self.assert_data_refused("classifier", "--size")

    def test_single_image(self):
        picture, mask = blot(16, 0)
        self.put("set/images/a.png", picture)
        self.put("set/masks/a.png", mask)
        self.assert_data_refused("segmenter", "set", "too few")

    def test_image_smaller_than_the_network_takes(self):
        put_masks(self, "set")
        self.put_flat("set/train/images/000.png", 5, 40)
        self.put_flat("set/train/masks/000.png", 5, 40)
        self.assert_data_refused("segmenter", "set/train/images/000.png", "5x40", "--size",
                                 "leave it out")

    def test_left_out_name_that_fits_nothing(self):
        put_masks(self, "set")
        self.assert_refused(FAILURE, ["set", "val/images/131"], "segmenter", "--data", "set",
                            "--leave-out", "val/images/131", *QUICK)


class BadOutput(ProgramCase):
    def setUp(self):
        super().setUp()
        put_masks(self, "set")

    def train(self, output):
        return ("segmenter", "--data", "set", "--output", output, *QUICK)

    def test_that_is_a_file(self):
        (self.folder / "taken").write_text("precious")
        before = self.content()
        self.assert_refused(FAILURE, ["taken: not a folder"], *self.train("taken"))
        self.assertEqual(self.content(), before)

    def test_below_a_folder_that_is_not_there(self):
        self.assert_refused(FAILURE, ["no/such", "No such file"], *self.train("no/such"))

    def test_that_is_read_only(self):
        (self.folder / "locked").mkdir(mode=0o555)
        # Nothing is locked for root.
        other = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
        os.chmod(self.folder, 0o755)
        try:
            self.assert_refused(FAILURE, ["locked", "Permission denied"], *self.train("locked"),
                                **other)
        except PermissionError:
            self.skipTest("the programs cannot be run by another user")

    def test_full_disk_leaves_earlier_results_intact(self):
        self.run_well(*self.train("out"))
        before = self.content()

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        self.assert_refused(FAILURE, ["out/segmenter.safetensors", "too large"],
                            *self.train("out"), "--seed", 2, preexec_fn=limit)
        self.assertEqual(self.content(), before)

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_standard_output_that_is_full(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([PROGRAMS / "segmenter", *map(str, self.train("out")[1:])],
                                    cwd=self.folder, stdout=full, stderr=subprocess.PIPE,
                                    text=True, check=False)
        self.assertEqual(result.returncode, FAILURE)
        self.assertIn("standard output", result.stderr)


class BadModelFile(ProgramCase):
    def setUp(self):
        super().setUp()
        self.put_flat("image.png")

    def test_folder_in_place_of_a_file(self):
        (self.folder / "folder").mkdir()
        self.assert_refused(FAILURE, ["folder"], "predict", "folder", "image.png")

    def test_is_named(self):
        (self.folder / "text.safetensors").write_text("this is no model, it is a text")
        for model in ("missing.safetensors", "image.png", "text.safetensors"):
            with self.subTest(model=model):
                self.assert_refused(FAILURE, [model], "predict", model, "image.png")

    def test_cut_at_every_kind_of_place_is_refused(self):
        put_masks(self, "set")
        self.run_well("segmenter", "--data", "set", "--output", "out", *QUICK)
        whole = (self.folder / "out/segmenter.safetensors").read_bytes()
        for length in (4, 8, 100, len(whole) // 2, len(whole) - 1):
            with self.subTest(length=length):
                (self.folder / "cut.safetensors").write_bytes(whole[:length])
                self.assert_refused(FAILURE, ["cut.safetensors"], "predict", "cut.safetensors",
                                    "image.png")

    def test_whose_classes_do_not_fit_its_network_is_refused(self):
        put_classes(self, "set")
        self.run_well("classifier", "--data", "set", "--output", "out", *QUICK)
        whole = (self.folder / "out/classifier.safetensors").read_bytes()
        for old, new in [(b'"class.1"', b'"klass.1"'), (b'"classify"', b'"segment" '),
                         (b'"classify"', b'"guessing"')]:
            with self.subTest(new=new):
                self.assertEqual(whole.count(old), 1)
                (self.folder / "odd.safetensors").write_bytes(whole.replace(old, new))
                self.assert_refused(FAILURE, ["odd.safetensors"], "predict", "odd.safetensors",
                                    "image.png")

    def test_images_of_one_name_do_not_overwrite_each_other(self):
        put_masks(self, "set")
        self.run_well("segmenter", "--data", "set", "--output", "out", *QUICK)
        self.assert_refused(FAILURE, ["set/val/images/000.png", "set/test/images/000.png"],
                            "predict", "out/segmenter.safetensors", "set/val/images/000.png",
                            "set/test/images/000.png", "--output", "masks")
        self.assertFalse((self.folder / "masks").exists())


if __name__ == "__main__":
    main()
