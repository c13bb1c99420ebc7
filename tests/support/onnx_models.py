"""ONNX models that the tests make: no weights but what stands here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper, save

Shape = Sequence[int | str]
FREE = "n"
RGB: Shape = (1, 3, FREE, FREE)


def write(
    path: Path,
    nodes: Sequence[NodeProto],
    takes: Shape = RGB,
    gives: Shape | None = None,
    *,
    weights: Sequence[TensorProto] = (),
    kind: int = TensorProto.FLOAT,
    inputs: int = 1,
) -> Path:
    """Write a model from `in` to `out` (`in2`, … beside `in` where it takes more)."""
    names = ["in", *(f"in{number}" for number in range(2, inputs + 1))]
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, kind, _named(takes)) for name in names],
        [helper.make_tensor_value_info("out", kind, _named(takes if gives is None else gives, "o"))],
        list(weights),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    save(model, str(path))
    return path


def identity(path: Path, takes: Shape = RGB, *, kind: int = TensorProto.FLOAT) -> Path:
    """Write a model that gives what it takes."""
    return write(path, [helper.make_node("Identity", ["in"], ["out"])], takes, kind=kind)


def blur(path: Path, radius: int = 2) -> Path:
    """Write a model that averages squares of `2 * radius + 1` pixels, as a network does: zeros beyond the edge."""
    side = 2 * radius + 1
    kernel = np.full((3, 1, side, side), 1 / side**2, np.float32)
    node = helper.make_node("Conv", ["in", "k"], ["out"], kernel_shape=[side, side], pads=[radius] * 4, group=3)
    return write(path, [node], weights=[numpy_helper.from_array(kernel, "k")])


def twice(path: Path, takes: Shape = RGB) -> Path:
    """Write a model that makes every pixel four."""
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "s")
    node = helper.make_node(
        "Resize",
        ["in", "", "s"],
        ["out"],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return write(path, [node], takes, (takes[0], takes[1], "h2", "w2"), weights=[scales])


def colours(path: Path, takes: Shape, a: float, b: float) -> Path:
    """Write a model that gives the same a and b for every pixel, from one channel or three."""
    kernel = numpy_helper.from_array(np.zeros((2, int(takes[1]), 1, 1), np.float32), "k")
    bias = numpy_helper.from_array(np.array([a, b], np.float32), "b")
    node = helper.make_node("Conv", ["in", "k", "b"], ["out"], kernel_shape=[1, 1])
    return write(path, [node], takes, (takes[0], 2, *takes[2:]), weights=[kernel, bias])


def endless(path: Path) -> Path:
    """Write a model that never comes to an end."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, list(_named(RGB))),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, list(_named(RGB))),
        ],
    )
    yes = numpy_helper.from_array(np.array(True), "yes")
    return write(path, [helper.make_node("Loop", ["", "yes", "in"], ["out"], body=body)], weights=[yes])


def greedy(path: Path) -> Path:
    """Write a model that wants hundreds of gigabytes."""
    shape = numpy_helper.from_array(np.array([1, 3, 200_000, 200_000], np.int64), "shape")
    made = helper.make_node("ConstantOfShape", ["shape"], ["out"])
    return write(path, [made, helper.make_node("Identity", ["in"], ["unused"])], weights=[shape])


def _named(shape: Shape, prefix: str = "") -> list[int | str]:
    """Return a shape whose free lengths have names of their own."""
    return [length if isinstance(length, int) else f"{prefix}{length}{at}" for at, length in enumerate(shape)]
