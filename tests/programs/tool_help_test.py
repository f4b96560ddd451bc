#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The help of sfconv is complete, and manual, completion and guide follow it."""

import json
import re
import subprocess
import unittest

from program_case import FAILURE, USAGE, main, put_masks
from tool_case import ROOT, TOOL, ToolCase

SOURCE = ROOT / "tools/sfconv"


def manual_sections():
    """The part of the manual for each command, without escapes."""
    text = (SOURCE / "sfconv.1").read_text(encoding="utf-8").replace("\\-", "-")
    parts = re.split(r"^\.SS sfconv (\w+)", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


class Help(ToolCase):
    def commands(self):
        return re.findall(r"^  ([a-z]+) ", self.sfconv("--help"), re.MULTILINE)

    def options(self, command):
        return re.findall(r"^  (--[a-z-]+)", self.sfconv(command, "--help"), re.MULTILINE)

    def test_is_there_by_any_usual_name(self):
        for arguments in (["-h"], ["help"]):
            self.assertEqual(self.sfconv(*arguments), self.sfconv("--help"))
        for arguments in (["train", "-h"], ["help", "train"]):
            self.assertEqual(self.sfconv(*arguments), self.sfconv("train", "--help"))

    def test_tells_what_is_usual_and_it_is_so(self):
        put_masks(self, "set")
        self.sfconv("train", "set", "--task", "segment", "--output", "out")
        facts = json.loads(self.sfconv("info", "out/best.safetensors", "--json"))["metadata"]
        for option, usual, fact in [("rho", "tiny: 1/8", "rho 0.125"),
                                    ("min-rank", "tiny: 2", "min-rank 2"),
                                    ("kl", "usually 0.01", "kl 0.01"),
                                    ("epochs", "usually 20", "epochs 20"),
                                    ("batch", "usually 4 with masks", "batch 4"),
                                    ("rate", "usually 0.003", "rate 0.003"),
                                    ("decay", "usually 0", "decay 0"),
                                    ("seed", "usually 1", "seed 1"),
                                    ("model", "usually tiny", "model tiny_segmenter"),
                                    ("method", "sfconv, the usual one", "method sfconv,")]:
            with self.subTest(option=option):
                line = re.search(rf"^  --{option} .*", self.sfconv("train", "--help"), re.MULTILINE)
                self.assertIn(usual, line.group())
                self.assertIn(fact, facts["training.settings"])

    def test_every_command_has_one(self):
        self.assertEqual(len(self.commands()), 9)
        for command in self.commands():
            with self.subTest(command=command):
                self.assertIn(f"usage: sfconv {command} [options]", self.sfconv(command, "--help"))
                self.assertIn("--help", self.options(command))

    def test_manual_has_every_command_and_option_and_no_other(self):
        sections = manual_sections()
        self.assertEqual(list(sections), self.commands())
        for command, text in sections.items():
            with self.subTest(command=command):
                # What follows the last command is no part of it.
                listed = re.findall(r"^\.BI? (--[a-z-]+)", text.split("\n.SH ")[0], re.MULTILINE)
                self.assertEqual([*listed, "--help"], self.options(command))

    def test_manual_is_free_of_faults(self):
        try:
            result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", SOURCE / "sfconv.1"],
                                    capture_output=True, text=True, check=True)
        except FileNotFoundError:
            self.skipTest("groff is not installed")
        self.assertEqual(result.stderr, "")

    def complete(self, *words):
        script = (f'. {SOURCE / "sfconv.bash"}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                  '_sfconv; echo "${COMPREPLY[@]}"')
        return subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True,
                              text=True, check=True).stdout.split()

    def test_completion_knows_every_command_and_option(self):
        self.assertEqual(self.complete("sfconv", ""), [*self.commands(), "--help", "--version"])
        for command in self.commands():
            with self.subTest(command=command):
                self.assertEqual(self.complete("sfconv", command, "--"), self.options(command))

    def test_guide_shows_every_command(self):
        guide = (ROOT / "docs/tool.md").read_text(encoding="utf-8")
        for command in self.commands():
            self.assertRegex(guide, rf"(?m)^(build/tools/sfconv/)?sfconv {command} ")


class CommandLine(ToolCase):
    def test_faults_are_told_in_one_line(self):
        for arguments, text in [
            ([], "expected a command"),
            (["dance"], "no command 'dance'"),
            (["info"], "expected MODEL"),
            (["info", "a", "b"], "'b' is one too many"),
            (["info", "--nonsense", "a"], "--nonsense: no such option"),
            (["info", "-x", "a"], "-x: no such option"),
            (["info", "a", "--size"], "--size: expected"),
            (["info", "a", "--plan=yes"], "--plan: takes no value"),
            (["info", "a", "--plan", "--json"], "--plan"),
            (["info", "a", "--workers", "0"], "--workers: '0'"),
            (["eval", "a", "b", "--set", "none"], "--set: 'none'"),
            (["predict", "a", "b"], "--output"),
            (["bench", "a", "--seconds", "0"], "--seconds: '0'"),
        ]:
            with self.subTest(arguments=arguments):
                self.assert_sfconv_refused(USAGE, [text], *arguments)
        self.assertEqual(self.content(), {})

    def test_a_missing_model_is_a_failure_that_names_it(self):
        for arguments in (["info", "gone"], ["spectrum", "gone"], ["bench", "gone"], ["eval", "gone", "set"],
                          ["predict", "gone", "image.png", "--output", "out"],
                          ["compress", "gone", "--rho", "1/8", "--output", "out"]):
            with self.subTest(arguments=arguments):
                self.assert_sfconv_refused(FAILURE, ["gone"], *arguments)
        self.assertEqual(self.content(), {})

    def test_a_full_disk_is_a_failure(self):
        for arguments in (["info", "--help"], ["--help"], ["--version"], ["help"], ["help", "info"]):
            with (self.subTest(arguments=arguments),
                  open("/dev/full", "w", encoding="utf-8") as full):
                result = subprocess.run([TOOL, *arguments], stdout=full, stderr=subprocess.PIPE,
                                        text=True, check=False)
                self.assertEqual(result.returncode, FAILURE)
                self.assertRegex(result.stderr, "^sfconv: standard output: .*\n$")


if __name__ == "__main__":
    main()
