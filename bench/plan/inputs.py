"""What a run is made from, as digests: recorded at its start and compared with what is on this machine.

<run>/inputs.json: {"schema": 1,
                    "read":    name -> digest of what decides the result; a different one makes the run stale
                    "sources": part/NAME, network/NAME or measure/NAME -> {"version", "digests"} of its code, a
                               digest for each that a start had; shown, makes nothing stale
                    "starts":  the distinct commits and package versions of its starts; shown, makes nothing stale
                    "whole":   false where the run began before inputs were recorded}

Names are:
    data/SET-RESOLUTION/FILE
    weights/NAME     a file of the user's that the run starts from
    run/UID          a source run; the digest is that of its final weights
    best/UID         the weights of its best snapshot, where an evaluation is of these
    kept/UID@STEP    the weights of a step that it keeps, likewise
    extractor/NAME   its weights; with its code where it is from outside this project
    score/NAME, measure/NAME, trace/NAME  the code of a score, a measure or a trace from outside this project; for our
                     own, each score line has the version
The code of a part from outside this project is in the run's identity instead (bench.spec.run.Part.source): once edited,
it makes another run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench import paths
from bench.contract.discovery import methods
from bench.data.input_digests import digests
from bench.errors import UserError
from bench.evaluate import registry as evaluations
from bench.evaluate import traces
from bench.features import parse_spec
from bench.features.lookup import digest as extractor_digest
from bench.features.lookup import extractors, is_from_outside
from bench.files.digests import file_sha256
from bench.files.source_code import module_digest
from bench.metrics.measures import source_digest
from bench.networks import NETWORKS
from bench.spec.run import RunSpec, WeightsFile
from bench.store.runs import RunFolder, Status, Store

SCHEMA = 1
VERSIONED = "still version"  # of an edited part or measure, whose version would be raised if its results changed
FRESH: tuple[Status, ...] = ("planned", "running")  # never stale: nothing is made yet, or a worker is at it
FILES = {
    "train": "train images",
    "test": "test images",
    "train_labels": "train labels",
    "test_labels": "test labels",
    "train_attributes": "train attributes",
    "test_attributes": "test attributes",
}
LABELS = {
    "weights": "weights",
    "extractor": "weights of the extractor",
    "score": "code of the score",
    "measure": "code of the measure",
    "trace": "code of the trace",
    "run": "its source run",
    "best": "the best snapshot of its source run",
    "kept": "a kept step of its source run",
}


class Machine:
    """What is on this machine now; each digest is looked up once, so that a plan of many runs costs little.

    known: digests of inputs, by name, that need not be looked up; None for an input that is absent.
    """

    def __init__(self, store: Store, known: Mapping[str, str | None] | None = None) -> None:
        self.store = store
        self._now: dict[str, str | None] = dict(known or {})
        self._code: dict[str, str | None] = {}

    def status(self, folder: RunFolder) -> Status:
        """The status by the run's records, or "stale" where it was made from other inputs than are here."""
        status = folder.status()
        return "stale" if status not in FRESH and self.changes(folder) else status

    def changes(self, folder: RunFolder) -> list[str]:
        """The inputs of the run that differ from its record, in words; an input that is not here does not count."""
        record = folder.inputs()
        if record is None or not folder.has_progress():
            return []
        changed = _differing(record["read"], self)
        sources = [name.removeprefix("run/") for name in record["read"] if name.startswith("run/")]
        stale = [f"its source {uid} is stale" for uid in sources if self._is_stale(uid)]
        return [*described(changed), *stale]

    def edited(self, folder: RunFolder) -> list[str]:
        """Parts and networks of this project whose code has changed since the run under the same version."""
        labels = []
        for name, source in (folder.inputs() or {}).get("sources", {}).items():
            if {*source["digests"], self.code(name)} - {None} != {source["digests"][0]}:
                kind, _, label = name.partition("/")
                labels.append(f"{kind} {label}" + (f", {VERSIONED} {source['version']}" if source["version"] else ""))
        return labels

    def stale_sources(self, spec: RunSpec) -> list[str]:
        """The stale sources of a run, which it cannot start from, each with the reason."""
        reasons = []
        for uid in (source.uid for source in spec.run_sources.values()):
            if why := self.changes(self.store.folder(uid)):
                reasons.append(f"its source {uid} is stale: {'; '.join(why)}")
        return reasons

    def reads(self, spec: RunSpec) -> dict[str, str]:
        """The digests of the inputs that a run's spec names.

        Weights that its method reads besides are added when it reads them (`note`). Builds the run's data set where
        that is possible. Raises UserError where an input is missing.
        """
        from bench.data import imageset  # here, for it imports numpy, which a plan does not need

        imageset.load(spec.data.name, spec.data.resolution)
        data = f"{spec.data.name}-{spec.data.resolution}"
        # The data set's files, then the sources, then what the scores need.
        names = [f"data/{data}/{file}.npy" for file in FILES]  # an absent file too: it may be added later
        for source in spec.sources.values():
            names.append(f"weights/{source.weights}" if isinstance(source, WeightsFile) else f"run/{source.uid}")
        if spec.protocol is not None:
            names += [f"extractor/{parse_spec(metric.extractor)[0]}" for metric in spec.protocol.metrics]
            # A score or measure of our own has no digest, and is dropped below.
            names += [f"score/{metric.name}" for metric in spec.protocol.metrics]
            names += [f"trace/{name}" for name in spec.protocol.traces or ()]
        names += _of_evaluation(spec)
        return {name: digest for name in dict.fromkeys(names) if (digest := self.now(name)) is not None}

    def sources(self, spec: RunSpec, before: dict[str, Any]) -> dict[str, Any]:
        """The versions and code digests of the run's parts and network, where they are this project's own.

        before: the same record from earlier starts; its digests are kept.
        """
        versions: dict[str, int | None] = {}
        if spec.measure is not None and evaluations.source_digest(spec.measure.name) is None:
            versions[f"measure/{spec.measure.name}"] = spec.measure.version
        made_by = spec.evaluated or spec  # an evaluation draws with the code of the method that it evaluates
        if made_by.kind != "reference":
            versions |= {f"part/{part.name}": part.version for part in made_by.method if part.source is None}
        if made_by.network is not None:
            versions[f"network/{made_by.network.name}"] = None
        records = {}
        for name, version in versions.items():
            digests = list(before.get(name, {}).get("digests", []))
            if (code := self.code(name)) is not None:
                records[name] = {"version": version, "digests": list(dict.fromkeys([*digests, code]))}
        return records

    def now(self, name: str) -> str | None:
        """The digest of an input on this machine; None where it is absent."""
        if name not in self._now:
            self._now[name] = self._find(name)
        return self._now[name]

    def code(self, name: str) -> str | None:
        """The code digest of part/NAME, network/NAME or measure/NAME on this machine; None where there is none."""
        if name not in self._code:
            kind, _, label = name.partition("/")
            try:
                registries = {"part": methods, "measure": evaluations.run_measures}
                registry = registries[kind]() if kind in registries else NETWORKS
                self._code[name] = module_digest(registry.entry(label).target.partition(":")[0])
            except UserError:
                self._code[name] = None
        return self._code[name]

    def _find(self, name: str) -> str | None:
        kind, _, rest = name.partition("/")
        try:
            if kind == "data":
                folder, _, file = rest.rpartition("/")
                label, _, resolution = folder.rpartition("-")
                built = digests(label, int(resolution))
                return None if built is None else built.get(file, "absent")
            if kind == "weights":
                return file_sha256(paths.weights_root() / f"{rest}.pt")
            if kind == "extractor":
                return extractor_digest(rest)
            if kind == "score":
                return source_digest(rest)
            if kind == "measure":
                return evaluations.source_digest(rest)
            if kind == "trace":
                return traces.source_digest(rest)
        except (UserError, OSError, KeyError):
            return None
        uid, _, step = rest.partition("@")
        return self._weights_of(self.store.folder(uid), "best_sha256" if kind == "best" else "weights_sha256", step)

    def _weights_of(self, source: RunFolder, key: str, step: str) -> str | None:
        """A digest of a source run's weights; "in training" while it is trained anew, None where it is absent.

        step: of a kept step; "" for the snapshot of a key of its record.
        """
        result = source.result()
        if result is not None:  # runs of before it was recorded have none of the best snapshot
            return result.get("kept_sha256", {}).get(step) if step else result.get(key)
        return "in training" if source.spec_file.exists() else None

    def _is_stale(self, uid: str) -> bool:
        folder = self.store.folder(uid)
        return folder.result() is not None and bool(self.changes(folder))


def _of_evaluation(spec: RunSpec) -> list[str]:
    """The names of what an evaluation reads beside its sources and what its protocol names."""
    if spec.measure is None:
        return []
    names = [f"measure/{spec.measure.name}"]
    snapshot = spec.measure.settings.get("snapshot")
    if spec.evaluated is not None and snapshot == "best":
        names.append(f"best/{spec.evaluated.uid}")
    elif spec.evaluated is not None and isinstance(snapshot, int) and snapshot > 0:
        names.append(f"kept/{spec.evaluated.uid}@{snapshot}")
    if (extractor := spec.measure.settings.get("extractor")) is not None:
        names.append(f"extractor/{parse_spec(extractor)[0]}")
    return names


def begin(folder: RunFolder, machine: Machine, spec: RunSpec, start: dict[str, Any]) -> None:
    """Record what a run is made from, at one of its starts.

    start: the commit and package versions of this start. A resumed run keeps what it had recorded and adds to it.
    Raises UserError where an input is missing.
    """
    goes_on = folder.has_progress()
    before = (folder.inputs() if goes_on else None) or {
        "read": {},
        "sources": {},
        "starts": [],
        "whole": not goes_on,
    }
    folder.write_inputs(
        {
            "schema": SCHEMA,
            "read": {**machine.reads(spec), **before["read"]},
            "sources": machine.sources(spec, before["sources"]),
            "starts": [*before["starts"], *([start] if start not in before["starts"] else [])],
            "whole": before["whole"],
        }
    )


def confirm(folder: RunFolder, machine: Machine) -> None:
    """Raise UserError if an input has changed since it was recorded at this start."""
    if changed := _differing((folder.inputs() or {"read": {}})["read"], machine):
        raise UserError(f"{'; '.join(described(changed))}: replaced while the run was starting; run it again")


def note(folder: RunFolder, name: str, digest: str) -> None:
    """Record one more input that the running run has read. Raises UserError if its digest has changed since."""
    record = folder.inputs()
    assert record is not None, "inputs are recorded before anything is read"
    recorded = record["read"].get(name)
    if recorded is None:
        folder.write_inputs({**record, "read": {**record["read"], name: digest}})
    elif recorded != digest:
        raise UserError(f"{described([name])[0]} changed while the run was at work; --retry stale trains it anew")


def changed_since(read: dict[str, str], store: Store) -> list[str]:
    """The names of the inputs whose digests differ on this machine now."""
    return _differing(read, Machine(store))


def _differing(read: dict[str, str], machine: Machine) -> list[str]:
    return [name for name, digest in read.items() if machine.now(name) not in (digest, None)]


def made_stale(store: Store, prefix: str) -> list[str]:
    """The uids of a store's runs that are stale now and have read an input whose name starts with `prefix`."""
    machine = Machine(store)
    readers = [run for run in store if any(name.startswith(prefix) for name in (run.inputs() or {"read": {}})["read"])]
    return [run.uid for run in readers if machine.changes(run)]


def _label(kind: str, name: str) -> str:
    """What an input of a kind is called; an extractor from outside may have changed in its code too."""
    outside = kind == "extractor" and (name not in extractors() or is_from_outside(name))
    return "weights or code of the extractor" if outside else LABELS[kind]


def described(names: list[str]) -> list[str]:
    """Names of inputs in words: "data set faces at 128 px (train images, test images)", "weights anime"."""
    files: dict[str, list[str]] = {}
    others = []
    for name in names:
        kind, _, rest = name.partition("/")
        if kind == "data":
            folder, _, file = rest.rpartition("/")
            files.setdefault(folder, []).append(FILES[file.removesuffix(".npy")])
        else:
            others.append(f"{_label(kind, rest)} {rest}")
    sets = []
    for folder, which in files.items():
        label, _, resolution = folder.rpartition("-")
        ordered = sorted(which, key=[*FILES.values()].index)
        sets.append(f"data set {label} at {resolution} px ({', '.join(ordered)})")
    return [*sets, *others]
