# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the command sfconv share. Its path comes in SFCONV_TOOL."""

import csv
import io
import json
import os
import pathlib
import struct

from program_case import ProgramCase

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = pathlib.Path(os.environ.get("SFCONV_TOOL", ROOT / "build/tools/sfconv/sfconv")).resolve()


class ToolCase(ProgramCase):
    def sfconv(self, *arguments, **options):
        """What a command that succeeds writes to standard output."""
        return self.run_well(TOOL, *arguments, **options)

    def assert_sfconv_refused(self, status, texts, *arguments, **options):
        """The command ends with this status and one line that holds each of the texts."""
        self.assert_refused(status, texts, TOOL, *arguments, **options)

    def table(self, name):
        """The rows of a CSV file, by the names of its columns."""
        return list(csv.DictReader(io.StringIO((self.folder / name).read_text())))

    def retold(self, model, name, text):
        """A copy of a model file in which one of its texts is another; the name of the copy."""
        content = (self.folder / model).read_bytes()
        begin = 8 + struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8:begin])
        header["__metadata__"][name] = text
        coded = json.dumps(header).encode()
        coded += b" " * (-len(coded) % 8)
        (self.folder / "retold.safetensors").write_bytes(struct.pack("<Q", len(coded)) + coded
                                                         + content[begin:])
        return "retold.safetensors"

    def segmenter(self, *options, data="set"):
        """Trains for an epoch; the name of the model file."""
        self.run_well("segmenter", "--data", data, "--epochs", 1, "--output", "model", *options)
        return "model/segmenter.safetensors"

    def classifier(self, *options, data="set"):
        self.run_well("classifier", "--data", data, "--epochs", 1, "--output", "model", *options)
        return "model/classifier.safetensors"
