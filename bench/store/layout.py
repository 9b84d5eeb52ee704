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
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SET_ASIDE = "set-aside"
SPEC, RESULT, HEARTBEAT = "spec.json", "result.json", "heartbeat.json"
BEST = "best.pt"
_CHECKPOINT = re.compile(r"step-(\d{8})\.pt")


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
        return self.path / "provenance.json"

    @property
    def inputs_file(self) -> Path:
        """The digests of all that the run has read."""
        return self.path / "inputs.json"

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
        return self.path / "train.jsonl"

    @property
    def metrics_log(self) -> Path:
        """Scores, a line a snapshot and score."""
        return self.path / "metrics.jsonl"

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


def checkpoint(state: Path, step: int) -> Path:
    """The checkpoint of a step in a run's folder of weights."""
    return state / f"step-{step:08d}.pt"


def checkpoints(state: Path) -> dict[int, Path]:
    """The checkpoints in a run's folder of weights by their step, newest first."""
    matches = ((_CHECKPOINT.fullmatch(path.name), path) for path in state.glob("step-*.pt"))
    return dict(sorted(((int(match[1]), path) for match, path in matches if match), reverse=True))
