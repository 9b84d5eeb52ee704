"""Tensors of a file that was read inertly: each is checked against the bytes that are there before any is allocated.

A tensor is read if its numbers are plain and real, lie within its storage, and are dense there (in any order of axes).
Everything else is refused by name: sparse, nested, quantised, complex and meta tensors, views that repeat numbers or
leave some out, subclasses. Nothing is allocated on the word of a pickle: only bytes of the file are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.errors import UserError
from bench.files.extents import Extent
from bench.files.inert_pickle import Damaged, Name, Note, shown

TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
OTHERS = {  # how torch saves what is not read, and what to call it
    "torch._utils._rebuild_sparse_tensor": "sparse",
    "torch._utils._rebuild_sparse_csr_tensor": "sparse",
    "torch._utils._rebuild_nested_tensor": "nested",
    "torch._utils._rebuild_qtensor": "quantised",
    "torch._utils._rebuild_meta_tensor_no_storage": "without numbers (of the meta device)",
    "torch._utils._rebuild_tensor_v3": "of a type that torch has no storage of its own for",
    "torch._utils._rebuild_wrapper_subclass": "of a subclass of Tensor",
    "torch._utils._rebuild_device_tensor_from_numpy": "of another device",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "of another device",
    "torch._tensor._rebuild_from_type_v2": "of a subclass of Tensor, or has attributes",
    "torch._tensor._rebuild_from_type": "of a subclass of Tensor",
}
DTYPES = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
OTHER_DTYPES = {  # their storages, and what else such tensors are saved with
    "torch.ComplexFloatStorage": "complex",
    "torch.ComplexDoubleStorage": "complex",
    "torch.QInt8Storage": "quantised",
    "torch.QUInt8Storage": "quantised",
    "torch.QInt32Storage": "quantised",
    "torch.QUInt4x2Storage": "quantised",
    "torch.QUInt2x4Storage": "quantised",
    "torch.storage.UntypedStorage": "bytes without a type",
    "torch.UntypedStorage": "bytes without a type",
}
BESIDE = {"torch.serialization._get_layout", "torch.device", "torch.Size", "torch.Tensor"} | {
    f"torch.{name}"
    for name, value in vars(torch).items()
    if isinstance(value, torch.dtype | torch.layout | torch.qscheme)
}
# What a file of torch.save may name; all of it is noted, none of it called.
NAMES = {*TENSORS, *PARAMETERS, *OTHERS, *DTYPES, *OTHER_DTYPES, *BESIDE}
MOST_AXES = 8
STRUCTURE = (
    "state",
    "_parameters",
    "_buffers",
    "_modules",
)  # of a pickled module: no part of a tensor's name


class Storage:
    """A storage as a pickle names it: `kind` is torch's class, `numel` its numbers; `extent`, set later, its bytes."""

    __slots__ = ("extent", "key", "kind", "numel")

    def __init__(self, kind: str, key: str, numel: int) -> None:
        self.kind, self.key, self.numel = kind, key, numel
        self.extent: Extent | None = None


def storage_of(persistent_id: Any) -> Storage:
    """The storage that torch.save's persistent id names. Raises Damaged for another id."""
    match persistent_id:
        case ("storage", Name() as kind, str(key), str(), int(numel), *view) if numel >= 0 and view in (
            [],
            [None],
        ):
            return Storage(kind.text, key, numel)
    raise Damaged("a storage that is not named as torch.save names them")


def is_tensor(value: Any) -> bool:
    """Whether this is how torch saves a tensor of any sort."""
    return isinstance(value, Note) and (value.name in (*TENSORS, *PARAMETERS) or value.name in OTHERS)


def tensor_of(value: Any, where: str) -> Tensor:
    """The tensor that a Note stands for. where: the file and the tensor's name there, for errors.

    Raises UserError for what is no tensor, or none of the sort that is read.
    """
    plan = _plan(value, where)
    count = math.prod(plan.size)
    if not count:
        raise UserError(f"{where} has shape {tuple(plan.size)}, must not be empty")
    dtype = DTYPES[plan.storage.kind]
    extent = plan.storage.extent
    assert extent is not None
    data = extent.read(plan.offset * dtype.itemsize, count * dtype.itemsize)
    return torch.frombuffer(data, dtype=dtype).as_strided(plan.size, plan.stride)


def check_tensor(value: Any, where: str, *, dense: bool = True) -> None:
    """The checks of `tensor_of`, without reading a number; with dense=False of views that repeat or skip some too."""
    _plan(value, where, dense=dense)


@dataclass(frozen=True)
class _Plan:
    storage: Storage
    offset: int
    size: Sequence[int]
    stride: Sequence[int]


def _plan(value: Any, where: str, *, dense: bool = True) -> _Plan:
    # A parameter is a tensor in a wrapper.
    while isinstance(value, Note) and value.name in PARAMETERS and value.args and value.state is None:
        if value.name == PARAMETERS[1] and value.args[3:] not in ((), (None,), ({},)):
            raise UserError(f"{where} is a parameter with attributes, which are not read")
        value = value.args[0]

    # The kind of tensor.
    if not isinstance(value, Note):
        raise UserError(f"{where} is {_described(value)}, must be a tensor")
    if value.name in OTHERS:
        raise UserError(f"{where} is {OTHERS[value.name]}; only dense tensors of plain real numbers are read")
    if value.name not in TENSORS or len(value.args) < 4 or value.state is not None:
        raise UserError(f"{where} is not a tensor as {TENSORS[0]} rebuilds them")
    if any(value.args[6:]):  # marks of lazy conjugation and negation, which change the numbers
        raise UserError(f"{where} is marked {shown(value.args[6])}; only dense tensors of plain real numbers are read")

    # Its storage, and where it lies in it.
    storage, offset, size, stride = value.args[:4]
    if not isinstance(storage, Storage):
        raise UserError(f"{where}: its numbers are not stored as torch.save stores them")
    if storage.kind not in DTYPES:
        kind = OTHER_DTYPES.get(storage.kind, storage.kind)
        raise UserError(f"{where} is {kind}; only dense tensors of plain real numbers are read")
    if not _are_sizes((offset,)) or not _are_sizes(size) or not _are_sizes(stride) or len(size) != len(stride):
        raise UserError(
            f"{where}: its offset, sizes and strides must be whole numbers from 0, for {MOST_AXES} axes at most"
        )
    _check_span(storage.numel, offset, size, stride, where, dense)
    available = 0 if storage.extent is None else storage.extent.size // DTYPES[storage.kind].itemsize
    if available < storage.numel:
        raise UserError(f"{where}: the file has {available} of the {storage.numel} numbers that it says it has")
    return _Plan(storage, offset, size, stride)


def _check_span(
    available: int, offset: int, size: Sequence[int], stride: Sequence[int], where: str, dense: bool
) -> None:
    """UserError unless the numbers lie within the storage, and are dense there if `dense`."""
    if not math.prod(size):
        return
    axes = [(step, length) for length, step in zip(size, stride, strict=True) if length > 1]
    if offset + sum((length - 1) * step for step, length in axes) >= available or (
        dense and math.prod(size) > available - offset
    ):
        raise UserError(f"{where}: it has {available} numbers, fewer than its shape {tuple(size)} needs")
    step_when_dense = 1
    for step, length in sorted(axes) if dense else ():
        if step != step_when_dense:
            raise UserError(
                f"{where}: shape {tuple(size)} with strides {tuple(stride)} repeats numbers or leaves some out; "
                "only dense tensors are read"
            )
        step_when_dense *= length


def _are_sizes(values: Any) -> bool:
    """Whether this is a tuple of whole numbers from 0, of few axes and none beyond what a file can hold."""
    return (
        isinstance(values, tuple)
        and len(values) <= MOST_AXES
        and all(type(value) is int and 0 <= value < 2**48 for value in values)
    )


def _described(value: Any) -> str:
    return shown(value) if isinstance(value, Name) else f"a {type(value).__name__}"


def each_tensor(value: Any) -> Iterator[tuple[str, Any]]:
    """(dotted name, Note) of every tensor in a value, at any depth, each once, without recursion."""
    # Each item with the way to it, which is a chain of pairs: (the way before, the item's key).
    stack: list[tuple[Any, Any]] = [((), value)]
    seen = set()
    while stack:
        way, item = stack.pop()
        if not isinstance(item, dict | list | tuple | Note) or id(item) in seen:
            continue
        seen.add(id(item))
        if is_tensor(item):
            yield _dotted(way), item
        elif isinstance(item, dict):
            stack += [((way, key), inner) for key, inner in item.items()]
        elif isinstance(item, Note):
            stack += [(way, inner) for inner in (*item.args, item.state)]
        else:
            stack += [((way, place), inner) for place, inner in enumerate(item)]


def _dotted(way: Any) -> str:
    """The last keys of a way."""
    keys: list[str] = []
    while way and len(keys) < MOST_AXES:
        way, key = way
        if key not in STRUCTURE:
            keys.append(shown(key)[1:-1] if isinstance(key, str) else shown(key))
    return ".".join(reversed(keys))
