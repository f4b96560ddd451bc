#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""An independent reader and writer of safetensors files, against the library's.

usage: safetensors_check.py PROGRAM

PROGRAM write FILE   makes a file of known tensors; this script reads it
PROGRAM read FILE    reads the file that this script wrote and checks it
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile

FORMATS = {"F64": "d", "F32": "f", "F16": "e", "I64": "q", "U8": "B"}


def write(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, dtype, shape, values in tensors:
        numbers = struct.pack(f"<{len(values)}{FORMATS[dtype]}", *values)
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(numbers)]}
        data += numbers
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read(path):
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    assert length % 8 == 0, f"the header of {length} bytes is not padded"
    header = json.loads(content[8:8 + length])
    data = content[8 + length:]
    metadata = header.pop("__metadata__", {})
    tensors, end = {}, 0
    for name, facts in header.items():
        begin, stop = facts["data_offsets"]
        assert begin == end, f"{name} begins at {begin}, not at {end}"
        end = stop
        values = struct.iter_unpack("<" + FORMATS[facts["dtype"]], data[begin:stop])
        tensors[name] = (facts["dtype"], facts["shape"], [value for (value,) in values])
    assert end == len(data), f"{len(data)} bytes of data, {end} described"
    return tensors, metadata


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = pathlib.Path(folder, "ours"), pathlib.Path(folder, "theirs")
        subprocess.run([program, "write", ours], check=True)
        tensors, metadata = read(ours)
        assert metadata == {"classes": "healthy, “sick”", "note": "a\nb"}, metadata
        assert tensors == {
            "conv.weight": ("F32", [2, 1, 1, 3], [0.5, -1.0, 1.5, -2.0, 2.5, -3.0]),
            "conv.bias": ("F32", [2], [1.0, float("inf")]),
        }, tensors
        write(theirs, [
            ("odd", "U8", [3], [1, 2, 3]),
            ("single", "F32", [2, 2], [1.0, -2.5, 2.0 ** -149, -0.0]),
            ("half", "F16", [3], [65504.0, 2.0 ** -24, -1.0]),
            ("double", "F64", [], [0.1]),
            ("empty", "F32", [0, 4], []),
            ("steps", "I64", [1], [-5]),
        ], {"from": "python ☃"})
        subprocess.run([program, "read", theirs], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
