# SPDX-License-Identifier: BSD-2-Clause
"""Other engines beside this library: which of them are here, why others are not, and their workers.

The environment variable SFCONV_PEERS names a folder with programs that speak the line protocol of
peer_worker.c: w_torch.py, w_ort.mjs with node_modules, bin/w_xnn, bin/w_onednn.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

VARIABLE = "SFCONV_PEERS"
# Name: what of it must be in the folder, and its command, where {T} is the number of threads and
# {F} the folder.
NETWORK_ENGINES = {
    **{f"PyTorch {layout}": ("w_torch.py", ["/usr/bin/python3", "{F}/w_torch.py", "{T}", layout])
       for layout in ("nchw", "cl", "jit")},
    "onnxruntime": ("node_modules/onnxruntime-node",
                    ["node", "{F}/w_ort.mjs", "{T}", "x1", "{F}/models"]),
    "XNNPACK": ("bin/w_xnn", ["{F}/bin/w_xnn", "{T}", "nhwc", "{F}/models"]),
}
# It does single layers alone.
ONEDNN = {"oneDNN": ("bin/w_onednn", ["{F}/bin/w_onednn", "{T}", "any"])}
LAYER_ENGINES = {**NETWORK_ENGINES, **ONEDNN}


def torch_pairs():
    """PyTorch on pairs with BatchNorm and ReLU, which no worker of the folder does."""
    script = str(pathlib.Path(__file__).with_name("torch_pairs.py"))
    return {f"PyTorch {layout}": [sys.executable, script, "{T}", layout]
            for layout in ("nchw", "cl", "jit")}


def find(engines):
    """Commands of the engines that are here, and why each of the others is not. A folder without
    any is a mistake of whoever named it."""
    name = os.environ.get(VARIABLE)
    if not name:
        return {}, {engine: f"{VARIABLE} names no folder" for engine in engines}
    folder = pathlib.Path(name).resolve()
    if not folder.is_dir():
        sys.exit(f"{VARIABLE}={name}: {'not a folder' if folder.exists() else 'no such folder'}")
    if not any((folder / file).exists() for file, _ in LAYER_ENGINES.values()):
        files = ", ".join(dict.fromkeys(file for file, _ in LAYER_ENGINES.values()))
        sys.exit(f"{VARIABLE}={name}: no engine is there, expected one of {files}")
    commands, missing = {}, {}
    for engine, (file, command) in engines.items():
        if (folder / file).exists():
            commands[engine] = [word.replace("{F}", str(folder)) for word in command]
        else:
            missing[engine] = f"no {folder / file}"
    return commands, missing


class Worker:
    """A process that times one request a line."""

    def __init__(self, command, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        # Otherwise PyTorch pays page faults for every large tensor of a step.
        environment.update(MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_="34359738368")
        # Of the last answer to a request: what stands behind the numbers, or why there are none.
        self.note = ""
        self.ended = False
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [word.replace("{T}", str(threads)) for word in command], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors)

    def ask(self, request):
        """The numbers of the answer; None: this worker cannot do it, or has ended."""
        try:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
            while line := self.process.stdout.readline():
                if line.startswith("OK"):
                    numbers, _, self.note = line[2:].partition("#")
                    return [float(word) for word in numbers.split()]
                if line.startswith("ERR"):
                    self.note = line[3:].strip()
                    return None
        except BrokenPipeError:
            pass
        self.ended = True
        self.note = (self.words() or ["it ended"])[-1]
        return None

    def words(self):
        """Lines that it has written to standard error."""
        text = os.pread(self._errors.fileno(), 1 << 20, 0).decode(errors="replace")
        return [line.strip() for line in text.splitlines() if line.strip()]

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._errors.close()


def start(commands, threads, missing):
    """Workers that have read their libraries and wait: one that still starts would take from the
    others what is measured. Those that do not start are added to `missing`."""
    workers = {}
    for name, command in commands.items():
        try:
            workers[name] = Worker(command, threads)
        except OSError as error:
            missing[name] = f"cannot be started: {error}"
    for name in list(workers):
        workers[name].ask("R")
        if workers[name].ended:
            worker = workers.pop(name)
            missing[name] = f"does not start: {worker.note}"
            worker.close()
    if "" not in workers:
        sys.exit(f"peer_worker {missing['']}")
    for line in workers[""].words():
        print(line)
    return workers


def report(names, missing):
    """Says who runs beside this library, and why others do not."""
    others = [name for name in names if name]
    print(f"beside this library: {', '.join(others) or 'no other engine'}")
    reasons = {}
    for name, reason in missing.items():
        reasons.setdefault(reason, []).append(name)
    for reason, without in reasons.items():
        print(f"without {', '.join(without)}: {reason}")
    print(flush=True)
