# SPDX-License-Identifier: BSD-2-Clause
"""The Python binding: its tables against the headers, and what it adds to the C interface.

usage: binding_check.py INCLUDE_FOLDER
"""

import ctypes
import gc
import pathlib
import re
import sys
import tempfile
import threading
import unittest
import unittest.mock
from array import array

import sfconv
from sfconv import _library

INCLUDE = pathlib.Path(sys.argv.pop())
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
FUNCTION = re.compile(r"SFCONV_API\s+([\w\s]+?[\s*]+)sfconv_(\w+)\(([^)]*)\)", re.DOTALL)
STRUCT = re.compile(r"typedef struct sfconv_(\w+) \{(.*?)\}", re.DOTALL)
FIELD = re.compile(r"((?:const )?\w+ [\s*]*)(\w+)((?:\[\d+\])?);")

NUMBERS = {"sfconv_status": "e", "int32_t": "i", "int64_t": "l", "uint64_t": "u", "size_t": "z",
           "double": "d", "void": "v"}
STRUCTURES = {"view": "View", "shape": "Shape", "cost": "CostStruct",
              "checkpoint": "CheckpointStruct", "spectrum": "SpectrumStruct",
              "overlap": "OverlapStruct"}
# Offered in C only: what Python has by itself.
C_ONLY = {"view_init", "view_count", "context_last_error",
          "context_copy_last_error", "net_find_parameter", "net_node_layer", "model_name",
          "method_name"}


def headers():
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(INCLUDE.rglob("*.h")))
    return COMMENT.sub("", text)


def letter(declaration):
    """The binding's letter of a C type, with or without the name of an argument."""
    if "*" in declaration or "[" in declaration or "_fn " in declaration:
        return "s" if re.match(r"const char \*(?!\*)", declaration) else "p"
    return NUMBERS[declaration.split()[0]]


def signatures():
    for result, name, arguments in FUNCTION.findall(headers()):
        declared = [" ".join(argument.split()) for argument in arguments.split(",")]
        words = [letter(" ".join(result.split()))]
        for argument in declared:
            kind = letter(argument)
            if kind in _library.CHECKED:
                words.append(f"{argument.split()[-1].strip('*')}:{kind}")
            elif kind != "v":
                words += [kind] if len(words) == 1 or ":" in words[-1] else [words.pop() + kind]
        yield name, " ".join(words)


class Tables(unittest.TestCase):
    maxDiff = None

    def test_signatures_are_those_of_the_headers(self):
        declared = {name: signature for name, signature in signatures()
                    if name not in C_ONLY}
        self.assertEqual(declared, _library.SIGNATURES)

    def test_every_function_is_in_the_library(self):
        for name in _library.SIGNATURES:
            getattr(_library.library, name)

    def test_structures_are_those_of_the_headers(self):
        for name, body in STRUCT.findall(headers()):
            own = STRUCTURES.get(name) or "".join(map(str.capitalize, name.split("_")))
            structure = getattr(_library, own)
            fields = [(field, letter(kind) if "*" in kind or "_fn" in kind else kind.split()[0],
                       int(count.strip("[]") or 1)) for kind, field, count in FIELD.findall(body)]
            sizes = {"int32_t": 4, "int64_t": 8, "uint64_t": 8, "double": 8,
                     "size_t": ctypes.sizeof(ctypes.c_size_t),
                     "sfconv_view": ctypes.sizeof(_library.View)}
            pointer = ctypes.sizeof(ctypes.c_void_p)
            with self.subTest(structure=name):
                self.assertEqual([(field, sizes.get(kind, pointer) * count)
                                  for field, kind, count in fields],
                                 [(field, ctypes.sizeof(kind))
                                  for field, kind in structure._fields_])


class Behaviour(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.context = sfconv.Context()

    def test_an_error_carries_status_name_and_reason(self):
        with self.assertRaises(sfconv.Error) as caught:
            sfconv.sfconv2d(self.context, 4, 4, rank=100)
        self.assertEqual(caught.exception.name, "SFCONV_ERROR_ARGUMENT")
        self.assertIn("rank", str(caught.exception))
        with self.assertRaises(sfconv.Error) as caught:
            sfconv.Context(workers=-1)
        self.assertIn("workers is out of range", str(caught.exception))

    def test_a_context_tells_what_the_environment_asked_for_in_vain(self):
        self.assertEqual(self.context.warning, "")
        lines = []
        with unittest.mock.patch.dict("os.environ", SFCONV_ISA="sse9"):
            context = sfconv.Context(log=lambda level, text: lines.append(text))
        self.assertIn("SFCONV_ISA=sse9 is no name", context.warning)
        self.assertEqual(lines, [context.warning])

    def test_an_input_of_another_shape_is_refused_with_both_shapes(self):
        run = sfconv.Run.for_layer(sfconv.activation(self.context, "relu"), [1])
        run.reshape((1, 1, 1, 3))
        numbers = memoryview(array("f", [1.0, 2.0])).cast("B").cast("f", [1, 1, 1, 2])
        with self.assertRaises(sfconv.Error) as caught:
            run.forward(numbers)
        self.assertIn("'input0': expected [1, 1, 1, 3], got [1, 1, 1, 2]", str(caught.exception))

    def test_a_closed_object_says_that_it_is_closed(self):
        layer = sfconv.conv2d(self.context, 2, 2)
        net = sfconv.Net(self.context)
        node = net.add_input("image", 2)
        layer.close()
        layer.close()
        for use in (lambda: layer.initialize(1), lambda: layer.kind,
                    lambda: net.add("conv", layer, node)):
            with self.assertRaises(sfconv.Error) as caught:
                use()
            self.assertEqual(str(caught.exception), "SFCONV_ERROR_STATE: this Layer is closed")
        with sfconv.Context() as context:
            self.assertEqual(context.workers, 1)
        with self.assertRaisesRegex(sfconv.Error, "this Context is closed"):
            sfconv.Net(context)

    def test_an_error_has_the_reason_of_its_own_call(self):
        with self.assertRaisesRegex(sfconv.Error, "rank is 100"):
            sfconv.sfconv2d(self.context, 4, 4, rank=100)
        for call, text in (
                (lambda: sfconv.rank_from_ratio(self.context, -1, 2), "rank_from_ratio: no reason is known"),
                (lambda: sfconv.choose_ranks(self.context, [], "macs", 1), "choose_ranks: no reason is known"),
                (lambda: sfconv.copy(array("f", [1]), array("f", [1, 2])), "from shape (2,)")):
            with self.assertRaises(sfconv.Error) as caught:
                call()
            self.assertIn(text, str(caught.exception))

    def test_an_error_of_another_thread_is_not_taken_for_ones_own(self):
        def fail():
            with self.assertRaisesRegex(sfconv.Error, "rank is 100"):
                sfconv.sfconv2d(self.context, 4, 4, rank=100)

        def log(level, text):
            # Between the failure of that call and what it raises.
            if "rank is 7" in text:
                thread = threading.Thread(target=fail)
                thread.start()
                thread.join()

        self.context = sfconv.Context(log=log)
        with self.assertRaisesRegex(sfconv.Error, "rank is 7"):
            sfconv.sfconv2d(self.context, 2, 2, rank=7)

    def assert_view_outlives(self, make, view_of, destroy):
        """Memory on the numbers of an object keeps what the library made, and nothing else does."""
        def forget(thing):
            del thing

        def leave(thing):
            with thing:
                pass

        for let_go in (forget, leave, lambda thing: thing.close()):
            destroyed = unittest.mock.Mock(wraps=getattr(_library.library, destroy))
            with unittest.mock.patch.object(_library.library, destroy, destroyed):
                thing = make()
                view = view_of(thing)
                numbers = view.tobytes()
                let_go(thing)
                del thing
                gc.collect()
                destroyed.assert_not_called()
                self.assertEqual(view.tobytes(), numbers)
                del view
                gc.collect()
                destroyed.assert_called_once()

    def test_numbers_that_do_not_fit_are_refused_by_name(self):
        net = sfconv.model(self.context, "tiny_segmenter", "sfconv")
        run = sfconv.Run(net)
        run.reshape((1, 3, 16, 16))
        for call, text in (
                (lambda: run.input(2**32), "sfconv_run_input: index is 4294967296, expected "
                                           "-2147483648 to 2147483647"),
                (lambda: net.initialize(-1), "seed is -1, expected 0 to 18446744073709551615"),
                (lambda: run.reshape((1, 3, 2**64 + 16, 16)), "height is 18446744073709551632"),
                (lambda: sfconv.conv2d(self.context, 2**64 + 2, 2), "in_channels is"),
                (lambda: sfconv.conv2d(self.context, 2, 2, kernel=2**64 + 3), "kernel is"),
                (lambda: sfconv.conv2d(self.context, 2, 2, bias=2**32), "has_bias is"),
                (lambda: sfconv.model(self.context, "unet", "sfconv", ranks=[2**64 + 1]),
                 "ranks is"),
                (lambda: sfconv.upsample2d(self.context, "nearest", (2, 2**65)), "factor is"),
                (lambda: sfconv.Confusion(self.context, 2).add_logits(run.output(), [2**32]),
                 "labels is"),
                (lambda: sfconv.Context(workers=2**32 + 1), "workers is")):
            with self.assertRaises(OverflowError) as caught:
                call()
            self.assertIn(text, str(caught.exception))

    def test_what_is_no_whole_number_is_refused_by_name(self):
        run = sfconv.Run.for_layer(sfconv.activation(self.context, "relu"), [1])
        for call, text in (
                (lambda: run.input(0.0), "index is 0.0, expected a whole number"),
                (lambda: run.reshape((1, 1, "2", 2)), "height is '2'"),
                (lambda: sfconv.conv2d(self.context, 2.0, 2), "in_channels is 2.0"),
                (lambda: sfconv.pool2d(self.context, "max", stride=(2, None)), "stride is None")):
            with self.assertRaises(TypeError) as caught:
                call()
            self.assertIn(text, str(caught.exception))
        for call, text in (
                (lambda: run.reshape((1, 2, 3)),
                 "shape is (1, 2, 3), expected batch, channels, height and width"),
                (lambda: sfconv.conv2d(self.context, 2, 2, kernel=(3, 3, 3)),
                 "kernel is (3, 3, 3), expected one number or two")):
            with self.assertRaises(ValueError) as caught:
                call()
            self.assertIn(text, str(caught.exception))

    def test_texts_that_c_would_end_early_are_refused_by_name(self):
        net = sfconv.model(self.context, "tiny_segmenter", "sfconv")
        metadata = sfconv.Metadata(self.context)
        metadata["a"] = "before"
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "model")
            for call, text in (
                    (lambda: net.save(f"{path}\0.st"), "sfconv_net_save: path is "),
                    (lambda: net.load(f"{path}\0.st"), "path is "),
                    (lambda: net.save(path, {"key": "a\0b"}), r"value is 'a\x00b', expected no NUL"),
                    (lambda: net.save(path, {"a\0b": "text"}), r"name is 'a\x00b'"),
                    (lambda: sfconv.load_model(self.context, f"{path}\0"), "path is "),
                    (lambda: sfconv.Net(self.context).add_input("a\0b", 3), r"name is 'a\x00b'"),
                    (lambda: sfconv.model(self.context, "unet\0", "sfconv"), r"name is 'unet\x00'"),
                    (lambda: metadata["a\0b"], r"name is 'a\x00b'"),
                    (lambda: metadata.__setitem__("a", "a\0b"), r"value is 'a\x00b'")):
                with self.assertRaises(ValueError) as caught:
                    call()
                self.assertIn(text, str(caught.exception))
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])
        self.assertEqual(metadata["a"], "before")
        with self.assertRaisesRegex(TypeError, "value is 7, expected a text"):
            metadata["epoch"] = 7

    def test_numbers_may_be_of_any_kind_that_is_whole(self):
        class Two:
            def __index__(self):
                return 2

        layer = sfconv.conv2d(self.context, Two(), Two(), kernel=[Two(), 3], seed=Two())
        self.assertEqual(layer.parameters()["weight"].data.shape, (2, 2, 2, 3))

    def test_memory_outlives_the_object_that_it_belongs_to(self):
        def run():
            made = sfconv.Run.for_layer(sfconv.linear(self.context, 3, 2), [3], sfconv.TRAINING)
            made.reshape((1, 3, 1, 1))
            made.forward(memoryview(array("f", [1, 2, 3])).cast("B").cast("f", [1, 3, 1, 1]))
            return made

        for view_of in (sfconv.Run.input, sfconv.Run.output, sfconv.Run.output_gradient,
                        lambda run: run.parameter_gradients()["linear.weight"]):
            self.assert_view_outlives(run, view_of, "run_destroy")
        self.assert_view_outlives(lambda: sfconv.linear(self.context, 3, 2),
                                  lambda layer: layer.parameters()["weight"].data,
                                  "layer_destroy")
        self.assert_view_outlives(lambda: sfconv.model(self.context, "tiny_segmenter", "sfconv"),
                                  lambda net: net.parameters()["outc.conv.bias"].data, "net_destroy")

    def test_objects_of_a_closed_context_go_on_logging(self):
        lines = []
        context = sfconv.Context(log=lambda level, text: lines.append(text))
        net = sfconv.Net(context)
        context.close()
        gc.collect()
        others = [sfconv.Context() for _ in range(20)]
        with self.assertRaises(sfconv.Error):
            net.add_output(7)
        self.assertEqual(len(lines), 1)
        del others

    def test_a_copy_takes_any_floats_of_the_same_shape(self):
        run = sfconv.Run.for_layer(sfconv.activation(self.context, "relu"), [1])
        run.reshape((1, 1, 1, 3))
        numbers = memoryview(array("f", [-1.0, 2.0, 3.0])).cast("B").cast("f", [1, 1, 1, 3])
        self.assertEqual(run.forward(numbers).tolist(), [[[[0.0, 2.0, 3.0]]]])
        self.assertEqual(run.forward(numbers.toreadonly()).tolist(), [[[[0.0, 2.0, 3.0]]]])
        with self.assertRaises(sfconv.Error):
            sfconv.copy(run.input(), array("f", [1.0, 2.0, 3.0]))
        with self.assertRaises(TypeError):
            sfconv.copy(run.input(), array("d", [1.0, 2.0, 3.0]))
        with self.assertRaises(TypeError):
            sfconv.copy(numbers.toreadonly(), run.input())

    def test_measures_of_results(self):
        confusion = sfconv.Confusion(self.context, 3)
        logits = memoryview(array("f", [0, 1, 2, 5, 0, 0])).cast("B").cast("f", [2, 3, 1, 1])
        confusion.add_logits(logits, [2, 1])
        confusion.add(1, 1)
        self.assertEqual([confusion.count(1, 0), confusion.count(1, 1)], [1, 1])
        self.assertAlmostEqual(confusion.accuracy, 2 / 3)
        self.assertAlmostEqual(confusion.balanced_accuracy, 3 / 4)
        self.assertEqual(sfconv.auc(self.context, [0.1, 0.9, 0.5], [0, 1, 0]), 1.0)
        overlap = sfconv.Overlap(self.context)
        mask = memoryview(array("f", [1, 1, 0, 0, 0, 1])).cast("B").cast("f", [2, 3, 1, 1])
        overlap.add(logits, mask)
        self.assertAlmostEqual(overlap.iou, 1 / 5)
        self.assertAlmostEqual(overlap.dice, 1 / 3)
        self.assertAlmostEqual(overlap.sensitivity, 1 / 3)
        self.assertAlmostEqual(overlap.specificity, 1 / 3)

    def test_files_bring_back_nets_texts_and_trainings(self):
        net = sfconv.model(self.context, "tiny_classifier", "sfconv", out_channels=3, seed=5)
        weights = {name: p.data.tolist() for name, p in net.parameters().items()}
        optimizer = sfconv.Optimizer(net, "adam")
        run = sfconv.Run(net, sfconv.TRAINING)
        run.reshape((2, 3, 32, 32))
        position = sfconv.Metadata(self.context)
        position["epoch"] = "7"
        with tempfile.TemporaryDirectory() as folder:
            model, checkpoint = (pathlib.Path(folder, name) for name in ("model", "checkpoint"))
            net.save(model, {"classes": "healthy, “sick”"})
            sfconv.save_checkpoint(checkpoint, net, optimizer, run=run, metadata=position)

            loaded, texts = sfconv.load_model(self.context, model)
            self.assertEqual(texts["classes"], "healthy, “sick”")
            self.assertEqual({name: p.data.tolist() for name, p in loaded.parameters().items()},
                             weights)

            net.initialize(6)
            position["epoch"] = "0"
            sfconv.load_checkpoint(checkpoint, net, optimizer, run=run, metadata=position)
            self.assertEqual(position["epoch"], "7")
            self.assertEqual({name: p.data.tolist() for name, p in net.parameters().items()},
                             weights)
            with self.assertRaises(sfconv.Error) as caught:
                net.load(pathlib.Path(folder, "absent"))
            self.assertEqual(caught.exception.name, "SFCONV_ERROR_IO")

    def test_a_plan_reads_as_the_guide_shows_it(self):
        net = sfconv.Net(self.context)
        node = net.add_input("image", 3)
        for name, layer in (("conv1", sfconv.sfconv2d(self.context, 3, 64, rank=2)),
                            ("relu1", sfconv.activation(self.context, "relu")),
                            ("pool", sfconv.pool2d(self.context, "max")),
                            ("conv2", sfconv.sfconv2d(self.context, 64, 64, rank=2)),
                            ("silu", sfconv.activation(self.context, "silu")),
                            ("conv3", sfconv.conv2d(self.context, 64, 64))):
            node = net.add(name, layer, node)
        net.add_output(node)
        run = sfconv.Run(net)
        run.reshape((1, 3, 64, 64))
        guide = INCLUDE.with_name("docs").joinpath("guide.md").read_text(encoding="utf-8")
        self.assertEqual(re.search(r"^```\n(inference.*?)^```$", guide, re.M | re.S).group(1),
                         run.plan())

    def test_what_a_callback_raises_comes_out_of_the_call(self):
        dense = sfconv.conv2d(self.context, 32, 32)

        def fail(part):
            raise KeyError(part)

        with self.assertRaises(KeyError):
            dense.decompose(rank=2, progress=fail)
        with self.assertRaises(sfconv.Error) as caught:
            dense.decompose(rank=2, progress=lambda part: True)
        self.assertEqual(caught.exception.name, "SFCONV_ERROR_CANCELLED")
        _, error = dense.decompose(rank=2, progress=lambda part: False)
        self.assertGreater(error, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
