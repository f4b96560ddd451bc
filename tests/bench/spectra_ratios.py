#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The KL term of all factors, value and gradient, beside PyTorch's.

    spectra_ratios.py PATH-TO-bench_spectra [ROUNDS]

Both programs take turns, with one and with two threads; printed are medians and their ratio, in
brackets that of the shortest runs, which other programs on the machine disturb least.
PyTorch computes the same term of the same shapes through torch.linalg.svd and automatic
differentiation, and through torch.linalg.svdvals, whichever is quicker."""
import statistics
import subprocess
import sys
import time

import torch


class Worker:
    """bench_spectra, one request at a time."""

    def __init__(self, program, threads):
        self.process = subprocess.Popen([program, str(threads), "0", "serve"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        if not words or words[0] != "OK":
            sys.exit("bench_spectra: " + " ".join(words))
        return words[1:]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def singular_values_of_svd(matrix):
    return torch.linalg.svd(matrix, full_matrices=False)[1]


def time_terms(matrices, singular_values):
    """Milliseconds of one evaluation of all terms with their gradients."""
    for matrix in matrices:
        matrix.grad = None
    begin = time.perf_counter()
    total = 0
    for matrix in matrices:
        values = singular_values(matrix)
        p = values / values.sum()
        total = total + (p * (p * p.numel()).log()).sum()
    total.backward()
    return (time.perf_counter() - begin) * 1e3


def compare(program, network, divisor, threads, rounds):
    torch.set_num_threads(threads)
    worker = Worker(program, threads)
    matrices = []
    for shape in worker.ask(f"S {network} {divisor}"):
        rows, cols = map(int, shape.split("x"))
        matrices.append(torch.randn(rows, cols, requires_grad=True))
    ours, svd, svdvals = [], [], []
    time_terms(matrices, singular_values_of_svd)
    for _ in range(rounds):
        ours += [float(word) / 1e3 for word in worker.ask(f"T {network} {divisor}")]
        svd.append(time_terms(matrices, singular_values_of_svd))
        svdvals.append(time_terms(matrices, torch.linalg.svdvals))
    worker.close()
    theirs = min(svd, svdvals, key=statistics.median)
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"{network:8} 1/{divisor:<2} threads {threads}: {mine:7.3f} ms, PyTorch {other:7.2f} ms, "
          f"ratio {other / mine:5.1f} ({min(theirs) / min(ours):.1f})", flush=True)


def main():
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    for threads in (1, 2):
        for network in ("unet", "resnet18"):
            for divisor in (32, 8, 4):
                compare(sys.argv[1], network, divisor, threads, rounds)


main()
