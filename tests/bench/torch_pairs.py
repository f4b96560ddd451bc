#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""PyTorch on two convolutions, BatchNorm and ReLU: the requests P and D of peer_worker.c.

    torch_pairs.py THREADS nchw|cl|jit

`cl`: channels last; `jit`: traced, frozen and optimized for inference, so that BatchNorm is folded.
"""
import sys
import time

import torch
from torch import nn


def layers(request):
    kind, batch, channels, size = request[0], *map(int, request[1:4])
    if kind == "P":
        rank = int(request[4])
        pair = (nn.Conv2d(channels, rank, (1, 3), padding=(0, 1), bias=False),
                nn.Conv2d(rank, channels, (3, 1), padding=(1, 0), bias=False))
    else:
        pair = (nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
                nn.Conv2d(channels, channels, 1, bias=False))
    return (nn.Sequential(*pair, nn.BatchNorm2d(channels), nn.ReLU()).eval(),
            torch.randn(batch, channels, size, size))


def make(request, layout):
    module, images = layers(request)
    if layout == "cl":
        return (module.to(memory_format=torch.channels_last),
                images.contiguous(memory_format=torch.channels_last))
    if layout == "jit":
        module = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(module, images)))
        for _ in range(3):
            module(images)
    return module, images


def times_of(module, images, budget):
    module(images)
    times = []
    while len(times) < 300 and (len(times) < 3 or sum(times) < budget):
        begin = time.perf_counter()
        module(images)
        times.append(1e6 * (time.perf_counter() - begin))
    return times


def main():
    torch.set_num_threads(int(sys.argv[1]))
    with torch.no_grad():
        for line in sys.stdin:
            if line[0] == "Q":
                break
            if line[0] not in "PD":
                print("OK 0", flush=True)
                continue
            *request, budget = line.split()
            times = times_of(*make(request, sys.argv[2]), float(budget))
            print("OK", *(f"{time:.1f}" for time in times), flush=True)


main()
