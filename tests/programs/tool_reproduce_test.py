#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""sfconv reproduce: runs, resuming, failures, and a report that says what its CSV files say."""

import base64
import html.parser
import os
import re
import shutil
import signal
import subprocess
import unittest

from program_case import FAILURE, USAGE, main, put_classes, put_masks
from tool_case import TOOL, ToolCase

SECTIONS = ["results", "comparisons", "budget", "data", "curves", "spectra", "histograms",
            "samples", "runs", "machine", "files"]
TABLES = ["comparisons.csv", "curves.csv", "histograms.csv", "images.csv", "runs.csv",
          "spectra.csv", "table.csv"]
PLOTS = 7
# Elements of HTML that have no end.
VOID = {"meta", "img"}
HAVE_GNUPLOT = shutil.which("gnuplot") is not None


class Page(html.parser.HTMLParser):
    """Sections, rows of tables, pictures; fails where an element is closed that is not open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sections, self.ids, self.images = [], [], [], []
        self.plots, self.links, self.rows, self.section = 0, [], {}, None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "section":
            self.section = attributes["id"]
            self.sections.append(self.section)
        self.plots += tag == "svg"
        if tag == "img":
            self.images.append(attributes["src"])
            assert attributes["alt"]
        self.links += [value for name, value in attributes.items() if name in ("href", "src")]
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th", "strong") and self.rows.get(self.section):
            self.rows[self.section][-1][-1] += data


class Reproduce(ToolCase):
    HOW = ("--epochs", 2, "--batch", 4, "--methods", "sfconv_no_kl,sfconv", "--seeds", 2)

    def reproduce(self, output, *options, data="set", task="segment"):
        return self.sfconv("reproduce", data, "--task", task, "--output", output, *options)

    def page(self, output):
        text = (self.folder / output / "report.html").read_text(encoding="utf-8")
        self.assertTrue(text.startswith("<!DOCTYPE html>"))
        page = Page(text)
        self.assertEqual(page.open, [])
        self.assertEqual(len(page.ids), len(set(page.ids)))
        self.assertEqual(page.sections, SECTIONS)
        # Nothing is fetched from elsewhere.
        for link in page.links:
            self.assertRegex(link, "^(data:image/png;base64,|#)")
        return page, text

    def numbers(self, output):
        """Every CSV file without the columns of speed."""
        tables = {}
        for name in TABLES:
            tables[name] = [{key: value for key, value in row.items() if "per_second" not in key}
                            for row in self.table(f"{output}/{name}")]
        return tables

    def assert_page_has(self, page, section, row, texts):
        """A row of a table that begins with these cells holds each of the texts."""
        for cells in page.rows[section]:
            if cells[:len(row)] == row:
                for text in texts:
                    self.assertIn(text, " ".join(cells))
                return
        self.fail(f"no row {row} in {page.rows[section]}")

    def assert_page_is_the_tables(self, output, measures, methods):
        page, _ = self.page(output)
        titles = {"sfconv_no_kl": "SFConv w/o KL", "sfconv": "SFConv", "conv": "Conv"}
        table = self.table(f"{output}/table.csv")
        self.assertEqual([row["method"] for row in table], methods)
        for row in table:
            texts = [f"{int(row['parameters']):,}", f"{int(row['macs']):,}"]
            texts += [f"{float(row[name + '_mean']):.4f} ± {float(row[name + '_deviation']):.4f}"
                      for name in measures]
            self.assertEqual(2 * int(row["macs"]), int(row["flops"]))
            self.assert_page_has(page, "results", [titles[row["method"]]], texts)
        for row in self.table(f"{output}/runs.csv"):
            self.assert_page_has(page, "runs", [titles[row["method"]], row["seed"], "finished"],
                                 [f"{float(row[name]):.4f}" for name in measures])
        for row in self.table(f"{output}/comparisons.csv"):
            self.assert_page_has(
                page, "comparisons",
                [f"{titles[row['a']]} − {titles[row['b']]}", row["pairs"], row["n"]],
                [f"{float(row[name]):.4f}" for name in ("mean_difference", "low", "high", "p")])

    @unittest.skipUnless(HAVE_GNUPLOT, "gnuplot is not installed")
    def test_report_has_every_part_and_says_what_the_tables_say(self):
        put_masks(self, "set", (8, 2, 4))
        self.reproduce("out", *self.HOW)
        self.assert_page_is_the_tables("out", ["dice", "iou", "sensitivity", "specificity"],
                                       ["sfconv_no_kl", "sfconv"])
        page, text = self.page("out")
        self.assertEqual(page.plots, PLOTS)
        self.assertNotRegex(text, "(?i)<script|@import|https?://(?!www.w3.org)")
        # Four images: input, truth and two predictions each.
        self.assertEqual(len(page.images), 16)
        for image in page.images:
            self.assertEqual(base64.b64decode(image.split(",")[1])[:4], b"\x89PNG")
        self.assertIn("16 whole images: 2 epochs of 2 steps of 4", text)
        self.assertIn("8 to train on, 2 to validate, 4 to test", text)
        self.assertIn("sfconv reproduce set --task segment --output out --epochs 2", text)

    def test_mean_and_deviation_are_those_of_the_runs_and_runs_those_of_the_images(self):
        put_masks(self, "set", (8, 2, 3))
        self.reproduce("out", *self.HOW, "--no-plots")
        runs, images = self.table("out/runs.csv"), self.table("out/images.csv")
        for run in runs:
            own = [float(row["dice"]) for row in images
                   if (row["method"], row["seed"]) == (run["method"], run["seed"])]
            self.assertEqual(len(own), 3)
            self.assertAlmostEqual(float(run["dice"]), sum(own) / 3, places=6)
        for row in self.table("out/table.csv"):
            a, b = (float(run["dice"]) for run in runs if run["method"] == row["method"])
            self.assertAlmostEqual(float(row["dice_mean"]), (a + b) / 2, places=6)
            self.assertAlmostEqual(float(row["dice_deviation"]), abs(a - b) / 2 ** 0.5, places=6)
        seeds, over_images = self.table("out/comparisons.csv")
        self.assertEqual((seeds["n"], over_images["n"]), ("2", "3"))
        self.assertAlmostEqual(float(seeds["mean_difference"]),
                               float(over_images["mean_difference"]), places=6)

    def test_a_run_is_what_train_makes(self):
        put_masks(self, "set")
        self.reproduce("out", "--epochs", 2, "--methods", "sfconv", "--seeds", 1, "--seed", 5,
                       "--kl", "0.02", "--no-plots")
        self.sfconv("train", "set", "--task", "segment", "--output", "alone", "--epochs", 2,
                    "--seed", 5, "--kl", "0.02")
        self.assertEqual((self.folder / "out/sfconv-seed-5/best.safetensors").read_bytes(),
                         (self.folder / "alone/best.safetensors").read_bytes())

    def test_classes_have_accuracy_kappa_and_auc(self):
        put_classes(self, "set", (4, 2, 3))
        self.reproduce("out", "--epochs", 1, "--methods", "conv,sfconv", "--seeds", 2,
                       "--no-plots", task="classify")
        self.assert_page_is_the_tables("out", ["accuracy", "quadratic_kappa", "auc"],
                                       ["conv", "sfconv"])
        for row in self.table("out/images.csv"):
            self.assertEqual(row["right"] == "1", row["truth"] == row["prediction"])
            self.assertIn(row["truth"], ("grid", "lines"))

    def test_resumed_after_an_interruption_it_gives_the_same_numbers(self):
        put_masks(self, "set", (24, 4, 4), 32)
        how = ("--epochs", 4, "--batch", 2, "--methods", "sfconv_no_kl,sfconv", "--seeds", 2,
               "--no-plots")
        self.reproduce("unbroken", *how)
        arguments = [TOOL, "reproduce", "set", "--task", "segment", "--output", "broken", *how]
        process = subprocess.Popen([*map(str, arguments)], cwd=self.folder,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while not re.match("sfconv seed 1 .*epoch 2/", process.stdout.readline()):
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertIn("--resume goes on from there", output)
        _, text = self.page("broken")
        self.assertIn("1 of 4 runs are finished", text)
        before = (self.folder / "broken/sfconv_no_kl-seed-1/log.csv").read_bytes()
        self.assertIn("1 finished already", self.reproduce("broken", *how, "--resume"))
        self.assertEqual(before, (self.folder / "broken/sfconv_no_kl-seed-1/log.csv").read_bytes())
        self.assertEqual(self.numbers("broken"), self.numbers("unbroken"))

    def test_methods_and_seeds_can_be_added_but_not_other_settings(self):
        put_masks(self, "set")
        how = ("--epochs", 1, "--no-plots")
        self.reproduce("out", *how, "--methods", "sfconv", "--seeds", 1)
        self.assert_sfconv_refused(FAILURE, ["out/sfconv-seed-1", "--resume"], "reproduce", "set",
                                   "--task", "segment", "--output", "out", *how)
        self.assert_sfconv_refused(FAILURE, ["result.csv", "rate 0.003", "rate 0.5"],
                                   "reproduce", "set", "--task", "segment", "--output", "out",
                                   *how, "--rate", "0.5", "--resume")
        self.reproduce("out", *how, "--methods", "conv,sfconv", "--seeds", 2, "--resume")
        self.assertEqual([row["seeds"] for row in self.table("out/table.csv")], ["2", "2"])

    def test_numbers_of_an_earlier_run_that_are_none_are_not_reported(self):
        put_masks(self, "set")
        how = ("--epochs", 1, "--no-plots", "--methods", "sfconv", "--seeds", 1)
        self.reproduce("out", *how)
        for name, column, row in (("result.csv", "parameters", 1), ("result.csv", "metric", 1),
                                  ("images.csv", "prediction", 2), ("log.csv", "best", 1)):
            path = self.folder / "out/sfconv-seed-1" / name
            content = path.read_text()
            rows = [line.split(",") for line in content.splitlines()]
            rows[row][rows[0].index(column)] = "7 of 9"
            path.write_text("\n".join(map(",".join, rows)) + "\n")
            with self.subTest(column=column):
                self.assert_sfconv_refused(FAILURE, [f"sfconv-seed-1/{name}",
                                                     f"{column} in row {row} is '7 of 9'"],
                                           "reproduce", "set", "--task", "segment", "--output",
                                           "out", *how, "--resume")
            path.write_text(content)
        self.reproduce("out", *how, "--resume")

    def test_runs_on_other_images_are_not_mixed(self):
        put_masks(self, "set")
        how = ("--epochs", 1, "--no-plots", "--methods", "sfconv", "--leave-out",
               "train/images/001")
        self.reproduce("out", *how, "--seeds", 1)
        again = ("reproduce", "set", "--task", "segment", "--output", "out", "--seeds", 2,
                 "--resume", *how)
        before = self.content("out")
        # As many images, but others: left out, or to train on.
        self.assert_sfconv_refused(FAILURE, ["out/sfconv-seed-1/best.safetensors", "left out"],
                                   *again[:-1], "train/images/002")
        path = self.folder / "set/train/images/003.png"
        image = path.read_bytes()
        self.put_flat("set/train/images/003.png", value=77)
        self.assert_sfconv_refused(FAILURE, ["out/sfconv-seed-1/best.safetensors",
                                             "trained on other images"], *again)
        path.write_bytes(image)
        self.assertEqual(self.content("out"), before)
        self.assertIn("1 finished already", self.sfconv(*again))

    def test_a_method_that_fails_is_told_and_the_others_go_on(self):
        put_masks(self, "set")
        (self.folder / "out").mkdir()
        # Where the folder of a run should be lies a file.
        (self.folder / "out/conv-seed-1").write_text("")
        result = self.run_program(TOOL, "reproduce", "set", "--task", "segment", "--output", "out",
                                  "--epochs", 1, "--methods", "conv,sfconv", "--seeds", 1,
                                  "--no-plots", "--resume")
        self.assertEqual(result.returncode, FAILURE)
        self.assertIn("1 of 2 runs failed", result.stderr)
        conv, sfconv = self.table("out/table.csv")
        self.assertEqual((conv["seeds"], conv["failed"], conv["dice_mean"]), ("0", "1", ""))
        self.assertEqual((sfconv["seeds"], sfconv["failed"]), ("1", "0"))
        page, _ = self.page("out")
        self.assert_page_has(page, "runs", ["Conv", "1"], ["failed", "conv-seed-1"])

    def test_validation_every_other_epoch(self):
        put_masks(self, "set")
        self.reproduce("out", "--epochs", 5, "--validate-every", 2, "--methods", "sfconv",
                       "--seeds", 1, "--no-plots")
        self.assertEqual([row["validation"] != "" for row in self.table("out/curves.csv")],
                         [False, True, False, True, True])

    def test_without_gnuplot_nothing_is_begun(self):
        put_masks(self, "set")
        before = self.content()
        environment = {**os.environ, "PATH": str(self.folder)}
        self.assert_sfconv_refused(FAILURE, ["gnuplot", "--no-plots"], "reproduce", "set",
                                   "--task", "segment", "--output", "out", env=environment)
        self.assertEqual(self.content(), before)

    def test_what_makes_no_sense_is_refused(self):
        for options, text in [
            (["--task", "segment"], "--output"),
            (["--task", "segment", "--output", "out", "--methods", "sfconv,tconv"], "'tconv'"),
            (["--task", "segment", "--output", "out", "--methods", "conv,conv"], "twice"),
            (["--task", "segment", "--output", "out", "--seeds", "0"], "--seeds: '0'"),
            (["--task", "classify", "--output", "out", "--crop", "16"], "--crop"),
            (["--task", "segment", "--output", "out", "--model", "resnet18"], "--model"),
        ]:
            with self.subTest(options=options):
                self.assert_sfconv_refused(USAGE, [text], "reproduce", "set", *options)
        self.assertEqual(self.content(), {})


if __name__ == "__main__":
    main()
