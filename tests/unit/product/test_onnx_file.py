"""A model's file against what the product file says of it, without running it."""

import contextlib
import importlib.util
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from penstock.product import onnx_file
from penstock.product.availability import availability
from penstock.product.onnx_file import NotOnnxError, signature_of, trouble_with
from penstock.product.schema_onnx import OnnxModel
from tests.support import onnx_models as models
from tests.unit.product.samples import changed, load, mistakes

OWN = (
    'adapter = "local"\n',
    'adapter = "local"\n\n[providers.mine]\nadapter = "onnx"\n[providers.mine.onnx]\nfile = "m.onnx"\n',
)
ASKED = ('["local", "gemini"]', '["mine", "local"]')


def _product(*lines: str) -> str:
    return changed(OWN, ('file = "m.onnx"\n', "\n".join(['file = "m.onnx"', *lines, ""])))


def test_names_types_and_shapes_are_read_and_weights_are_not_inputs(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["in", "w"], ["out"])],
        "old",
        [
            helper.make_tensor_value_info("in", TensorProto.FLOAT, [1, 3, "h", 64]),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [1, 3, 1, 1]),  # as files of long ago list them
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT16, None)],
        [weight],
    )
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    found = signature_of(path)
    assert [str(each) for each in found.inputs] == ["float32 1x3x?x64"]
    assert [str(each) for each in found.outputs] == ["float16 of any shape"]


def test_weights_are_stepped_over_however_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = numpy_helper.from_array(np.zeros(4_000_000, np.float32), "large")
    path = models.write(tmp_path / "m.onnx", [helper.make_node("Identity", ["in"], ["out"])], weights=[large])
    read: list[int] = []
    really = onnx_file._bytes

    def counted(file: BinaryIO, end: int, most: int) -> bytes:
        read.append(end - file.tell())
        return really(file, end, most)

    monkeypatch.setattr(onnx_file, "_bytes", counted)
    assert len(signature_of(path).inputs) == 1
    assert sum(read) < 2_000


FITS: list[tuple[models.Shape, dict[str, Any]]] = [
    ((1, 3, "h", "w"), {}),
    (("n", "h", "w", 3), {"layout": "nhwc"}),
    ((1, 3, 256, 256), {"size": 256}),
    ((1, 3, 256, 256), {"tile": 256}),
    ((1, 1, "h", "w"), {"takes": "y"}),
    (("a", "b", "c", "d"), {"takes": "bgr"}),
]


@pytest.mark.parametrize(("shape", "said"), FITS)
def test_a_model_that_fits_is_no_trouble(tmp_path: Path, shape: models.Shape, said: dict[str, Any]) -> None:
    models.identity(tmp_path / "m.onnx", shape)
    assert trouble_with(tmp_path, OnnxModel(file="m.onnx", **said)) is None


MISFITS: list[tuple[models.Shape, int, dict[str, Any], str, str]] = [
    ((1, 3, "h", "w"), TensorProto.FLOAT, {"layout": "nhwc"}, 'is no layout "nhwc"', 'Write layout = "nchw".'),
    ((1, "h", "w", 3), TensorProto.FLOAT, {}, 'is no layout "nchw"', 'Write layout = "nhwc".'),
    ((1, 3, "h", "w"), TensorProto.FLOAT, {"takes": "y"}, "`takes` asks for 1 channel", "Put `takes` right."),
    ((1, 3, "h", "w"), TensorProto.FLOAT, {"gives": "ab"}, "`gives` asks for 2 channels", "Put `gives` right."),
    ((1, 3, 256, 256), TensorProto.FLOAT, {}, "takes float32 1x3x256x256 and nothing else", "Write size = 256."),
    (
        (1, 3, 256, 256),
        TensorProto.FLOAT,
        {"tile": 128},
        "takes float32 1x3x256x256 and nothing else",
        "Write size = 256 and tile = 256.",
    ),
    ((1, 3, 64, 32), TensorProto.FLOAT, {"size": 64}, "not square", "Export it for any size, or for a square one."),
    (
        (1, 3, 64, 64),
        TensorProto.FLOAT,
        {"tile": 64, "scale": 2},
        "128 pixels a side are expected",
        "Put `scale` right.",
    ),
    ((1, 3, "h", "w"), TensorProto.UINT8, {}, "takes uint8", "Only float32 and float16 can be used: export it so."),
    ((8, 3, "h", "w"), TensorProto.FLOAT, {}, "takes float32 8x3", "One picture at a time is needed"),
    ((3, "h", "w"), TensorProto.FLOAT, {}, "takes float32 3x?x?", "One picture at a time is needed"),
]


@pytest.mark.parametrize(("shape", "kind", "said", "reason", "remedy"), MISFITS)
def test_a_model_that_does_not_fit_is_told_with_what_to_write(
    tmp_path: Path, shape: models.Shape, kind: int, said: dict[str, Any], reason: str, remedy: str
) -> None:
    models.identity(tmp_path / "m.onnx", shape, kind=kind)
    trouble = trouble_with(tmp_path, OnnxModel(file="m.onnx", **said))
    assert trouble is not None
    assert reason in trouble.reason
    assert remedy in trouble.remedy


def test_a_model_of_two_inputs_is_told(tmp_path: Path) -> None:
    models.write(tmp_path / "m.onnx", [helper.make_node("Add", ["in", "in2"], ["out"])], inputs=2)
    trouble = trouble_with(tmp_path, OnnxModel(file="m.onnx"))
    assert trouble is not None
    assert trouble.reason == "it takes 2 inputs and gives 1 outputs"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.integers(0, 200))
def test_hostile_bytes_are_no_model_and_nothing_worse(tmp_path: Path, noise: bytes, at: int) -> None:
    path = models.identity(tmp_path / "m.onnx")
    body = path.read_bytes()
    path.write_bytes(body[: min(at, len(body))] + noise)
    with contextlib.suppress(NotOnnxError):
        signature_of(path)


def test_a_missing_file_or_package_switches_the_provider_off_and_the_route_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load(tmp_path, changed(OWN, ASKED))
    states = availability(loaded.product, {})
    assert states.operations["restore"].route == ("local",)
    assert states.providers["mine"].reason == f"there is no file {tmp_path / 'm.onnx'}"
    assert any("there is no file" in note.render("x") for note in loaded.notes)

    models.identity(tmp_path / "m.onnx")
    assert availability(loaded.product, {}).operations["restore"].route == ("mine", "local")

    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None)
    assert importlib.util.find_spec("onnxruntime") is not None
    state = availability(loaded.product, {}).providers["mine"]
    assert not state.on
    assert state.remedy == 'Install it: pip install "penstock[onnx]"'


def test_a_file_that_is_no_model_switches_it_off(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_text("<html>moved</html>")
    loaded = load(tmp_path, changed(OWN))
    assert "is not an ONNX model" in str(availability(loaded.product, {}).providers["mine"].reason)
    (tmp_path / "m.onnx").unlink()
    (tmp_path / "m.onnx").mkdir()
    assert "can't be read: is a directory" in str(availability(loaded.product, {}).providers["mine"].reason)


@pytest.mark.parametrize(
    ("lines", "reason", "suggestion"),
    [
        (('takes = "l"', 'gives = "rgb"'), 'can\'t be "rgb" where `takes` is "l"', 'Write "ab".'),
        (('takes = "l"', "residual = true"), "colours can't be added", "Leave it out."),
        (('gives = "bgr"', "residual = true"), "must be of the kind that goes in", "Leave `gives` out."),
        (('gives = "ab"', 'range_out = "0..1"'), "is not for `ab`", "Write ab_unit instead."),
        (("size = 256", "tile = 128"), "the model takes 256 pixels only", "Write tile = 256."),
        (("tile = 250", "multiple_of = 16"), "is no multiple of 16", "Write tile = 256."),
        (("overlap = 8",), "is for tiles, and there are none", "Write `tile`, too, or leave it out."),
        (("tile = 64", "overlap = 40"), "more than half a tile", "Write 16."),
        (("size = 64", "longest = 64"), "says nothing beside", "Leave it out."),
        (("size = 64", "scale = 2"), "shrunk first can't be enlarged", "Write `tile`, too"),
    ],
)
def test_settings_that_contradict_each_other_are_mistakes(
    tmp_path: Path, lines: tuple[str, ...], reason: str, suggestion: str
) -> None:
    (mistake,) = mistakes(tmp_path, _product(*lines))
    assert reason in mistake.reason
    assert mistake.suggestion is not None
    assert suggestion in mistake.suggestion


def test_the_table_and_the_adapter_belong_together(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, changed(('adapter = "local"', 'adapter = "local"\nonnx = { file = "m.onnx" }')))
    assert mistake.reason == 'is for the adapter "onnx"'
    (mistake,) = mistakes(
        tmp_path, changed(("\n[providers.gemini]", '\n[providers.mine]\nadapter = "onnx"\n\n[providers.gemini]'))
    )
    assert mistake.suggestion == 'For example: file = "models/mine.onnx"'
