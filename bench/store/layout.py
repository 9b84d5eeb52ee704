"""Where each piece of a run lies in the store.

<store>/<uid>/spec.json         the resolved RunSpec, exactly what was hashed
              provenance.json   one entry per start: code, packages, hardware
              inputs.json       the digests of all that the run has read: see bench.plan.inputs
              state/            checkpoints (the newest two), final.pt when done, best.pt of scored runs:
                                the snapshot that reports call the best (step, ema, discriminator, method);
                                kept-<step>.pt of the steps that it is asked to keep, with the same
              heartbeat.json    the step and who works on it, renewed every few seconds
              cancel            its presence asks whoever works on the run to save and leave it
              train.jsonl       losses and gradient norms
              metrics.jsonl     one line per snapshot and metric
              samples/          a picture per snapshot
              pictures.png      of an evaluation: its grid of pictures, with the captions inside
              arrays.pt         of an evaluation: what its measure keeps beside its values, tensors by name
              error.txt         the traceback of the last failure
              lock              held by whoever works on the run (the kernel's lock on it, not its presence)
              result.json       written last: its presence is what "done" means
<store>/set-aside/<uid>.<time>/ a run folder that has made room for the same run again, with set-aside.json: why, when
<store>/merging/                what `bench merge` is copying: whole folders move from here to their place
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SET_ASIDE, MERGING = "set-aside", "merging"
SPEC, RESULT, HEARTBEAT = "spec.json", "result.json", "heartbeat.json"
PROVENANCE, INPUTS, TRAIN_LOG, METRICS_LOG = "provenance.json", "inputs.json", "train.jsonl", "metrics.jsonl"
BEST = "best.pt"
_CHECKPOINT = re.compile(r"step-(\d{8})\.pt")

# What a file of a run's folder is to people who share runs. Records and pictures are all that reports read, and a
# bundle has these; weights, and an evaluation's arrays, are large and stay in stores; what is work is of the machine
# that is at it, and of no use elsewhere.
Sort = Literal["record", "picture", "weights", "work"]
RECORDS = (SPEC, PROVENANCE, INPUTS, TRAIN_LOG, METRICS_LOG, RESULT)
_SORTS: dict[Sort, re.Pattern[str]] = {
    "record": re.compile("|".join(map(re.escape, RECORDS))),
    "picture": re.compile(r"samples/step-\d{8}\.png|pictures\.png"),
    "weights": re.compile(rf"state/(final\.pt|{re.escape(BEST)}|kept-\d{{8}}\.pt)|arrays\.pt"),
    "work": re.compile(rf"{re.escape(HEARTBEAT)}|cancel|error\.txt|lock|set-aside\.json|state/(step|best)-\d{{8}}\.pt"),
}
# Of a finished run whose records alone are here
NO_WEIGHTS = (
    "a bundle has none: `bench merge` of the store that it is from brings them, `bench run --rerun` trains anew"
)


def sort_of(name: str) -> Sort | None:
    """What a file is, by its path in the run's folder ("samples/step-00000020.png"); None for no file of ours."""
    return next((sort for sort, names in _SORTS.items() if names.fullmatch(name)), None)


def kept(folder: Path, step: int) -> Path:
    """The weights of a step that a run is asked to keep, in its folder of weights."""
    return folder / f"kept-{step:08d}.pt"


@dataclass(frozen=True)
class RunPaths:
    """The paths of one run's folder; each name is written here and nowhere else."""

    path: Path

    def file(self, name: str) -> str:
        """The path of a file of the folder, as text: a store has tens of thousands of them."""
        return f"{self.path}/{name}"

    @property
    def uid(self) -> str:
        """The run's name, the hash of its spec."""
        return self.path.name

    @property
    def spec_file(self) -> Path:
        """The resolved RunSpec."""
        return self.path / SPEC

    @property
    def provenance_file(self) -> Path:
        """Code, packages and hardware of each start."""
        return self.path / PROVENANCE

    @property
    def inputs_file(self) -> Path:
        """The digests of all that the run has read."""
        return self.path / INPUTS

    @property
    def state(self) -> Path:
        """The folder of the weights."""
        return self.path / "state"

    @property
    def final_weights(self) -> Path:
        """The weights of a run that is done."""
        return self.state / "final.pt"

    @property
    def best_weights(self) -> Path:
        """The snapshot that reports call the best."""
        return self.state / BEST

    @property
    def heartbeat_file(self) -> Path:
        """The step, and who works on it."""
        return self.path / HEARTBEAT

    @property
    def cancel_file(self) -> Path:
        """Its presence asks whoever works on the run to save and leave it."""
        return self.path / "cancel"

    @property
    def train_log(self) -> Path:
        """Losses and gradient norms, a line every few steps."""
        return self.path / TRAIN_LOG

    @property
    def metrics_log(self) -> Path:
        """Scores, a line a snapshot and score."""
        return self.path / METRICS_LOG

    @property
    def samples(self) -> Path:
        """The folder of the snapshots' pictures."""
        return self.path / "samples"

    @property
    def pictures(self) -> Path:
        """The grid of pictures of an evaluation (bench.data.picture_grid)."""
        return self.path / "pictures.png"

    @property
    def arrays(self) -> Path:
        """What an evaluation keeps beside its values (bench.files.weights.read_weights)."""
        return self.path / "arrays.pt"

    @property
    def error_file(self) -> Path:
        """The traceback of the last failure."""
        return self.path / "error.txt"

    @property
    def lock_file(self) -> Path:
        """Locked by whoever works on the run."""
        return self.path / "lock"

    @property
    def result_file(self) -> Path:
        """Its presence is what "done" means."""
        return self.path / RESULT

    @property
    def set_aside_file(self) -> Path:
        """Why and when the folder has made room for the same run."""
        return self.path / "set-aside.json"

    def sheet(self, step: int) -> Path:
        """The picture of a snapshot."""
        return self.samples / f"step-{step:08d}.png"

    def sheets(self) -> list[Path]:
        """The pictures of the snapshots so far, oldest first."""
        return sorted(self.samples.glob("step-*.png"))

    def members(self, *sorts: Sort) -> list[str]:
        """The files of these sorts that are there, by their paths in the folder, in order."""
        inside = [f"{folder.name}/{name}" for folder in (self.samples, self.state) for name in _names_in(folder)]
        return sorted(name for name in (*_names_in(self.path), *inside) if sort_of(name) in sorts)


def checkpoint(state: Path, step: int) -> Path:
    """The checkpoint of a step in a run's folder of weights."""
    return state / f"step-{step:08d}.pt"


def checkpoints(state: Path) -> dict[int, Path]:
    """The checkpoints in a run's folder of weights by their step, newest first."""
    matches = ((_CHECKPOINT.fullmatch(path.name), path) for path in state.glob("step-*.pt"))
    return dict(sorted(((int(match[1]), path) for match, path in matches if match), reverse=True))


def _names_in(folder: Path) -> list[str]:
    """The names of the files in a folder; none where there is no folder."""
    return [path.name for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
