# SPDX-License-Identifier: BSD-2-Clause
"""The files of the tree, for the laws."""

import pathlib
import re
import subprocess

GENERATED = re.compile(r"build|\.git/|subprojects/.*/|.*__pycache__/")


def files(root):
    """Paths relative to root: what git tracks or would track; without git, all but what
    builds leave behind."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=False) if (root / ".git").exists() else None
    if listed and listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
        paths = {pathlib.PurePosixPath(name) for name in names if (root / name).is_file()}
    else:
        paths = {pathlib.PurePosixPath(path.relative_to(root).as_posix())
                 for path in root.rglob("*") if path.is_file()}
    return sorted(path for path in paths if not GENERATED.match(str(path)))


def text(root, path):
    return (root / path).read_text(encoding="utf-8")


def report(name, faults):
    """Prints the faults of a law; its exit status."""
    for fault in faults:
        print(f"{name}: {fault}")
    return 1 if faults else 0
