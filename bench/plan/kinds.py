"""Which runs take about equally long: a key of what they do, and for trainings of how many steps they make."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from bench.spec.run import RunSpec
from bench.store.runs import RunFolder

# The seeds of a run and of its sources; whatever else is called so changes no time
_SEED = re.compile(rb'"seed": ?\d+')


class Kind(NamedTuple):
    """Runs of one kind take about equally long. `what` is their key without the steps; steps: None of no training.

    Trainings of one `what` and different steps take times that are about as their steps.
    """

    what: str
    steps: int | None


def kind(spec: RunSpec) -> Kind:
    """The kind of a run.

    Trainings of one kind share method, network and schedule; reference points share their scores, evaluations their
    measure, scores and network, and where they are of no run their method and batch.
    """
    return _kind(spec.model_dump(mode="json"))


def recorded_kind(folder: RunFolder) -> Kind:
    """The kind of a stored run. UserError for a record that is no spec."""
    try:
        return _kind(folder.plain_spec())
    except (KeyError, TypeError, AttributeError):
        return kind(folder.spec())  # which says what is wrong with it


class RecordedKinds:
    """The kinds of many stored runs: records that differ in their seeds alone are worked out once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Kind] = {}

    def of(self, folder: RunFolder) -> Kind:
        """`recorded_kind` of a run."""
        try:
            key = _SEED.sub(b"", folder.spec_bytes())
        except OSError:
            return recorded_kind(folder)  # which says what is wrong with it
        if key not in self._known:
            self._known[key] = recorded_kind(folder)
        return self._known[key]


def _kind(plain: dict[str, Any]) -> Kind:
    """The kind of a run's plain data, as a record has it: settings that came later are None, or not there."""
    resolution, steps = plain["data"]["resolution"], None
    if plain.get("measure") is not None:
        network = plain.get("sources", {}).get("run", plain).get("network")
        own = [[part["name"] for part in plain["method"]], plain.get("train")]  # of a measure that looks at no run
        parts = [plain["measure"], plain.get("protocol"), network, resolution, own]
    else:
        parts = [[part["name"] for part in plain["method"]], resolution]
        if (train := plain.get("train")) is not None:
            steps = train["steps"]
            parts += [plain["network"], {key: value for key, value in train.items() if key != "steps"}]
        else:
            parts.append(plain.get("protocol"))
    return Kind(json.dumps(_given(parts), sort_keys=True), steps)


def _given(value: Any) -> Any:
    """Plain data without what is None."""
    if isinstance(value, dict):
        return {key: _given(inner) for key, inner in value.items() if inner is not None}
    return [_given(inner) for inner in value] if isinstance(value, list) else value
