# SPDX-License-Identifier: BSD-2-Clause
"""The PNG files that the tests of the programs need: 8 bits, gray or RGB, nothing else."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3}


def _chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def encode(rows, channels=1):
    """Bytes of a file; `rows` holds bytes-like rows of width x channels."""
    width = len(rows[0]) // channels
    kind = {count: colour for colour, count in CHANNELS.items()}[channels]
    header = struct.pack(">IIBBBBB", width, len(rows), 8, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def write(path, rows, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(rows, channels))


def _unfilter(kind, row, above, step):
    for i, value in enumerate(row):
        left = row[i - step] if i >= step else 0
        up = above[i]
        corner = above[i - step] if i >= step else 0
        if kind == 1:
            row[i] = (value + left) & 255
        elif kind == 2:
            row[i] = (value + up) & 255
        elif kind == 3:
            row[i] = (value + (left + up) // 2) & 255
        elif kind == 4:
            guess = left + up - corner
            distance = [abs(guess - left), abs(guess - up), abs(guess - corner)]
            row[i] = (value + (left, up, corner)[distance.index(min(distance))]) & 255
    return row


def read(path):
    """(width, height, channels, rows); every checksum is checked."""
    data = path.read_bytes()
    assert data[:8] == SIGNATURE, f"{path}: no PNG"
    position, pixels, header = 8, b"", None
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        content = data[position + 8:position + 8 + length]
        assert _chunk(kind, content) == data[position:position + 12 + length], f"{path}: {kind}"
        header = content if kind == b"IHDR" else header
        pixels += content if kind == b"IDAT" else b""
        position += 12 + length
    assert kind == b"IEND", f"{path}: ends early"
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    assert depth == 8, f"{path}: depth {depth}"
    channels = CHANNELS[colour]
    raw, stride, rows = zlib.decompress(pixels), width * channels, []
    above = bytes(stride)
    for y in range(height):
        start = y * (stride + 1)
        above = bytes(_unfilter(raw[start], bytearray(raw[start + 1:start + 1 + stride]), above,
                                channels))
        rows.append(above)
    return width, height, channels, rows
