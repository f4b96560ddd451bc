#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prints line coverage of lib/ by room from gcovr's JSON summary; fails below 90 % in total."""

import collections
import json
import pathlib
import sys

WANTED = 90.0


def main():
    summary = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    rooms = collections.defaultdict(lambda: [0, 0])
    for file in summary["files"]:
        parts = pathlib.PurePosixPath(file["filename"]).parts
        if parts[0] == "lib":
            rooms[parts[1]][0] += file["line_covered"]
            rooms[parts[1]][1] += file["line_total"]
    covered = sum(room[0] for room in rooms.values())
    lines = sum(room[1] for room in rooms.values())
    for name, (part, whole) in sorted(rooms.items()):
        print(f"{name:10} {part:6} of {whole:6} lines  {100 * part / max(whole, 1):5.1f} %")
    percent = 100 * covered / max(lines, 1)
    verdict = "as wanted" if percent >= WANTED else f"below {WANTED:.0f} %"
    print(f"{'total':10} {covered:6} of {lines:6} lines  {percent:5.1f} %  {verdict}")
    return 0 if percent >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
