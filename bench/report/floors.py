"""The floor of a score: what real images that are not the reference score at the same counts, where known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean
from typing import Any

from bench.data.points import FLOOR
from bench.metrics.scores import Score
from bench.plan.inputs import Machine
from bench.report.origins import judged
from bench.report.recorded import load_recorded, recorded_sets
from bench.spec.run import DataSpec, Protocol, reference_run
from bench.store.runs import Store

SEEDS = 10  # floors are looked for at the seeds 0 to 9
Line = dict[str, Any]  # a score as metrics.jsonl and recorded sets hold it


@dataclass(frozen=True)
class Floor:
    """The mean floor of some seeds, and where it is from: "runs" (the store) or a recorded set's name."""

    value: float
    seeds: int
    origin: str


class Floors:
    """The floors of a protocol on a data set, of the store's runs, else of the first recorded set that has them."""

    def __init__(self, data: DataSpec, protocol: Protocol, store: Store) -> None:
        self._uids = [reference_run(FLOOR, data, protocol, seed).uid for seed in range(SEEDS)]
        self._lines = {origin: lines for origin, lines in self._origins(store) if lines}

    def of(self, score: Score) -> Floor | None:
        """The floor of a score, or None.

        It has the same metric, extractor, counts and version, and the same weights and reference images where their
        digests are recorded.
        """
        for origin, lines in self._lines.items():
            if values := [float(line["value"]) for line in lines if _is_like(line, score)]:
                return Floor(mean(values), len(values), origin)
        return None

    def _origins(self, store: Store) -> Iterator[tuple[str, list[Line]]]:
        machine = Machine(store)
        folders = [store.folder(uid) for uid in self._uids]
        # The store's own finished floors, made from the inputs that are here now; then those of recorded sets.
        done = [folder for folder in folders if folder.result() is not None and not machine.changes(folder)]
        yield "runs", [line for folder in done for line in folder.metrics()]
        for name in recorded_sets():
            frame = load_recorded(name)
            frame = judged(frame[frame["uid"].isin(self._uids)], machine)
            frame = frame[frame["status"] == "done"]
            yield (
                name,
                [{str(key): value for key, value in line.items()} for line in frame.to_dict("records")],
            )


def _is_like(line: Line, score: Score) -> bool:
    exact = ("metric", "extractor", "n_generated", "n_reference")
    digests = ("extractor_sha256", "reference_sha256")
    return (
        all(line[name] == getattr(score, name) for name in exact)
        and all((line.get(name) or getattr(score, name)) == getattr(score, name) for name in digests)
        and line.get("version", 1) == score.version
        and line["value"] == line["value"]  # no nan
    )
