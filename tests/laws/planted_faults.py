#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The laws find what they are made to find: each fault is planted alone in a small clean tree."""

import pathlib
import sys
import tempfile
import unittest

import docs_law
import include_law

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import count_results  # pylint: disable=wrong-import-position

LICENCE = "/* SPDX-License-Identifier: BSD-2-Clause */\n"
CLEAN = {
    "include/sfconv/status.h": "#include <stdint.h>\n",
    "lib/base/cpu.h": "",
    "lib/base/sizes.h": "",
    "lib/kernels/kernels.h": '#include "cpu.h"\n#include "sfconv/status.h"\n',
    "lib/blas/gemm.c": "#include <cblas.h>\n",
    "lib/net/graph.h": '#include "kernels.h"\n#include "sizes.h"\n',
    "lib/train/loss.h": '#include "graph.h"\n',
    "lib/io/file.c": '#include "graph.h"\n',
    "lib/api/door.c": '#include "loss.h"\n#include <stdlib.h>\n',
    "examples/hello.c": '#include <sfconv/status.h>\n#include <stdio.h>\n',
}


class Planted(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name, content in CLEAN.items():
            self.write(name, LICENCE + content)
        self.write("README.md", "See [the map](lib/README.md#rooms) and [us](https://example.org).\n")
        self.write("lib/README.md", "Rooms\n")

    def write(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")

    def assert_found(self, law, name, content, wanted):
        """The law finds just one fault in the tree with the file `name`, and says why."""
        self.write(name, content)
        found = law.faults(self.root)
        (self.root / name).unlink()
        self.assertEqual(len(found), 1, found)
        self.assertIn(wanted, found[0])

    def test_a_clean_tree_has_no_fault(self):
        self.assertEqual(include_law.faults(self.root), [])
        self.assertEqual(docs_law.faults(self.root), [])

    def test_forbidden_includes_are_found(self):
        planted = [
            ("lib/base/x.c", '#include "kernels.h"', "must not see"),
            ("lib/kernels/x.c", '#include "sizes.h"', "cpu.h only"),
            ("lib/kernels/x.c", '#include "graph.h"', "must not see"),
            ("lib/net/x.c", '#  include "loss.h"', "must not see"),
            ("lib/io/x.c", '#include "loss.h"', "must not see"),
            ("lib/net/x.c", "#include <openblas/cblas.h>", "belong to lib/blas"),
            ("lib/net/x.c", '#include "../base/sizes.h"', "by their name alone"),
            ("lib/net/x.c", '#include "none.h"', "no file"),
            ("lib/net/x.c", '#include "sfconv/none.h"', "does not exist"),
            ("lib/net/x.c", "#include NAME", "computed"),
            ("lib/kernels/x.c", "int *p = NULL;", "without an #include of stddef.h"),
            ("lib/kernels/x.c", "#include <stddef.h>\nmemcpy(a, b, c);", "of string.h"),
            ("lib/attic/x.c", "", "not in a room"),
            ("examples/x.c", '#include "graph.h"', "public headers and those of"),
            ("tools/x.c", '#include "graph.h"', "public headers and those of"),
            ("include/sfconv/x.h", "#include <stdio.h>", "a public header includes"),
            ("include/sfconv/x.h", '#include "cpu.h"', "a public header includes"),
        ]
        for name, line, wanted in planted:
            with self.subTest(file=name, line=line):
                self.assert_found(include_law, name, f"{LICENCE}{line}\n", wanted)

    def test_faults_of_form_are_found(self):
        planted = [
            ("tools/file.c", LICENCE, "has the same name"),
            ("lib/net/x.c", "int x;\n", "licence"),
            ("tests/x.py", "#!/usr/bin/env python3\n", "licence"),
            ("lib/net/x.c", LICENCE + "\n" * 600, "more than 600"),
            ("tests/x.c", LICENCE + "\n" * 800, "more than 800"),
        ]
        for name, content, wanted in planted:
            with self.subTest(file=name, fault=wanted):
                self.assert_found(include_law, name, content, wanted)

    def test_faults_of_documents_are_found(self):
        planted = [
            ("docs/x.md", "[gone](nowhere.md)", "leads nowhere"),
            ("docs/x.md", "[root](/README.md)", "not relative"),
            ("docs/x.md", "built in /home/somebody/lib", "does not belong"),
            ("docs/x.md", "see /tmp/result.txt", "does not belong"),
            ("lib/net/x.c", LICENCE + "/* TODO: later */", "does not belong"),
        ]
        for name, content, wanted in planted:
            with self.subTest(content=content):
                self.assert_found(docs_law, name, content, wanted)

    def test_a_document_may_show_commands_with_temporary_files(self):
        self.write("docs/x.md", "```sh\n./dev demo >/tmp/result.txt\n```\n")
        self.assertEqual(docs_law.faults(self.root), [])


class Counting(unittest.TestCase):
    def count(self, result, stdout=""):
        return count_results.count_test({"result": result, "stdout": stdout})

    def test_a_check_program_counts_its_single_tests(self):
        line = "90%: Checks: 10, Failures: 1, Errors: 0\n"
        self.assertEqual(self.count("OK", "100%: Checks: 7, Failures: 0, Errors: 0\n"), (7, 0, 0))
        self.assertEqual(self.count("FAIL", line), (9, 1, 0))
        self.assertEqual(self.count("FAIL", line + line), (18, 2, 0))

    def test_other_programs_count_as_one(self):
        self.assertEqual(self.count("OK"), (1, 0, 0))
        self.assertEqual(self.count("SKIP"), (0, 0, 1))
        self.assertEqual(self.count("FAIL"), (0, 1, 0))

    def test_a_bad_end_is_a_failure_even_when_no_test_failed(self):
        for result in ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT"):
            self.assertEqual(self.count(result), (0, 1, 0))
        self.assertEqual(self.count("FAIL", "100%: Checks: 4, Failures: 0, Errors: 0\n"), (4, 1, 0))


if __name__ == "__main__":
    unittest.main()
