#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each public header compiles alone, as C and as C++, and C++ links to every exported symbol.

usage: headers_law.py INCLUDE_FOLDER LIBRARY -- COMPILER…
Exit 77 when all is well but no C++ compiler is here.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import symbols_law
import tree

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def compile_fault(command, what):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"{what}: {done.stderr.strip()}"


def alone_faults(include, headers, compiler, language, standards, folder):
    for header in headers:
        source = folder / f"alone.{language}"
        source.write_text(f'#include "sfconv/{header.name}"\n' * 2 + "int alone(void);\n",
                          encoding="utf-8")
        for standard in standards:
            fault = compile_fault(
                [*compiler, f"-std={standard}", *WARNINGS, "-fsyntax-only", f"-I{include}", source],
                f"{header.name} as {standard}")
            if fault:
                yield fault


def link_fault(include, headers, library, compiler, folder):
    """Takes the address of every exported symbol: each must be declared, with C linkage."""
    umbrella = [header for header in headers if header.name == "sfconv.h"]
    addresses = "".join(f"    reinterpret_cast<void (*)()>(&{name}),\n"
                        for name in symbols_law.exported(library))
    source = folder / "symbols.cpp"
    source.write_text(
        "".join(f'#include "sfconv/{header.name}"\n' for header in umbrella or headers)
        + f"typedef void (*function)();\nconst function functions[] = {{\n{addresses}}};\n"
        "int main() {\n    for (function f : functions) if (!f) return 1;\n    return 0;\n}\n",
        encoding="utf-8")
    program = folder / "symbols"
    fault = compile_fault(
        [*compiler, "-std=c++11", *WARNINGS, f"-I{include}", source, "-o", program,
         f"-L{library.parent}", f"-Wl,-rpath,{library.parent}", "-lsfconv"],
        "a C++ program with every symbol")
    if fault:
        return fault
    return None if subprocess.run([program], check=False).returncode == 0 else "the C++ program fails"


def main():
    include, library = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    compiler = sys.argv[sys.argv.index("--") + 1:]
    headers = sorted((include / "sfconv").glob("*.h"))
    cxx = os.environ.get("CXX", "").split() or [shutil.which("g++") or shutil.which("clang++")]
    faults = [] if headers else [f"no public header in {include}"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        faults.extend(alone_faults(include, headers, compiler, "c", ["c11"], folder))
        if cxx[0]:
            faults.extend(alone_faults(include, headers, cxx, "cpp", ["c++11", "c++17"], folder))
            fault = link_fault(include, headers, library, cxx, folder)
            faults.extend([fault] if fault else [])
    if not cxx[0] and not faults:
        print("no C++ compiler: headers checked as C only")
        return 77
    return tree.report("headers law", faults)


if __name__ == "__main__":
    sys.exit(main())
