#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the documents show is true: commands run, and code is that of the examples.

A block that begins with ```sh runnable holds commands; all run in one folder with the programs
where the documents have them: build/examples, and sfconv on the path. A block that begins with ```c examples/FILE
is a part of that file, up to indentation; "..." on a line of its own skips lines.
"""

import os
import pathlib
import re
import subprocess
import unittest

from program_case import PROGRAMS, ProgramCase, main
from tool_case import TOOL

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\S+) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language):
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]):
        for found, word, text in BLOCK.findall(path.read_text(encoding="utf-8")):
            if found == language:
                yield path.name, word, text


def bare(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def starts(part, whole):
    return {i for i in range(len(whole)) if whole[i:i + len(part)] == part}


class Documents(ProgramCase):
    def test_commands_run(self):
        (self.folder / "build").mkdir()
        (self.folder / "build/examples").symlink_to(PROGRAMS)
        commands = [(name, text) for name, word, text in blocks("sh") if word == "runnable"]
        self.assertGreater(len(commands), 0)
        environment = dict(os.environ, PATH=f"{TOOL.parent}:{os.environ['PATH']}")
        for name, text in commands:
            with self.subTest(document=name, commands=text):
                result = subprocess.run(["sh", "-eu", "-c", text], cwd=self.folder, text=True,
                                        capture_output=True, check=False, timeout=120,
                                        env=environment)
                self.assertEqual(result.returncode, 0, result.stderr)

    def test_code_is_that_of_the_examples(self):
        shown = [(name, path, text) for name, path, text in blocks("c")
                 if path.startswith("examples/")]
        self.assertGreater(len(shown), 0)
        for name, path, text in shown:
            whole = bare((ROOT / path).read_text(encoding="utf-8"))
            for part in re.split(r"^\s*\.\.\.\s*$", text, flags=re.MULTILINE):
                with self.subTest(document=name, code=part):
                    self.assertTrue(bare(part), "an empty part")
                    self.assertTrue(starts(bare(part), whole), f"{path} has no such lines")


if __name__ == "__main__":
    main()
