# SPDX-License-Identifier: BSD-2-Clause
"""The benchmarks beside other engines: who takes part, and what is said of those that do not."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

COMPARE = pathlib.Path(__file__).resolve().with_name("compare.py")
WORKER = os.environ["SFCONV_PEER_WORKER"]
ANSWERS = """
import sys
for line in sys.stdin:
    print("OK 3000000 3000000 # note" if line[0] in "MTPL" else "OK 1024", flush=True)
"""


class Bench(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sfconv-bench-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def compare(self, *arguments, peers=None, **environment):
        settings = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", **environment)
        settings.pop("SFCONV_PEERS", None)
        if peers is not None:
            settings["SFCONV_PEERS"] = str(peers)
        what, *others = arguments
        return subprocess.run([sys.executable, COMPARE, what, WORKER, "--threads", "1", "--rounds",
                               "1", "--budget", "1", *others], env=settings, capture_output=True,
                              text=True, check=False, timeout=120)

    def lines(self, *arguments, **options):
        result = self.compare(*arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.splitlines()

    def put_worker(self, text):
        (self.folder / "w_torch.py").write_text(text)

    def test_without_a_folder_the_first_lines_say_so(self):
        lines = self.lines("nets", "--only", "resnet18_sf32")
        self.assertEqual(lines[0], "beside this library: no other engine")
        self.assertIn("PyTorch nchw", lines[1])
        self.assertIn("SFCONV_PEERS names no folder", lines[1])
        self.assertRegex(lines[-1], r"^\| resnet18_sf32 \| 1 \| 1 \| .* \| - \| - \|  \|$")

    def test_a_wrong_folder_is_an_error(self):
        for name, reason in (("nowhere", "no such folder"), ("empty", "no engine is there"),
                             ("file", "not a folder")):
            (self.folder / "empty").mkdir(exist_ok=True)
            (self.folder / "file").write_text("")
            for what in "nets", "training", "memory", "layers", "pairs", "depthwise":
                with self.subTest(name=name, what=what):
                    result = self.compare(what, peers=self.folder / name)
                    self.assertEqual(result.returncode, 1)
                    self.assertIn(f"{name}: {reason}", result.stderr)
                    self.assertEqual(result.stdout, "")

    def test_engines_of_the_folder_take_part_and_the_missing_ones_are_named(self):
        self.put_worker(ANSWERS)
        for what, *options in (["nets"], ["training"], ["nets", "--batch", "2"]):
            with self.subTest(what=what, options=options):
                lines = self.lines(what, "--only", "resnet18_sf32", *options, peers=self.folder)
                self.assertEqual(lines[0],
                                 "beside this library: PyTorch nchw, PyTorch cl, PyTorch jit")
                self.assertIn(f"without XNNPACK: no {self.folder}/bin/w_xnn", lines)
                self.assertIn("3000 ms", lines[-1])
                if options:
                    self.assertIn("| resnet18_sf32 | 2 | 1 |", lines[-1])

    def test_an_engine_that_does_not_start_is_named_with_its_last_words(self):
        self.put_worker("import sys\nsys.exit('no such library')\n")
        for what in "nets", "memory":
            with self.subTest(what=what):
                lines = self.lines(what, "--only", "resnet18_sf32", peers=self.folder)
                self.assertEqual(lines[0], "beside this library: no other engine")
                self.assertIn("without PyTorch nchw, PyTorch cl, PyTorch jit: does not start: "
                              "no such library", lines)

    def test_an_engine_that_cannot_do_the_work_is_not_taken_for_one_that_ended(self):
        self.put_worker(ANSWERS.replace('"OK 1024"', '"ERR unsupported"'))
        lines = self.lines("nets", "--only", "resnet18_sf32", peers=self.folder)
        self.assertIn("3000 ms", lines[-1])

    def test_single_layers_are_trained_dense_and_factorized(self):
        self.put_worker(ANSWERS)
        lines = self.lines("layers", "--only", "^64@56, (dense|rank 2 )", peers=self.folder)
        self.assertRegex(lines[-2], r"^\| 64@56, dense \| 1 \|")
        self.assertRegex(lines[-1], r"^\| 64@56, rank 2 \(1/32\) \| 1 \|")
        self.assertIn("3000 ms", lines[-1])

    def test_what_the_worker_cannot_do_is_an_error_with_its_reason(self):
        result = self.compare("training", "--only", "resnet18_sf32", "--batch", "65")
        self.assertEqual(result.returncode, 1)
        self.assertIn("'T resnet18_sf32 65': SFCONV_ERROR_UNSUPPORTED", result.stderr)

    def test_an_instruction_set_that_is_not_used_is_told(self):
        lines = self.lines("nets", "--only", "resnet18_sf32", SFCONV_ISA="sse9")
        self.assertIn("SFCONV_ISA=sse9 is no name", lines[0])


if __name__ == "__main__":
    unittest.main()
