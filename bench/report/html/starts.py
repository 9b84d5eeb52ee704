"""Where and when runs were last started, from the store's records."""

from __future__ import annotations

from collections.abc import Iterable

from bench.store.runs import Store

Facts = list[tuple[str, str]]


def starts_of(uids: Iterable[str], store: Store) -> dict[str, Facts]:
    """(name, value) of the last start of each run that has a record in the store."""
    found = {}
    for uid in uids:
        starts = store.folder(uid).starts()
        if starts:
            entry = starts[-1]
            gpus = ", ".join(entry.get("gpus") or ())
            values = {
                "started": entry.get("time"),
                "starts": len(starts) if len(starts) > 1 else None,
                "machine": gpus or entry.get("cpu"),
                "threads": entry.get("threads"),
                "python": entry.get("python"),
                "job": entry.get("job"),
            }
            found[uid] = [(name, str(value)) for name, value in values.items() if value]
    return found
