# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the programs share: folders of made images, running a program, its answer.

The folder of the programs comes in the environment variable SFCONV_PROGRAMS.
"""

import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import png_files

PROGRAMS = pathlib.Path(os.environ.get("SFCONV_PROGRAMS", "build/examples")).resolve()
FAILURE = 1
USAGE = 2


class ProgramCase(unittest.TestCase):
    """Each test runs in an empty folder of its own, self.folder."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sfconv-programs-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def run_program(self, name, *arguments, **options):
        return subprocess.run([PROGRAMS / name, *map(str, arguments)], cwd=self.folder,
                              capture_output=True, text=True, check=False, timeout=120, **options)

    def run_well(self, name, *arguments, **options):
        """What a program that succeeds writes to standard output."""
        result = self.run_program(name, *arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "")
        return result.stdout

    def assert_refused(self, status, texts, name, *arguments, **options):
        """The program ends with this status and one line that holds each of the texts."""
        result = self.run_program(name, *arguments, **options)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for text in texts:
            self.assertIn(text, result.stderr)

    def content(self, name="."):
        """Every file below a folder with its bytes."""
        return {path.relative_to(self.folder).as_posix(): path.read_bytes()
                for path in sorted((self.folder / name).rglob("*")) if path.is_file()}

    def put(self, name, rows, channels=1):
        png_files.write(self.folder / name, rows, channels)

    def put_flat(self, name, width=16, height=16, value=100, channels=1):
        self.put(name, [bytes([value]) * (width * channels)] * height, channels)


def blot(size, seed):
    """A gray picture of a pale rectangle in dim noise, and its mask."""
    chance = random.Random(seed)
    left, top = (chance.randrange(2, size // 2) for _ in range(2))
    wide, high = (chance.randrange(size // 4, size // 2) for _ in range(2))
    picture, mask = [], []
    for y in range(size):
        inside = [left <= x < left + wide and top <= y < top + high for x in range(size)]
        picture.append(bytes(chance.randrange(110, 200) if is_in else chance.randrange(20, 120)
                             for is_in in inside))
        mask.append(bytes(255 * is_in for is_in in inside))
    return picture, mask


def stripes(size, seed, upright_only):
    """An RGB picture of a cross of stripes in noise, or of stripes of one direction."""
    chance = random.Random(seed)
    shift = chance.randrange(6)

    def value(x, y):
        light = (x + shift) % 6 < 2 or (not upright_only and (y + shift) % 6 < 2)
        return chance.randrange(120, 220) if light else chance.randrange(20, 120)

    return [bytes(value(x, y) for x in range(size) for _ in range(3)) for y in range(size)]


def put_masks(case, root, counts=(8, 2, 2), size=16):
    """train, val and test with this many pairs of image and mask; 0: no such folder."""
    seed = 0
    for part, count in zip(("train", "val", "test"), counts):
        for i in range(count):
            picture, mask = blot(size, seed)
            case.put(f"{root}/{part}/images/{i:03}.png", picture)
            case.put(f"{root}/{part}/masks/{i:03}.png", mask)
            seed += 1


def put_classes(case, root, counts=(8, 2, 2), size=16):
    """train, val and test with this many pictures of "grid" and as many of "lines"."""
    seed = 0
    for part, count in zip(("train", "val", "test"), counts):
        for i in range(count):
            for name in ("grid", "lines"):
                case.put(f"{root}/{part}/{name}/{i:03}.png",
                         stripes(size, seed, name == "lines"), 3)
                seed += 1


def number_after(text, label):
    """The number behind "label " in a program's output."""
    return float(re.search(re.escape(label) + r" (-?[0-9.]+)", text).group(1))


def main():
    """Runs the tests of the calling file; the last line is one that tests/count_results.py knows."""
    result = unittest.main(exit=False, verbosity=2).result
    bad = len(result.failures), len(result.errors)
    good = result.testsRun - sum(bad)
    print(f"{100 * good // max(result.testsRun, 1)}%: Checks: {result.testsRun}, "
          f"Failures: {bad[0]}, Errors: {bad[1]}")
    sys.exit(0 if result.wasSuccessful() else 1)
