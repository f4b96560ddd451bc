#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Links of the documents lead somewhere; nothing unfinished or bound to one machine is in the tree.

usage: docs_law.py ROOT
"""

import pathlib
import re
import sys

import tree

LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
# Absolute paths of somebody's machine; a document may still show commands that use /tmp.
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:work|home|root|Users)/\w[^\s\"'`)]*")
TEMPORARY_PATH = re.compile(r"(?<![\w.$}/-])/tmp/[^\s\"'`)]*")
FORBIDDEN_WORD = re.compile(r"\b(?:TODO|FIXME|XXX|HACK|WIP)\b")
# These name what they look for.
EXEMPT = {"docs_law.py", "planted_faults.py"}


def link_faults(root, path, content):
    for link in LINK.findall(FENCE.sub("", content)):
        target = link.split("#")[0]
        if not target or re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        if target.startswith("/"):
            yield f"{path}: the link {link} is not relative"
        elif not (root / path.parent / target).exists():
            yield f"{path}: the link {link} leads nowhere"


def word_faults(path, content):
    patterns = [MACHINE_PATH, FORBIDDEN_WORD]
    if path.suffix == ".md":
        patterns.append(TEMPORARY_PATH)
        content = FENCE.sub("", content)
    for pattern in patterns:
        for found in pattern.finditer(content):
            yield f"{path}: “{found.group()}” does not belong into the tree"


def faults(root):
    found = []
    for path in tree.files(root):
        if path.name in EXEMPT:
            continue
        try:
            content = tree.text(root, path)
        except UnicodeDecodeError:
            continue
        if path.suffix == ".md":
            found.extend(link_faults(root, path, content))
        found.extend(word_faults(path, content))
    return found


if __name__ == "__main__":
    sys.exit(tree.report("docs law", faults(pathlib.Path(sys.argv[1]))))
