"""Where the bytes of a zip archive's member lie: in the archive itself, or, of a packed one, in a scratch file.

A packed member can only be read from its beginning, and worker processes read in any order, so it is unpacked once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from bench.data.sources.tar import SPARE, UNPACKED
from bench.errors import UserError
from bench.files.extents import Extent, member_start
from bench.files.inert_pickle import Damaged

_PART = 2**20  # bytes copied together


def member_extent(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, scratch: Path | None) -> Extent:
    """The bytes of a member, its checksum verified.

    Raises Damaged, and what zipfile raises, for a damaged member, and UserError for a bomb and for a disk too full.
    """
    if member.flag_bits & 1:
        raise Damaged(f"member {member.filename} is encrypted")
    if member.file_size > max(UNPACKED[0], UNPACKED[1] * member.compress_size):
        raise UserError(
            f"{path}: {member.filename} unpacks to {member.file_size:,} bytes, over {UNPACKED[1]} times as many"
        )
    if member.compress_type == zipfile.ZIP_STORED:
        _copy(archive, member, None)
        with path.open("rb") as file:
            return Extent(path, member_start(file, member.header_offset), member.file_size)

    # Unpacked beside the set that is being built, which deletes it.
    if scratch is None:
        raise ValueError("a packed array needs a scratch folder")
    if shutil.disk_usage(scratch).free < member.file_size + SPARE:
        raise UserError(
            f"{path}: {member.filename} needs {member.file_size:,} bytes unpacked, more than the disk of {scratch} has "
            "free; BENCH_CACHE names another place"
        )
    handle, name = tempfile.mkstemp(prefix="unpacked-", dir=scratch)
    os.close(handle)
    target = Path(name)
    _copy(archive, member, target)
    return Extent(target, 0, member.file_size)


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path | None) -> None:
    """Read a member to its end, so that its checksum is compared; into `target` if there is one."""
    done = 0
    with archive.open(member) as packed, Path(target or os.devnull).open("wb") as plain:
        while part := packed.read(_PART):
            done += len(part)
            plain.write(part)
    if done != member.file_size:
        raise Damaged(f"member {member.filename} has {done} of {member.file_size} bytes")
