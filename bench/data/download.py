"""The files of a published data set, fetched from their owner: whole and checked against the catalogue, or not at all.

A file is written as NAME.part, which a later attempt continues, and gets its name once its sha256 is right. What the
server says is not trusted: no more than the declared bytes are taken.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.data.catalogue import PublishedFile
from bench.data.part_file import PartFile, part_file
from bench.data.places import cannot_write
from bench.data.transfer import TransferError, transfer
from bench.data.transfer_progress import TransferProgress, size_text
from bench.errors import UserError
from bench.files.digests import file_sha256

SPARE = 64 * 2**20  # bytes of the disk that a download leaves free
ATTEMPTS = 10  # of one file in one command
PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds before the second attempt, doubled before each further one

Tell = Callable[[str], None]


def download(files: Sequence[PublishedFile], folder: Path, tell: Tell) -> list[Path]:
    """Fetch the files into a folder; a file that is there and right is taken as it is.

    Each file has a url, a size and a sha256. tell: is called with each line about what was done. Raises UserError for
    a file that cannot be fetched or is not the expected one (a wrong one is removed), for a disk without space for
    all of them, and where another process fetches the same file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        missing = [file for file in files if not _is_there(file, folder, tell)]
        _check_space(missing, folder)
        for file in missing:
            with part_file(folder / file.name) as part:
                if not _is_there(file, folder, tell):  # another process may have ended just now
                    _fetch(file, part, tell)
                    part.publish()
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # if nothing came
    return [folder / file.name for file in files]


def _is_there(file: PublishedFile, folder: Path, tell: Tell) -> bool:
    path = folder / file.name
    if not path.is_file():
        return False
    if path.stat().st_size == file.bytes and file_sha256(path) == file.sha256:
        tell(f"{path}: is there, with the right sha256")
        return True
    path.unlink()
    tell(f"{path}: is not the expected file, removed")
    return False


def _check_space(files: Sequence[PublishedFile], folder: Path) -> None:
    """UserError unless the disk holds what is still to come."""
    parts = [folder / f"{file.name}.part" for file in files]
    needed = sum(file.bytes or 0 for file in files) - sum(part.stat().st_size for part in parts if part.is_file())
    free = shutil.disk_usage(folder).free
    if needed > free - SPARE:
        raise UserError(
            f"{folder}: {size_text(needed)} are to be fetched and {size_text(SPARE)} to stay free, "
            f"{size_text(free)} are free; BENCH_CACHE names another place"
        )


def _fetch(file: PublishedFile, part: PartFile, tell: Tell) -> None:
    """Fill the part with the file; UserError, and an empty part, where the owner offers another one."""
    for first in (True, False):
        _fill(file, part, tell)
        sha256, pieced = part.sha256(), part.pieced
        if sha256 == file.sha256:
            return
        part.clear()
        if not (pieced and first):  # a server that cuts every answer would else be asked without end
            raise UserError(
                f"{file.url}: is not the expected file: its sha256 is {sha256}, the catalogue's {file.sha256}; "
                f"{part.path} is removed"
            )
        # Its owner changed the file between two attempts, or the part was damaged on the disk.
        tell(f"{file.name}: continued, it is not the expected file; from the start again")


def _fill(file: PublishedFile, part: PartFile, tell: Tell) -> None:
    """Bring the part to the file's size, in several attempts; UserError where that fails."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _attempt(file, part)
            return
        except TransferError as error:
            if error.restart:
                part.clear()
            if not error.again or attempt == ATTEMPTS:
                kept = f"{size_text(part.size())} are kept, the same command continues"
                by_hand = "what was fetched otherwise goes with --from"
                raise UserError(f"{file.url}: {error}; {kept if part.size() else by_hand}") from error
            pause = min(PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
            tell(f"{file.url}: {error}; again in {pause:.0f} s")
            time.sleep(pause)


def _attempt(file: PublishedFile, part: PartFile) -> None:
    assert file.url is not None and file.bytes is not None, "a download has an address and a size"
    if part.size() > file.bytes:
        part.clear()
    if part.size() == file.bytes:
        return
    with transfer(file.url, file.bytes, part.size(), part.validator(file.url)) as answer:
        if answer.start == 0:
            part.clear()
        part.begin(file.url, answer.validator)
        progress = TransferProgress(file.name, file.bytes, answer.start)
        for chunk in answer.chunks:
            part.append(chunk)
            progress.add(len(chunk))
