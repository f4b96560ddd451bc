#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Networks and layers of this library beside other engines, in one run.

    compare.py nets|training|memory|layers|pairs|depthwise PATH-TO-peer_worker [--threads 1,2]
               [--batch N] [--rounds 3] [--only REGEX] [--budget MILLISECONDS]

The environment variable SFCONV_PEERS names a folder with workers of other engines (peers.py). Those
that are there take turns with this library, in every round the other way round; without any, this
library stands alone. The first lines say who takes part, and why others do not.
Printed are medians, how far the middle half of all runs spreads, and the ratio to the quickest
peer; in brackets the ratio of the shortest runs, which other programs on the machine disturb least:
where two processors share one core, a neighbour takes more from the engine that stalls less.
`memory` asks fresh processes for the most that was resident, and one more that computes nothing:
the difference is what the network takes. `nets` prints what share of those that the processor
could do in registers meanwhile (peak_worker) the multiply-adds of the network are: those of direct
sums, and those that the plan computes, which are fewer where Winograd's method is used.

`layers` are single 3x3 convolutions, C to C channels of a map, dense and factorized, forward and
backward to parameters and input. `pairs` and `depthwise` are layers at inference with BatchNorm and
ReLU: a factorized 3x3 convolution, and a depthwise separable one. PyTorch does the same
(torch_pairs.py); the other peers are asked for the two convolutions alone, without BatchNorm and
ReLU. Beside each layer stands the share of what its multiply-adds, by direct sums, would take in
registers, by peak_worker."""
import argparse
import pathlib
import re
import statistics
import sys

import peers

NETWORKS = ("unet", "resnet18")
VARIANTS = ("sf32", "sf8", "sf4", "dense")
TRAINING_BATCH = {"unet": 2, "resnet18": 8}
# Channels and size of the maps in U-Net and ResNet-18.
MAPS = ((64, 304), (128, 152), (256, 76), (512, 38), (512, 19), (64, 56), (128, 28), (256, 14),
        (512, 7))
RANK_DIVISORS = (32, 8, 4)


def requests(what, options):
    for network in NETWORKS:
        for variant in VARIANTS:
            name = f"{network}_{variant}"
            if re.search(options.only, name):
                if what != "training":
                    yield f"M {name} {options.batch or 1}"
                if what != "nets":
                    yield f"T {name} {options.batch or TRAINING_BATCH[network]}"


def asked_of(name, request, request_of_others):
    knows = not request_of_others or not name or name.startswith("PyTorch")
    return request if knows else request_of_others


def measure(workers, request, options, request_of_others=None):
    """Milliseconds of each worker that can; some engines know the work by another request."""
    times = {name: [] for name in workers}
    work = None
    for turn in range(options.rounds):
        for name in list(times)[:: -1 if turn % 2 else 1]:
            asked = asked_of(name, request, request_of_others)
            answer = workers[name].ask(f"{asked} {1000 * options.budget}")
            if answer:
                times[name] += [microseconds / 1e3 for microseconds in answer]
                work = work if name else forward_work(workers[name])
            elif name:
                del times[name]
            else:
                sys.exit(f"peer_worker cannot do '{request}': {workers[''].note}")
    for name in list(workers):
        workers[name].ask("F")
        if workers[name].ended and name:
            worker = workers.pop(name)
            print(f"{name} ended at '{asked_of(name, request, request_of_others)}': {worker.note}",
                  file=sys.stderr)
            worker.close()
    return times, work


def forward_work(worker):
    """Million multiply-adds of the network that peer_worker has just run, by direct sums and as
    its plan computes them."""
    found = re.search(r"forward (\d+) multiply-adds, (\d+) by direct sums", worker.note)
    return (int(found[2]) / 1e6, int(found[1]) / 1e6) if found else None


class Peak:
    """Million multiply-adds a second in registers, asked for again and again: other programs only
    ever take from it, so the best of all answers so far counts."""

    def __init__(self, ours, threads):
        self.worker = peers.Worker([str(pathlib.Path(ours[0]).with_name("peak_worker")), "{T}"], threads)
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


def teams(ours, others, missing, options, header):
    """For each number of threads the workers and the peak; first who they are, and the table's
    header."""
    for threads in options.threads:
        lost = dict(missing)
        workers = peers.start({"": ours, **others}, threads, lost)
        if threads == options.threads[0]:
            peers.report(workers, lost)
            print(header)
            print("|" + "---|" * (header.count("|") - 1))
        peak = Peak(ours, threads)
        yield threads, workers, peak
        for worker in (*workers.values(), peak):
            worker.close()


def compare_times(what, ours, options):
    header = ("| network | batch | threads | libsfconv | share of FMA peak, by direct sums | "
              "as computed | quickest peer | ratio | all peers |")
    for threads, workers, peak in teams(ours, *peers.find(peers.NETWORK_ENGINES), options, header):
        for request in requests(what, options):
            times, work = measure(workers, request, options)
            # A training step does more than the passes of the plan: loss, optimizer.
            counts = work if what == "nets" and work else ()
            ideal = [1e3 * count / peak.rate() for count in counts]
            print_times(request, threads, times, ideal)


def training_cases(batch):
    """Backward repeats the multiply-adds of forward for either gradient."""
    for channels, size in MAPS:
        pixels = batch * size * size / 1e6
        layer = f"L train dense {batch} {channels} {size} 0"
        yield f"{channels}@{size}, dense", layer, None, 3 * pixels * 9 * channels * channels
        for divisor in RANK_DIVISORS:
            rank = channels // divisor
            yield (f"{channels}@{size}, rank {rank} (1/{divisor})",
                   f"L train sf {batch} {channels} {size} {rank}", None,
                   3 * pixels * 2 * 3 * channels * rank)


def depthwise_cases(batch):
    for channels, size in MAPS:
        yield (f"{channels}@{size}", f"D {batch} {channels} {size}", "unknown",
               batch * size * size / 1e6 * channels * (9 + channels))


def pair_cases(batch):
    for channels, size in MAPS:
        for divisor in RANK_DIVISORS:
            rank = channels // divisor
            shape = f"{batch} {channels} {size} {rank}"
            yield (f"{channels}@{size}, rank {rank} (1/{divisor})", f"P {shape}",
                   f"L fwd sf {shape}", batch * size * size / 1e6 * 2 * 3 * channels * rank)


# Name, request, that of other engines where it differs, and millions of multiply-adds.
LAYER_CASES = {"layers": training_cases, "pairs": pair_cases, "depthwise": depthwise_cases}


def compare_layers(what, ours, options):
    header = ("| layer | threads | libsfconv | share of FMA peak, by direct sums | "
              "quickest peer | ratio | all peers |")
    others, missing = peers.find(peers.LAYER_ENGINES)
    if what != "layers":
        others.update(peers.torch_pairs())
        missing = {name: reason for name, reason in missing.items() if name not in others}
    for threads, workers, peak in teams(ours, others, missing, options, header):
        for name, request, other, work in LAYER_CASES[what](options.batch or 1):
            if re.search(options.only, name):
                times, _ = measure(workers, request, options, other)
                print_layer(name, threads, times, 1e3 * work / peak.rate())


def ratios(mine, others):
    """Of medians, and in brackets of the shortest runs: how many times as fast as `others`."""
    return (f"{statistics.median(others) / statistics.median(mine):.2f} "
            f"({min(others) / min(mine):.2f})")


def print_layer(name, threads, times, ideal):
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
    mine = times.pop("")
    medians = {peer: statistics.median(values) for peer, values in times.items()}
    best = min(medians, key=medians.get, default=None)
    others = ", ".join(f"{peer} {value:.4g}" for peer, value in medians.items())
    middle = statistics.median(mine)
    beside = (f"{medians[best]:.4g} ms ±{spread(times[best]) / 2:.0f} % ({best}) | "
              f"{ratios(mine, times[best])}" if best else "- | -")
    of_peak = " | ".join(share(mine, count) for count in ideal) if ideal else "- | -"
    print(f"| {name} | {batch} | {threads} | {middle:.4g} ms ±{spread(mine) / 2:.0f} % | "
          f"{of_peak} | {beside} | {others} |", flush=True)


def resident(command, request):
    """Peak resident megabytes of a fresh process; None: it cannot do the request."""
    worker = peers.Worker(command, 1)
    done = request is None or worker.ask(request + " 1000")
    answer = worker.ask("R") if done else None
    worker.close()
    return answer[0] / 1024 if answer else None


def compare_memory(ours, options):
    commands, missing = peers.find(peers.NETWORK_ENGINES)
    workers = peers.start({"": ours, **commands}, 1, missing)
    for worker in workers.values():
        worker.close()
    peers.report(workers, missing)
    print("| request | libsfconv | without the empty process | peers |")
    print("|---|---|---|---|")
    for request in requests("memory", options):
        mine, empty = resident(ours, request), resident(ours, None)
        if mine is None or empty is None:
            sys.exit(f"peer_worker cannot do '{request}'")
        others = []
        for peer in workers:
            if peer:
                all_of_it, idle = (resident(commands[peer], asked) for asked in (request, None))
                if all_of_it is not None and idle is not None:
                    others.append(f"{peer} {all_of_it:.0f} ({all_of_it - idle:.0f})")
        print(f"| {request} | {mine:.1f} MB | {mine - empty:.1f} MB | {', '.join(others)} |",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what",
                        choices=("nets", "training", "memory", *LAYER_CASES))
    parser.add_argument("worker")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batch", type=int, metavar="N",
                        help="images a run; usually 1, in training 2 (U-Net) and 8 (ResNet-18)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", metavar="REGEX")
    parser.add_argument("--budget", type=int, default=100, metavar="MILLISECONDS",
                        help="what a worker measures in one turn, three runs at least")
    options = parser.parse_args()
    if options.batch is not None and options.batch < 1:
        parser.error("--batch: expected at least 1")
    options.threads = [int(count) for count in options.threads.split(",")]
    ours = [options.worker, "{T}"]
    if options.what == "memory":
        compare_memory(ours, options)
    elif options.what in LAYER_CASES:
        compare_layers(options.what, ours, options)
    else:
        compare_times(options.what, ours, options)


main()
