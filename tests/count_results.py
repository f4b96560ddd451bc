#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Counts the tests in the logs of meson and prints "N passed, N failed, N skipped".

usage: count_results.py [--failed=WHAT | --skipped=WHAT]... [BUILD_FOLDER]...

A Check program counts as its single tests, any other test as one. A program that ends badly although
none of its tests failed (a crash, a leak, a timeout) counts as one failure more. --failed and
--skipped add what happened outside the logs. A folder without log is left out.
"""

import argparse
import json
import pathlib
import re
import sys

CHECK_LINE = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.MULTILINE)
GOOD = ("OK", "EXPECTEDFAIL")


def count_test(entry):
    """(passed, failed, skipped) of one entry of meson's log."""
    result = entry["result"]
    if result == "SKIP":
        return 0, 0, 1
    suites = [tuple(map(int, found)) for found in CHECK_LINE.findall(entry.get("stdout") or "")]
    checks = sum(suite[0] for suite in suites)
    failed = sum(suite[1] + suite[2] for suite in suites)
    passed = checks - failed
    if result in GOOD:
        return (passed, failed, 0) if suites else (1, 0, 0)
    return passed, max(failed, 1), 0


def read_log(folder):
    log = pathlib.Path(folder, "meson-logs", "testlog.json")
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--failed", action="append", default=[])
    parser.add_argument("--skipped", action="append", default=[])
    parser.add_argument("folders", nargs="*")
    arguments = parser.parse_args()

    total = [0, len(arguments.failed), len(arguments.skipped)]
    for what in arguments.failed:
        print(f"failed: {what}")
    for what in arguments.skipped:
        print(f"skipped: {what}")
    for folder in arguments.folders:
        for entry in read_log(folder):
            counts = count_test(entry)
            total = [sum(pair) for pair in zip(total, counts)]
            if counts[1]:
                print(f"failed: {folder}: {entry['name']} ({entry['result'].lower()})")
            elif counts[2]:
                print(f"skipped: {folder}: {entry['name']}")
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
