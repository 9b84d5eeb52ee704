"""What one step's work depends on: trainings that agree in it are one computation, and are rehearsed once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.contract.discovery import methods
from bench.contract.signature import signature
from bench.files.yamlfile import load_yaml, validate
from bench.spec.run import Frozen, NetworkSpec, Part, TrainSettings

IDLE = Path(__file__).with_name("idle.yaml")
# Settings of a training that are not about a single step of G and D ...
APART = {"steps", "ema_decay", "ema_ramp", "flip", "log_every", "batch_statistics"}
# ... and those that change its numbers, or how it is cut up, and not its work.
NUMBERS = {"g_lr", "d_lr", "beta1", "beta2", "adam_eps", "loss", "hinge_margin", "micro_batch"}


class _Idle(Frozen):
    nothing: tuple[str, ...]
    settings: dict[str, tuple[str, ...]]
    alike: dict[str, dict[str, dict[str, dict[str, Any]]]]


@cache
def _idle() -> _Idle:
    return validate(_Idle, load_yaml(IDLE), IDLE)


def step_key(network: NetworkSpec, parts: Iterable[Part], train: TrainSettings) -> str:
    """What the work of a step is: network, method and training, without what is idle in a step."""
    return _text(network, [_without_idle(part) for part in parts], train, APART | NUMBERS)


def run_digest(network: NetworkSpec, parts: Iterable[Part], train: TrainSettings, rest: dict[str, Any]) -> str:
    """A hash of what a rehearsal runs.

    The training's numbers are in it too, as they decide whether its losses are finite; not how long it lasts, how G is
    averaged or how images are flipped. rest: how the step is rehearsed.
    """
    text = _text(network, [_without_samplers(part) for part in parts], train, APART, **rest)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _text(network: NetworkSpec, parts: Sequence[Part], train: TrainSettings, apart: set[str], **rest: Any) -> str:
    value = {
        "network": network.model_dump(mode="json"),
        "method": [
            part.model_dump(mode="json", exclude_none=True) for part in parts if part.name not in _idle().nothing
        ],
        "train": train.model_dump(mode="json", exclude=apart, exclude_none=True),
        **rest,
    }
    return json.dumps(value, sort_keys=True)


def _without_idle(part: Part) -> Part:
    """A part without its idle settings, and with one of the values that do the same work."""
    idle = _idle().settings.get(part.name, ())
    settings = {name: value for name, value in _without_samplers(part).settings.items() if name not in idle}
    for name, values in _idle().alike.get(part.name, {}).items():
        settings |= values.get(str(settings[name]), {})
    return part.model_copy(update={"settings": settings})


def _without_samplers(part: Part) -> Part:
    """A part without the settings that it uses at inference alone."""
    unused = signature(methods().entry(part.name).target).of_sampler
    settings = {name: value for name, value in part.settings.items() if name not in unused}
    return part.model_copy(update={"settings": settings})
