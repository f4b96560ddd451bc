#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What is installed serves a program that knows pkg-config only.

Installs into an empty folder, builds install_consumer.c against it and runs it; compares the numbers
of version in meson, pkg-config, the header and the SONAME.

usage: install_law.py SOURCE_ROOT BUILD_FOLDER VERSION -- COMPILER…
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import tree


def run(command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def header_number(header, name):
    return re.search(rf"^#define SFCONV_{name} (\d+)$", header, re.MULTILINE).group(1)


def installed_environment(destination):
    """Environment in which pkg-config finds the new installation before any other."""
    pc_file = next(destination.rglob("sfconv.pc"))
    environment = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=str(destination))
    environment["PKG_CONFIG_PATH"] = f"{pc_file.parent}:{os.environ.get('PKG_CONFIG_PATH', '')}"
    return environment


def faults(root, build, version, compiler, destination):
    run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", destination])
    environment = installed_environment(destination)

    def pkg_config(*options):
        return run(["pkg-config", *options, "sfconv"], env=environment).strip()

    header = next(destination.rglob("sfconv/version.h")).read_text(encoding="utf-8")
    numbers = [header_number(header, f"VERSION_{part}") for part in ("MAJOR", "MINOR", "PATCH")]
    for where, found in (("version.h", ".".join(numbers)), ("sfconv.pc", pkg_config("--modversion"))):
        if found != version:
            yield f"{where} says version {found}, meson.build says {version}"

    library = next(destination.rglob("libsfconv.so"))
    soname = re.search(r"SONAME.*\[(.*)\]", run(["readelf", "-d", library])).group(1)
    wanted = f"libsfconv.so.{header_number(header, 'ABI_NUMBER')}"
    if soname != wanted:
        yield f"the SONAME is {soname}, version.h wants {wanted}"
    for public in (root / "include" / "sfconv").glob("*.h"):
        if not list(destination.rglob(f"include/sfconv/{public.name}")):
            yield f"{public.name} is not installed"

    # The command is built where libpng is.
    tool = next(destination.rglob("bin/sfconv"), None)
    if tool:
        said = run([tool, "--version"], env=dict(os.environ, LD_LIBRARY_PATH=str(library.parent)))
        if said.split() != ["sfconv", version]:
            yield f"sfconv --version says '{said.strip()}', meson.build says {version}"
        for name in ("man1/sfconv.1", "bash-completion/completions/sfconv"):
            if not list(destination.rglob(name)):
                yield f"{name} is not installed"

    program = destination / "consumer"
    run([*compiler, "-std=c11", root / "tests" / "laws" / "install_consumer.c", "-o", program,
         *pkg_config("--cflags", "--libs").split()])
    run([program], env=dict(os.environ, LD_LIBRARY_PATH=str(library.parent)))


def main():
    compiler = sys.argv[sys.argv.index("--") + 1:]
    root, build, version = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    with tempfile.TemporaryDirectory() as name:
        try:
            found = list(faults(root, build, version, compiler, pathlib.Path(name)))
        except subprocess.CalledProcessError as error:
            found = [f"{error.cmd[0]} failed: {error.stdout}{error.stderr}"]
    return tree.report("install law", found)


if __name__ == "__main__":
    sys.exit(main())
