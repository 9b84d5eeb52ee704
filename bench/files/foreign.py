"""Reading public checkpoints: what torch.save wrote, and pickles of modules; nothing runs, sizes are bounded."""

from __future__ import annotations

import io
import mmap
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files.extents import Extent, member_start
from bench.files.inert_pickle import Damaged, failure, read_inert, shown
from bench.files.tensors import DTYPES, NAMES, Storage, check_tensor, each_tensor, storage_of

# The largest public checkpoint of these formats, with optimiser states, has a quarter of this.
MOST_BYTES = 4 * 2**30
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of torch.save's older format
# What a weights file may name beside tensors; torch.load allows these too.
OF_WEIGHTS = {"collections.Counter", "_codecs.encode", "torch.nn.parameter.Parameter"}
TORCH_FILE = "a file of torch.save"


def check_file(path: Path) -> None:
    """Raises UserError unless `path` is a file of at most MOST_BYTES."""
    if not path.is_file():
        raise UserError(f"checkpoint {path} {'is a folder, not a file' if path.is_dir() else 'does not exist'}")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise UserError(f"checkpoint {path} has {size} bytes; at most {MOST_BYTES} are read")


def load(path: Path) -> Any:
    """What torch.save wrote: numbers, text, plain containers, and a Note for each tensor (bench.files.tensors).

    Raises UserError for a missing, damaged or too large file, and for a tensor anywhere in it that is not of the sort
    that is read. Anything else that the file refers to is refused by name, neither imported nor called.
    """
    check_file(path)
    try:
        value = _read(path, NAMES)
    except Exception as error:  # a damaged file raises nearly anything
        raise failure(f"checkpoint {path}", error, TORCH_FILE) from error
    check_tensors(value, f"checkpoint {path}")
    return value


def check_tensors(value: Any, where: str, *, dense: bool = True) -> None:
    """Raises UserError naming the first tensor in a value, at any depth, that is not of the sort that is read."""
    for name, tensor in each_tensor(value):
        check_tensor(tensor, f"{where}: '{name}'", dense=dense)


def inspect(path: Path) -> None:
    """Check a file of torch.save, its tensors against its bytes, before torch.load trusts it.

    Raises UserError for a damaged or too large file, and names whatever does not belong in a weights file. Also names
    the first tensor that is sparse, of numbers that are not plain and real, or beyond its bytes.
    """
    check_file(path)
    try:
        value = _read(path, NAMES | OF_WEIGHTS)
    except Exception as error:  # a damaged file raises nearly anything
        raise failure(f"checkpoint {path}", error, TORCH_FILE) from error
    check_tensors(value, f"checkpoint {path}", dense=False)


def _read(path: Path, names: Collection[str]) -> Any:
    if zipfile.is_zipfile(path):
        return _load_archive(path, names)
    with mapped(path) as file:
        return _load_older(file, path, file.size(), names)


def _load_archive(path: Path, names: Collection[str]) -> Any:
    with zipfile.ZipFile(path) as archive:
        # Size and form of the archive. A packed member may be a thousand times as large as the file.
        if (size := sum(member.file_size for member in archive.infolist())) > MOST_BYTES:
            raise UserError(f"checkpoint {path} unpacks to {size} bytes; at most {MOST_BYTES} are read")
        members = {member.filename: member for member in archive.infolist()}
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
                raise Damaged("a packed or encrypted member, which torch.save never writes")
        if (bad := archive.testzip()) is not None:
            raise UserError(f"checkpoint {path} is damaged: member {shown(bad)} fails its checksum")

        # The one pickle in it, read without running it; its storages are noted.
        roots = [name.removesuffix("data.pkl") for name in members if f"/{name}".endswith("/data.pkl")]
        if len(roots) != 1 or f"{roots[0]}constants.pkl" in members:
            raise Damaged("no member data.pkl, or several, or a script")
        root = roots[0]
        if f"{root}byteorder" in members and archive.read(f"{root}byteorder") != b"little":
            raise Damaged("numbers that are not stored with the least byte first")
        storages: list[Storage] = []
        value = read_inert(io.BytesIO(archive.read(f"{root}data.pkl")), names.__contains__, _into(storages))

    # Where the bytes of each storage lie in the file.
    with path.open("rb") as file:
        for storage in storages:
            if (member_name := f"{root}data/{storage.key}") not in members:
                raise Damaged(f"the numbers of storage {shown(storage.key)} are missing")
            member = members[member_name]
            storage.extent = Extent(path, member_start(file, member.header_offset), member.file_size)
    return value


def _into(storages: list[Storage]) -> Any:
    """Turns persistent ids into storages, and keeps them in the list."""

    def note(persistent_id: Any) -> Storage:
        storages.append(storage_of(persistent_id))
        return storages[-1]

    return note


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """A memory map of the file. A read from it reserves no memory for bytes that the file does not have."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


def _load_older(file: Any, source: Path | bytes, end: int, names: Collection[str] = NAMES) -> Any:
    """torch.save's older format: five pickles, then each storage's length and bytes. `end`: of the file, in bytes."""
    # Three small pickles in front.
    none = frozenset[str]().__contains__
    if (read_inert(file, none), read_inert(file, none)) != (MAGIC, PROTOCOL):
        raise Damaged("its first numbers are others")
    system = read_inert(file, none)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Damaged("numbers that are not stored with the least byte first")

    # The value, then the keys of its storages and the bytes of each.
    storages: list[Storage] = []
    value = read_inert(file, names.__contains__, _into(storages))
    extents: dict[str, Extent] = {}
    by_key = {storage.key: storage for storage in storages}
    for key in read_inert(file, none):
        storage = by_key[key]
        if storage.kind not in DTYPES:
            return value  # what has such storages is refused by name
        count = int.from_bytes(file.read(8), "little", signed=True)
        size = count * DTYPES[storage.kind].itemsize
        if count != storage.numel or file.tell() + size > end:
            raise Damaged(f"storage {shown(key)} is not as long as the file says")
        extents[key] = Extent(source, file.tell(), size)
        file.seek(size, io.SEEK_CUR)
    for storage in storages:
        storage.extent = extents[storage.key]
    return value


def storage_in_bytes(data: bytes) -> Storage:
    """The storage that torch.save wrote into bytes, in its older format. Raises Damaged and nearly anything."""
    value = _load_older(io.BytesIO(data), data, len(data))
    if not isinstance(value, Storage):
        raise Damaged("no storage")
    return value
