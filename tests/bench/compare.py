#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whole networks of this library beside other engines, in one run.

    compare.py nets|training|memory|pairs|depthwise PATH-TO-peer_worker [--threads 1,2] [--rounds 3]
               [--only REGEX] [--budget MILLISECONDS]

The environment variable SFCONV_PEERS names a folder with workers that speak the line protocol of
peer_worker.c: w_torch.py, w_ort.mjs with node_modules, bin/w_xnn. Those that are there take turns
with this library, in every round the other way round; without any, this library stands alone.
Printed are medians, how far the middle half of all runs spreads, and the ratio to the quickest
peer; in brackets the ratio of the shortest runs, which other programs on the machine disturb least:
where two processors share one core, a neighbour takes more from the engine that stalls less.
`memory` asks fresh processes for the most that was resident, and one more that computes nothing:
the difference is what the network takes. `nets` prints what share the multiply-adds of the plan are
of those that the processor could do in registers meanwhile (peak_worker).

`pairs` and `depthwise` are single layers, C to C channels of a map, with BatchNorm and ReLU: a
factorized 3x3 convolution, and a depthwise separable one. PyTorch does the same (torch_pairs.py);
the other peers are asked for the two convolutions alone, without BatchNorm and ReLU. Beside it
stands the share of what the multiply-adds would take in registers, by peak_worker."""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys

NETWORKS = ("unet", "resnet18")
VARIANTS = ("sf32", "sf8", "sf4", "dense")
TRAINING_BATCH = {"unet": 2, "resnet18": 8}
# Channels and size of the maps in U-Net and ResNet-18.
MAPS = ((64, 304), (128, 152), (256, 76), (512, 38), (512, 19), (64, 56), (128, 28), (256, 14),
        (512, 7))
RANK_DIVISORS = (32, 8, 4)


def peers():
    """Name: command, in which {T} stands for the number of threads."""
    folder = os.environ.get("SFCONV_PEERS")
    found = {}
    if not folder:
        return found
    folder = pathlib.Path(folder).resolve()
    models = str(folder / "models")
    if (folder / "w_torch.py").exists():
        for layout in ("nchw", "cl", "jit"):
            found[f"PyTorch {layout}"] = ["/usr/bin/python3", str(folder / "w_torch.py"), "{T}",
                                          layout]
    if (folder / "node_modules" / "onnxruntime-node").exists():
        found["onnxruntime"] = ["node", str(folder / "w_ort.mjs"), "{T}", "x1", models]
    if (folder / "bin" / "w_xnn").exists():
        found["XNNPACK"] = [str(folder / "bin" / "w_xnn"), "{T}", "nhwc", models]
    return found


def layer_peers():
    """Of them, those that do single layers."""
    folder = pathlib.Path(os.environ.get("SFCONV_PEERS", "")).resolve()
    found = {peer: command for peer, command in peers().items() if not peer.startswith("PyTorch")}
    if os.environ.get("SFCONV_PEERS") and (folder / "bin" / "w_onednn").exists():
        found["oneDNN"] = [str(folder / "bin" / "w_onednn"), "{T}", "any"]
    script = str(pathlib.Path(__file__).with_name("torch_pairs.py"))
    for layout in ("nchw", "cl", "jit"):
        found[f"PyTorch {layout}"] = [sys.executable, script, "{T}", layout]
    return found


class Worker:
    """A process that times one request a line."""

    def __init__(self, command, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        # Otherwise PyTorch pays page faults for every large tensor of a step.
        environment.update(MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_="34359738368")
        # Of the last answer to a request.
        self.note = ""
        self.process = subprocess.Popen(
            [word.replace("{T}", str(threads)) for word in command], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def ask(self, request):
        """The numbers of the answer; None: this worker cannot do it, or has ended."""
        try:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        while line := self.process.stdout.readline():
            if line.startswith("OK"):
                numbers, _, self.note = line[2:].partition("#")
                return [float(word) for word in numbers.split()]
            if line.startswith("ERR"):
                return None
        return None

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


def ready(commands, threads):
    """Workers that have read their libraries and wait: one that still starts would take from the
    others what is measured."""
    workers = {name: Worker(command, threads) for name, command in commands.items()}
    for worker in workers.values():
        worker.ask("R")
    return workers


def requests(what, only):
    for network in NETWORKS:
        for variant in VARIANTS:
            name = f"{network}_{variant}"
            if re.search(only, name):
                if what != "training":
                    yield f"M {name} 1"
                if what != "nets":
                    yield f"T {name} {TRAINING_BATCH[network]}"


def measure(workers, request, options, request_of_others=None):
    """Milliseconds of each worker that can; some engines know the work by another request."""
    times = {name: [] for name in workers}
    work = 0.0
    for turn in range(options.rounds):
        for name in list(times)[:: -1 if turn % 2 else 1]:
            knows = not request_of_others or not name or name.startswith("PyTorch")
            asked = request if knows else request_of_others
            answer = workers[name].ask(f"{asked} {1000 * options.budget}")
            if answer:
                times[name] += [microseconds / 1e3 for microseconds in answer]
                work = work if name else forward_work(workers[name])
            else:
                del times[name]
    for name in list(workers):
        if workers[name].ask("F") is None:
            # A peer that crashed; this library's own end shows in the times.
            workers.pop(name).close()
    return times, work


def forward_work(worker):
    """Million multiply-adds of the network that peer_worker has just run, by its plan."""
    found = re.search(r"forward (\d+) multiply-adds", worker.note)
    return int(found[1]) / 1e6 if found else 0.0


class Peak:
    """Million multiply-adds a second in registers, asked for again and again: other programs only
    ever take from it, so the best of all answers so far counts."""

    def __init__(self, ours, threads):
        self.worker = Worker([str(pathlib.Path(ours[0]).with_name("peak_worker")), "{T}"], threads)
        self.best = max(self.worker.ask("K")[0] for _ in range(5))

    def rate(self):
        self.best = max(self.best, self.worker.ask("K")[0])
        return self.best

    def close(self):
        self.worker.close()


def share(times, ideal):
    """Of the median, and in brackets of the shortest run, in percent."""
    return f"{100 * ideal / statistics.median(times):.0f} ({100 * ideal / min(times):.0f}) %"


def spread(times):
    """Of the middle half of the runs, in percent of their median; a single run has none."""
    if len(times) < 2:
        return 0.0
    lower, middle, upper = statistics.quantiles(times, n=4)
    return 100 * (upper - lower) / middle


def compare_times(what, ours, options):
    print("| network | batch | threads | libsfconv | share of FMA peak | quickest peer | ratio | "
          "all peers |")
    print("|---|---|---|---|---|---|---|---|")
    for threads in options.threads:
        workers = ready({"": ours, **peers()}, threads)
        peak = Peak(ours, threads)
        for request in requests(what, options.only):
            times, work = measure(workers, request, options)
            # The plan of a training run tells its forward alone.
            ideal = 1e3 * work / peak.rate() if what == "nets" else 0
            print_times(request, threads, times, ideal)
        for worker in (*workers.values(), peak):
            worker.close()


def layer_cases(what):
    """Name, request, that of other engines, and millions of multiply-adds."""
    for channels, size in MAPS:
        pixels = size * size / 1e6
        if what == "depthwise":
            yield (f"{channels}@{size}", f"D 1 {channels} {size}", "unknown",
                   pixels * channels * (9 + channels))
            continue
        for divisor in RANK_DIVISORS:
            rank = channels // divisor
            yield (f"{channels}@{size}, rank {rank} (1/{divisor})",
                   f"P 1 {channels} {size} {rank}", f"L fwd sf 1 {channels} {size} {rank}",
                   pixels * 2 * 3 * channels * rank)


def compare_layers(what, ours, options):
    print("| layer | threads | libsfconv | share of FMA peak | quickest peer | ratio | all peers |")
    print("|---|---|---|---|---|---|---|")
    for threads in options.threads:
        workers = ready({"": ours, **layer_peers()}, threads)
        peak = Peak(ours, threads)
        for name, request, other, work in layer_cases(what):
            if re.search(options.only, name):
                times, _ = measure(workers, request, options, other)
                print_layer(name, threads, times, 1e3 * work / peak.rate())
        for worker in (*workers.values(), peak):
            worker.close()


def ratios(mine, others):
    """Of medians, and in brackets of the shortest runs: how many times as fast as `others`."""
    return (f"{statistics.median(others) / statistics.median(mine):.2f} "
            f"({min(others) / min(mine):.2f})")


def print_layer(name, threads, times, ideal):
    if "" not in times:
        sys.exit(f"peer_worker cannot do {name}")
    mine = times.pop("")
    medians = {peer: statistics.median(values) for peer, values in times.items()}
    best = min(medians, key=medians.get, default=None)
    others = ", ".join(f"{peer} {value:.4g}" for peer, value in medians.items())
    middle = statistics.median(mine)
    beside = f"{medians[best]:.4g} ms ({best}) | {ratios(mine, times[best])}" if best else "- | -"
    print(f"| {name} | {threads} | {middle:.4g} ms | {share(mine, ideal)} | {beside} | "
          f"{others} |", flush=True)


def print_times(request, threads, times, ideal):
    _, name, batch = request.split()
    if "" not in times:
        sys.exit(f"peer_worker cannot do {request}")
    mine = times.pop("")
    medians = {peer: statistics.median(values) for peer, values in times.items()}
    best = min(medians, key=medians.get, default=None)
    others = ", ".join(f"{peer} {value:.4g}" for peer, value in medians.items())
    middle = statistics.median(mine)
    beside = (f"{medians[best]:.4g} ms ±{spread(times[best]) / 2:.0f} % ({best}) | "
              f"{ratios(mine, times[best])}" if best else "- | -")
    of_peak = share(mine, ideal) if ideal else "-"
    print(f"| {name} | {batch} | {threads} | {middle:.4g} ms ±{spread(mine) / 2:.0f} % | "
          f"{of_peak} | {beside} | {others} |", flush=True)


def resident(command, request):
    """Peak resident megabytes of a fresh process; None: it cannot do the request."""
    worker = Worker(command, 1)
    done = request is None or worker.ask(request + " 1000")
    answer = worker.ask("R") if done else None
    worker.close()
    return answer[0] / 1024 if answer else None


def compare_memory(ours, options):
    print("| request | libsfconv | without the empty process | peers |")
    print("|---|---|---|---|")
    commands = peers()
    for request in requests("memory", options.only):
        mine, empty = resident(ours, request), resident(ours, None)
        if mine is None or empty is None:
            sys.exit(f"peer_worker cannot do {request}")
        others = []
        for peer, command in commands.items():
            all_of_it, idle = resident(command, request), resident(command, None)
            if all_of_it is not None and idle is not None:
                others.append(f"{peer} {all_of_it:.0f} ({all_of_it - idle:.0f})")
        print(f"| {request} | {mine:.1f} MB | {mine - empty:.1f} MB | {', '.join(others)} |",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what",
                        choices=("nets", "training", "memory", "pairs", "depthwise"))
    parser.add_argument("worker")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", metavar="REGEX")
    parser.add_argument("--budget", type=int, default=100, metavar="MILLISECONDS",
                        help="what a worker measures in one turn, three runs at least")
    options = parser.parse_args()
    options.threads = [int(count) for count in options.threads.split(",")]
    ours = [options.worker, "{T}"]
    if options.what == "memory":
        compare_memory(ours, options)
    elif options.what in ("pairs", "depthwise"):
        compare_layers(options.what, ours, options)
    else:
        compare_times(options.what, ours, options)


main()
