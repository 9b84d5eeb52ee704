"""`bench data build NAME --download`: the files of a published set, from their owner into the cache."""

from __future__ import annotations

from pathlib import Path

from bench import paths
from bench.data.download import Tell, download
from bench.data.places import find
from bench.data.transfer_progress import size_text
from bench.errors import UserError


def fetch(name: str, resolution: int, force: bool, tell: Tell) -> Path:
    """What --from takes of a set, fetched if it is not there yet; all resolutions share <cache>/downloads/NAME.

    Raises UserError for a set that its owner does not offer as plain files with known sums, for one that is built
    already (without `force`), and as `download`.
    """
    entry, folder = find(name, resolution)
    if entry.embedded:
        raise UserError(f"data set '{name}' is made from installed packages; leave out --download")
    files = entry.downloads()
    if not files:
        place = entry.homepage or entry.source
        raise UserError(
            f"data set '{name}' has no files that can be fetched and checked; get it by hand ({place}) for --from PATH"
        )
    unsafe = [file.name for file in files if Path(file.name).name != file.name or file.name.startswith(".")]
    if unsafe:
        raise UserError(f"data set '{name}': '{unsafe[0]}' is no plain file name, so it is not fetched")
    if folder.is_dir() and not force:
        raise UserError(f"data set '{name}' at {resolution} px is built already; add --force to replace it")
    total = size_text(sum(file.bytes or 0 for file in files))
    tell(f"fetching {', '.join(file.name for file in files)} ({total}); licence: {entry.licence}")
    return download(files, paths.cache_root() / "downloads" / name, tell)[0]
