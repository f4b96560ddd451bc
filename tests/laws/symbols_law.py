#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The shared library exports what symbols.txt lists and calls nothing that would act on its host.

usage: symbols_law.py LIBRARY SYMBOLS_FILE
       symbols_law.py --list LIBRARY
"""

import pathlib
import re
import subprocess
import sys

import tree

# A library does not end, print for, signal, seed or time its host.
FORBIDDEN = set("""
    abort exit _exit _Exit quick_exit atexit __assert_fail __assert assert_rtn
    printf vprintf fprintf vfprintf dprintf puts putchar putc fputs fputc perror psignal
    stdin stdout stderr err warn syslog
    signal sigaction raise kill longjmp
    rand srand random srandom drand48 rand_r time clock gettimeofday
    setlocale setenv putenv system popen fork execve
""".split())


def symbols(library, which):
    listed = subprocess.run(["nm", "-D", which, library], check=True, capture_output=True, text=True)
    names = []
    for line in listed.stdout.splitlines():
        *_, kind, name = line.split()
        # "A" is the name of a version node.
        if kind != "A":
            names.append(name.split("@")[0])
    return sorted(set(names))


def exported(library):
    return symbols(library, "--defined-only")


def plain(name):
    """The name without what a hardened build adds to it: __printf_chk is printf."""
    return re.sub(r"^__(\w+)_chk$", r"\1", name)


def faults(library, symbols_file):
    has = set(exported(library))
    listed = set(pathlib.Path(symbols_file).read_text(encoding="utf-8").split())
    for name in sorted(has - listed):
        yield f"{name} is exported but not in symbols.txt (./dev symbols, when intended)"
    for name in sorted(listed - has):
        yield f"{name} is in symbols.txt but no longer exported (a new SONAME, when intended)"
    for name in sorted(has):
        if not name.startswith("sfconv_"):
            yield f"{name} is exported but does not begin with sfconv_"
    for name in symbols(library, "--undefined-only"):
        if plain(name) in FORBIDDEN:
            yield f"the library uses {name}"


def main():
    if sys.argv[1] == "--list":
        print("\n".join(exported(sys.argv[2])))
        return 0
    return tree.report("symbols law", list(faults(sys.argv[1], sys.argv[2])))


if __name__ == "__main__":
    sys.exit(main())
