# SPDX-License-Identifier: BSD-2-Clause
"""The library from Python by ctypes, with nothing but the standard library: two training steps of a
small factorized classifier.

    SFCONV_LIBRARY=build/lib/libsfconv.so PYTHONPATH=bindings/python python3 examples/ffi_python.py
"""

import random

import sfconv

BATCH, SIZE, CLASSES = 8, 16, 3


def build(context):
    """A net is a graph: each add gives the number of a node, which later nodes read."""
    net = sfconv.Net(context)
    node = net.add_input("image", 1)
    node = net.add("conv", sfconv.sfconv2d(context, 1, 8, rank=2, regularizer="kl",
                                           regularizer_weight=0.01), node)
    node = net.add("bn", sfconv.batchnorm2d(context, 8), node)
    node = net.add("relu", sfconv.activation(context, "relu"), node)
    node = net.add("pool", sfconv.pool2d(context, "global_average"), node)
    net.add_output(net.add("fc", sfconv.linear(context, 8, CLASSES), node))
    net.initialize(seed=1)
    return net


def main():
    print("libsfconv", sfconv.version())
    context = sfconv.Context(workers=2)
    net = build(context)
    for name, parameter in net.parameters().items():
        print(f"{name:18} {parameter.data.shape}")

    run = sfconv.Run(net, sfconv.TRAINING)
    run.reshape((BATCH, 1, SIZE, SIZE))
    optimizer = sfconv.Optimizer(net, "adamw", weight_decay=0.01)

    random.seed(1)
    labels = [index % CLASSES for index in range(BATCH)]
    images = run.input()
    for index, label in enumerate(labels):
        for y in range(SIZE):
            for x in range(SIZE):
                images[index, 0, y, x] = label + random.gauss(0, 1)

    first = None
    for step in range(2):
        logits = run.forward()
        loss = sfconv.cross_entropy(context, logits, labels, gradient=run.output_gradient())
        run.zero_gradients()
        run.backward()
        penalty = run.regularize()
        norm = run.clip_gradients(5.0)
        optimizer.step(run, rate=0.05)
        print(f"step {step}: loss {loss:.4f}, λ·KL {penalty:.5f}, gradient {norm:.3f}")
        first = first or loss
    if loss >= first:
        raise SystemExit("the loss did not fall")

    try:
        run.reshape((BATCH, 2, SIZE, SIZE))
    except sfconv.Error as error:
        print("an error is an exception:", error)


if __name__ == "__main__":
    main()
