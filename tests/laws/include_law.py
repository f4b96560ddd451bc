#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The include law of lib/README.md, unique file names, licence lines and lengths of files.

usage: include_law.py ROOT
"""

import pathlib
import re
import sys

import tree

# What each room may include besides itself: the arrows, spelled out.
SEES = {"base": set(), "kernels": {"base"}, "blas": {"base"}}
SEES["spectral"] = {"blas", "kernels", "base"}
SEES["layers"] = SEES["spectral"] | {"spectral"}
SEES["net"] = SEES["layers"] | {"layers"}
for _room in ("models", "train", "io"):
    SEES[_room] = SEES["net"] | {"net"}
SEES["api"] = SEES["net"] | {"net", "models", "train", "io"}

KERNELS_SEE_OF_BASE = {"cpu.h"}
BLAS_HEADERS = {"cblas.h", "f77blas.h", "lapack.h", "lapacke.h"}
PUBLIC_SYSTEM_HEADERS = {"stddef.h", "stdint.h"}
# Programs see the public headers and these; examples share the program code of tools/.
PROGRAMS_SEE = {"tools": {"tools"}, "examples": {"examples", "tools"}}
# tests/ may look into every room.
BOUND = {"lib", "include", "tools", "examples"}
SHARED_NAMES = {"meson.build", "README.md"}
C_SUFFIXES = {".c", ".h", ".inc", ".cpp", ".hpp"}
SCRIPT_SUFFIXES = {".py", ".sh"}
# A file of lib/kernels that names one of these includes a header of it by itself: intrinsics of one
# instruction set bring along what those of another do not.
NAMES_OF_KERNELS = {
    "NULL": {"stddef.h", "stdlib.h", "string.h"},
    "size_t": {"stddef.h", "stdlib.h", "string.h"},
    "memcpy": {"string.h"},
    "memset": {"string.h"},
    "memmove": {"string.h"},
}
LICENCE = "SPDX-License-Identifier: BSD-2-Clause"
LINES = {"lib": 600, "include": 600, "tools": 600, "examples": 600, "tests": 800}

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:([<"])([^>"\n]+)[>"]|(\w+))', re.MULTILINE)


def room_of(path):
    return path.parts[1] if path.parts[0] == "lib" and len(path.parts) > 2 else None


def include_fault(path, quote, name, headers):
    """What is wrong with `#include name` in path; None when nothing is."""
    top, room = path.parts[0], room_of(path)
    target = pathlib.PurePosixPath(name)
    if target.name in BLAS_HEADERS:
        return None if room == "blas" else "BLAS and LAPACK belong to lib/blas"
    if target.parts[0] == "sfconv":
        public = pathlib.PurePosixPath("include", name)
        return None if public in headers[""] else f"{public} does not exist"
    if top == "include":
        allowed = quote == "<" and name in PUBLIC_SYSTEM_HEADERS
        return None if allowed else "a public header includes public headers, stddef.h and stdint.h"
    if quote == "<":
        return None
    if len(target.parts) > 1:
        return "headers are included by their name alone"
    owner = headers.get(name)
    if owner is None:
        return "no file of the tree has this name"
    if top == "lib":
        return room_fault(room, owner, name)
    if owner.parts[0] in PROGRAMS_SEE[top]:
        return None
    return f"{top}/ sees the public headers and those of {', '.join(sorted(PROGRAMS_SEE[top]))} only"


def room_fault(room, owner, name):
    other = room_of(owner)
    if other == room:
        return None
    if other not in SEES.get(room, set()):
        return f"lib/{room} must not see {owner}"
    if room == "kernels" and name not in KERNELS_SEE_OF_BASE:
        return f"of lib/base, lib/kernels sees {', '.join(sorted(KERNELS_SEE_OF_BASE))} only"
    return None


def include_faults(root, paths):
    # By name; under "" the set of all paths.
    headers = {path.name: path for path in paths if path.suffix in C_SUFFIXES}
    headers[""] = set(paths)
    for path in paths:
        if path.suffix not in C_SUFFIXES or path.parts[0] not in BOUND:
            continue
        room = room_of(path)
        if path.parts[0] == "lib" and room not in SEES:
            yield f"{path}: not in a room of lib/README.md"
            continue
        for quote, name, macro in INCLUDE.findall(tree.text(root, path)):
            fault = ("a computed include cannot be checked" if macro
                     else include_fault(path, quote, name, headers))
            if fault:
                yield f"{path}: #include of {name or macro}: {fault}"


def kernel_name_faults(root, paths):
    for path in paths:
        if path.suffix not in C_SUFFIXES or room_of(path) != "kernels":
            continue
        code = COMMENT.sub("", tree.text(root, path))
        included = {name for _, name, _ in INCLUDE.findall(code)}
        for name, headers in NAMES_OF_KERNELS.items():
            if re.search(rf"\b{name}\b", code) and not headers & included:
                yield f"{path}: names {name} without an #include of {sorted(headers)[0]}"


def name_faults(paths):
    seen = {}
    for path in paths:
        if path.parts[0] not in LINES or path.name in SHARED_NAMES:
            continue
        if path.name in seen:
            yield f"{path}: {seen[path.name]} has the same name"
        seen.setdefault(path.name, path)


def form_faults(root, paths):
    for path in paths:
        top = path.parts[0]
        if path.suffix not in C_SUFFIXES | SCRIPT_SUFFIXES or top not in LINES:
            continue
        lines = tree.text(root, path).splitlines()
        if path.suffix in C_SUFFIXES:
            licensed = lines[:1] == [f"/* {LICENCE} */"]
        else:
            licensed = f"# {LICENCE}" in lines[:2]
        if not licensed:
            yield f"{path}: does not begin with the licence line"
        if len(lines) > LINES[top]:
            yield f"{path}: {len(lines)} lines, more than {LINES[top]}"


def faults(root):
    paths = tree.files(root)
    return [*include_faults(root, paths), *kernel_name_faults(root, paths), *name_faults(paths),
            *form_faults(root, paths)]


if __name__ == "__main__":
    sys.exit(tree.report("include law", faults(pathlib.Path(sys.argv[1]))))
