"""What an ONNX file says of the model in it, and whether that fits the product file: read, never run.

An ONNX file is a Protocol Buffers message (`ModelProto`, onnx.proto3 of the ONNX standard). Only what is wanted is
read: the names, types and shapes of inputs and outputs. The weights, which may be gigabytes, are stepped over, so a
look costs milliseconds, needs no package, and trusts nothing in the file.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Final, Literal

from penstock.product.schema_onnx import CHANNELS, OnnxModel

MAX_NAMED: Final = 100_000  # inputs, outputs and weights of one model
MAX_VALUE_BYTES: Final = 65_536  # what one input or output may take to describe
MAX_NAME_BYTES: Final = 4_096
RUNTIME: Final = "onnxruntime"

# Numbers of fields and types, as in the standard.
_GRAPH, _WEIGHT, _INPUT, _OUTPUT, _WEIGHT_NAME = 7, 5, 11, 12, 8
_NAME, _TYPE, _TENSOR, _ELEMENT, _SHAPE, _DIMENSION, _LENGTH = 1, 2, 1, 1, 2, 1, 1
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
TYPES: Final = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
USABLE: Final = ("float32", "float16")


class NotOnnxError(ValueError):
    """The file is not an ONNX model."""


@dataclass(frozen=True)
class Tensor:
    """An input or an output: lengths are None where any will do; the shape is None where nothing is said."""

    name: str
    type: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        """Write it as `float32 1x3x?x?`."""
        shape = "of any shape" if self.shape is None else "x".join("?" if n is None else str(n) for n in self.shape)
        return f"{self.type} {shape}"


@dataclass(frozen=True)
class Signature:
    """What a model takes and gives."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Trouble:
    """Why a model can't be used, and what to do; for operators."""

    reason: str
    remedy: str


def trouble_with(folder: Path, model: OnnxModel) -> Trouble | None:
    """Return why a model can't be used, as far as that shows without running it; None if nothing shows.

    Args:
        folder: where relative paths start.
    """
    path = folder / model.file
    try:
        found = path.stat()
        signature = _remembered(path, found.st_mtime_ns, found.st_size)
    except FileNotFoundError:
        return Trouble(f"there is no file {path}", "Put the model there, or put `file` right.")
    except OSError as error:
        return Trouble(f"{path} can't be read: {(error.strerror or 'unknown reason').lower()}", "Put `file` right.")
    except NotOnnxError as error:
        return Trouble(f"{path} is not an ONNX model: {error}", "Export the model again, or put `file` right.")
    if find_spec(RUNTIME) is None:
        return Trouble(f"the package {RUNTIME} is not installed", 'Install it: pip install "penstock[onnx]"')
    return misfit(signature, model)


@lru_cache(maxsize=64)
def _remembered(path: Path, _changed_ns: int, _bytes: int) -> Signature:
    """Return what a file's model takes and gives; asked with every look at the product, read once."""
    return signature_of(path)


def misfit(signature: Signature, model: OnnxModel) -> Trouble | None:
    """Return how a model differs from what the product file says of it; None if it does not."""
    if len(signature.inputs) != 1 or not signature.outputs:
        count = f"it takes {len(signature.inputs)} inputs and gives {len(signature.outputs)} outputs"
        return Trouble(count, "Only models with one input and an output can be used: export it so.")
    side = model.size or model.tile
    into = _shape_trouble("takes", signature.inputs[0], model, CHANNELS[model.takes], side)
    return into or _shape_trouble(
        "gives", signature.outputs[0], model, CHANNELS[model.made], None if side is None else side * model.scale
    )


def _shape_trouble(
    verb: Literal["takes", "gives"], tensor: Tensor, model: OnnxModel, channels: int, side: int | None
) -> Trouble | None:
    said = f"the model {verb} {tensor}"
    if tensor.type not in USABLE:
        return Trouble(said, f"Only {' and '.join(USABLE)} can be used: export it so.")
    if tensor.shape is None:
        return None
    if len(tensor.shape) != 4 or tensor.shape[0] not in {None, 1}:
        return Trouble(said, "One picture at a time is needed, as in 1x3x256x256: export it so.")
    first, second, third = tensor.shape[1:]
    found, sides, elsewhere = (first, [second, third], third)
    if model.layout == "nhwc":
        found, sides, elsewhere = third, [first, second], first
    if found == channels or (found is None and elsewhere != channels):
        return _side_trouble(verb, said, sides, model, side)
    if elsewhere == channels:
        other = "nchw" if model.layout == "nhwc" else "nhwc"
        return Trouble(f'{said}, which is no layout "{model.layout}"', f'Write layout = "{other}".')
    wanted = f"{channels} channel{'s' if channels > 1 else ''}"
    return Trouble(f"{said}, and `{verb}` asks for {wanted}", f"Put `{verb}` right.")


def _side_trouble(verb: str, said: str, sides: list[int | None], model: OnnxModel, side: int | None) -> Trouble | None:
    fixed = {length for length in sides if length is not None}
    if not fixed or fixed == {side}:
        return None
    if len(fixed) > 1:
        return Trouble(f"{said}, which is not square", "Export it for any size, or for a square one.")
    if verb == "gives":
        return Trouble(f"{said}, and {side or 'any'} pixels a side are expected", "Put `scale` right.")
    only = fixed.pop()
    return Trouble(f"{said} and nothing else", f"Write size = {only}{f' and tile = {only}' if model.tile else ''}.")


# ---- reading ------------------------------------------------------------------------------------------------------


def signature_of(path: Path) -> Signature:
    """Return what the model in a file takes and gives. Errors: OSError; NotOnnxError."""
    with path.open("rb") as file:
        graph = next((end for field, _, end in _fields(file, path.stat().st_size) if field == _GRAPH), None)
        if graph is None:
            raise NotOnnxError("it holds no graph")
        return _graph(file, graph)


def _graph(file: BinaryIO, end: int) -> Signature:
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    weights: set[str] = set()
    for count, (field, kind, stop) in enumerate(_fields(file, end)):
        if count > MAX_NAMED:
            raise NotOnnxError("it has too many parts")
        if kind != _BYTES:
            continue
        if field == _WEIGHT:
            weights.add(_weight_name(file, stop))
        elif field in {_INPUT, _OUTPUT}:
            (inputs if field == _INPUT else outputs).append(_tensor(_bytes(file, stop, MAX_VALUE_BYTES)))
    return Signature(tuple(each for each in inputs if each.name not in weights), tuple(outputs))


def _weight_name(file: BinaryIO, end: int) -> str:
    found = next((stop for field, kind, stop in _fields(file, end) if (field, kind) == (_WEIGHT_NAME, _BYTES)), None)
    return "" if found is None else _bytes(file, found, MAX_NAME_BYTES).decode(errors="replace")


def _tensor(body: bytes) -> Tensor:
    fields = _values(body)
    name = fields.get(_NAME, [b""])[0]
    kind = _inner(_inner(fields, _TYPE), _TENSOR)
    element = kind.get(_ELEMENT, [0])[0]
    shape = None
    if _SHAPE in kind:
        lengths = [_values(each) for each in _inner(kind, _SHAPE).get(_DIMENSION, []) if isinstance(each, bytes)]
        shape = tuple(_length(each.get(_LENGTH, [0])[0]) for each in lengths)
    word = TYPES.get(element, "something else") if isinstance(element, int) else "something else"
    return Tensor(name.decode(errors="replace") if isinstance(name, bytes) else "", word, shape)


def _length(said: int | bytes) -> int | None:
    return said if isinstance(said, int) and 0 < said < 1 << 31 else None


def _inner(fields: Mapping[int, list[int | bytes]], number: int) -> dict[int, list[int | bytes]]:
    found = fields.get(number, [b""])[0]
    return _values(found) if isinstance(found, bytes) else {}


def _values(body: bytes) -> dict[int, list[int | bytes]]:
    """Return the fields of a small message: numbers and bytes, by the fields' numbers."""
    file, found = io.BytesIO(body), dict[int, list[int | bytes]]()
    for field, kind, end in _fields(file, len(body)):
        if kind == _BYTES:
            found.setdefault(field, []).append(_bytes(file, end, MAX_VALUE_BYTES))
        elif kind == _VARINT:
            found.setdefault(field, []).append(end)
    return found


def _fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield each field up to `end` as number, kind, and where its bytes end (of a number: the number).

    The caller may read the bytes or leave them: the next field is looked for behind them.
    """
    while file.tell() < end:
        tag = _varint(file, end)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            yield field, kind, _varint(file, end)
            continue
        if kind not in {_BYTES, _EIGHT_BYTES, _FOUR_BYTES}:
            raise NotOnnxError("it is of another format")
        length = _varint(file, end) if kind == _BYTES else 8 if kind == _EIGHT_BYTES else 4
        stop = file.tell() + length
        if stop > end:
            raise NotOnnxError("it is cut off, or of another format")
        yield field, kind, stop
        file.seek(stop)


def _varint(file: BinaryIO, end: int) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte or file.tell() > end:
            raise NotOnnxError("it is cut off, or of another format")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise NotOnnxError("it is of another format")


def _bytes(file: BinaryIO, end: int, most: int) -> bytes:
    size = end - file.tell()
    if size > most:
        raise NotOnnxError("a description in it is too long")
    return file.read(size)
