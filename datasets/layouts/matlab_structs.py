"""A list of structs in a MATLAB file (level 5), of which only fields of text and of single numbers are read.

scipy takes memory for the sizes that such a file declares, cells and objects included. Here the unpacked bytes are
bounded, all that is read is a part of them, and whatever was not asked for is passed over.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence

from bench.errors import UserError

from .side_files import SideFile

MOST_PACKED, MOST_PLAIN = 16 * 2**20, 64 * 2**20  # bytes of a file, and of a variable of it; ImageNet's have few MB
_MATRIX, _COMPRESSED, _STRUCT, _CHAR = 14, 15, 2, 4
_NUMBERS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 9: "d", 12: "q", 13: "Q"}  # by type of element
_UNICODE = {  # likewise
    "<": {16: "utf-8", 17: "utf-16-le", 18: "utf-32-le"},
    ">": {16: "utf-8", 17: "utf-16-be", 18: "utf-32-be"},
}
_HEADER = 128  # bytes
_MOST_READ, _MOST_SIDES = 2**16, 32  # bytes of one number, text or list of field names; axes of an array


class _Damaged(ValueError):
    """What is no MATLAB file of this level, or not of such structs."""


Element = tuple[int, memoryview]  # its type and its bytes


def structs(file: SideFile, variable: str, fields: Sequence[str]) -> list[tuple[str | float, ...]]:
    """These fields of every struct of a variable. UserError for a file that is damaged or that lacks one of them."""
    try:
        data = memoryview(file.content)
        order = {b"IM": "<", b"MI": ">"}.get(bytes(data[126:_HEADER]))
        if order is None:
            raise _Damaged("no header of level 5")
        for kind, content in _elements(data[_HEADER:], order):
            if kind == _COMPRESSED:
                kind, content = next(_elements(_inflated(content), order))
            if kind == _MATRIX and (found := _structs(content, order, variable, fields)) is not None:
                return found
    except (ValueError, struct.error, zlib.error, StopIteration, IndexError, OverflowError) as error:
        raise UserError(f"{file.where}: is not a MATLAB file that can be read ({error or 'cut off'})") from error
    raise UserError(f"{file.where}: has no structs '{variable}'")


def _structs(matrix: memoryview, order: str, name: str, fields: Sequence[str]) -> list[tuple[str | float, ...]] | None:
    """The fields of the structs that a matrix is, None for one of another name or kind."""
    parts = _elements(matrix, order)
    kind, shape = _array(parts, order)
    if kind != _STRUCT or _bytes(next(parts)).decode() != name:
        return None
    length = int(_numbers(next(parts), order)[0])
    names = _bytes(next(parts))
    if length < 1:
        raise _Damaged("field names without letters")
    keys = [names[at : at + length].split(b"\0")[0].decode() for at in range(0, len(names), length)]
    if lacking := sorted(set(fields) - set(keys)):
        raise _Damaged(f"'{name}' has no field {', '.join(lacking)}")
    # Struct by struct, its fields in their order; a declared number of structs takes no memory before they are there.
    places = [keys.index(field) for field in fields]
    found = []
    for _ in range(math.prod(shape)):
        row = [next(parts) for _ in keys]
        found.append(tuple(_value(row[place], order) for place in places))
    return found


def _value(element: Element, order: str) -> str | float:
    """A matrix of text, or of one number."""
    kind, content = element
    if kind != _MATRIX:
        raise _Damaged("a field that is no matrix")
    parts = _elements(content, order)
    array, shape = _array(parts, order)
    next(parts)  # its name, which is empty
    values = next(parts)
    if array == _CHAR and values[0] in _UNICODE[order]:
        return _bytes(values).decode(_UNICODE[order][values[0]])
    numbers = _numbers(values, order)
    if array == _CHAR:
        return "".join(chr(int(number)) for number in numbers if 0 <= number < 0x110000)
    if math.prod(shape) != 1 or len(numbers) != 1:
        raise _Damaged(f"a field of {len(numbers):,} numbers, not of one")
    return numbers[0]


def _array(parts: Iterator[Element], order: str) -> tuple[int, list[int]]:
    """The class and the shape with which every matrix begins."""
    flags = int(_numbers(next(parts), order)[0])
    shape = [int(side) for side in _numbers(next(parts), order)]
    if len(shape) > _MOST_SIDES or any(side < 0 for side in shape):
        raise _Damaged(f"a shape of {len(shape)} axes, {shape[:4]}")
    return flags & 0xFF, shape


def _numbers(element: Element, order: str) -> tuple[float, ...]:
    """The numbers of an element."""
    kind, content = element
    if kind not in _NUMBERS:
        raise _Damaged(f"an element of type {kind} where numbers are needed")
    letter = _NUMBERS[kind]
    return struct.unpack(f"{order}{len(content) // struct.calcsize(order + letter)}{letter}", _bytes(element))


def _bytes(element: Element) -> bytes:
    if len(element[1]) > _MOST_READ:
        raise _Damaged(f"{len(element[1]):,} bytes of text or numbers; at most {_MOST_READ:,} are read")
    return bytes(element[1])


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    """The elements that follow each other: small ones in 8 bytes, others behind a tag of 8, padded unless packed."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # a small element: its size and type in one number, its bytes in the other
            kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise _Damaged(f"a small element of {size} bytes")
        else:
            start = at + 8
            end = start + size + (0 if kind == _COMPRESSED else -size % 8)
        if start + size > len(data):
            raise _Damaged(f"{size:,} bytes at {at:,} are not all there")
        yield kind, data[start : start + size]
        at = end


def _inflated(packed: memoryview) -> memoryview:
    inflating = zlib.decompressobj()
    plain = inflating.decompress(packed, MOST_PLAIN)
    if inflating.unconsumed_tail:
        raise _Damaged(f"a variable of more than {MOST_PLAIN:,} bytes")
    return memoryview(plain)
