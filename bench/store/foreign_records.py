"""The records of a run from elsewhere, checked before anything is made of them: whole, of one run, of the right types.

Whoever reads a store trusts what a worker wrote there. What somebody else has written must keep the same promises, and
must not say what a record cannot say of itself: the row that it stands in, or a path outside its folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from bench.errors import UserError
from bench.files.png_head import png_size
from bench.spec.run import RunSpec
from bench.store.layout import INPUTS, METRICS_LOG, PROVENANCE, RESULT, SPEC, TRAIN_LOG, sort_of

MIB = 2**20
MOST_JSON, MOST_LINES, MOST_PICTURE = 64 * MIB, 512 * MIB, 64 * MIB  # bytes of a file, far above any real one
MOST_COUNT = 2**40  # of steps, images or versions: numbers beyond fit no column of results
MOST_SEED = 2**31
MOST_PIXELS = 2**27  # of a picture; Pillow refuses somewhat more
REQUIRED = (SPEC, RESULT)

# Text that is printed: no control characters, by which a terminal could be told to show something else
Plain = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", max_length=1000)]
# The names of inputs, as bench.plan.inputs writes them: without blanks, and nowhere upwards
INPUT_KINDS = ("weights", "run", "best", "kept", "extractor", "score", "measure", "trace")
INPUT_FILES = ("train", "test", "train_labels", "test_labels", "train_attributes", "test_attributes")
_NAME = r"[^\s/=.][^\s/=]*"
_INPUT = rf"data/{_NAME}-\d{{1,6}}/({'|'.join(INPUT_FILES)})\.npy|({'|'.join(INPUT_KINDS)})/{_NAME}"
InputName = Annotated[str, StringConstraints(pattern=rf"^({_INPUT})$", max_length=300)]
Digest = Annotated[str, StringConstraints(pattern=r"^[^\s=\x00-\x1f\x7f-\x9f]+$", max_length=300)]
Count = Annotated[int, Field(ge=0, le=MOST_COUNT)]


class _Loose(BaseModel):
    """Further keys are left alone: other versions write more."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)


class _Result(_Loose):
    schema_: Literal[1] = Field(alias="schema")
    uid: Plain
    steps: Count
    diverged_at: Count | None
    weights_sha256: Plain | None
    best_sha256: Plain | None = None
    kept_sha256: dict[str, Plain] = {}
    evaluated_step: Count | None = None
    seconds: float = 0.0


class _Source(_Loose):
    version: Count | None
    digests: list[Digest] = Field(min_length=1)


class _Start(_Loose):
    commit: Plain
    packages: dict[Plain, Plain]


class _Inputs(_Loose):
    schema_: Literal[1] = Field(alias="schema")
    read: dict[InputName, Digest]
    sources: dict[Plain, _Source]
    starts: list[_Start]
    whole: bool


class _Provenance(_Loose):
    time: Plain | None = None
    bench: Plain | None = None
    commit: Plain | None = None
    dirty: bool | None = None
    packages: dict[Plain, Plain] = {}
    python: Plain | None = None
    platform: Plain | None = None
    host: Plain | None = None
    cpu: Plain | None = None
    threads: Count | None = None
    gpus: list[Plain] | None = None
    cuda: Plain | None = None
    job: Plain | None = None


class _Score(_Loose):
    """A line of scores; what a report adds to it (row, column, seed, kind) it may not say itself."""

    step: Count
    metric: Plain
    extractor: Plain = ""
    value: float | None
    error: float | None = None
    n_generated: Count | None = None
    n_reference: Count | None = None
    version: Count = 1
    extractor_sha256: Plain | None = ""
    reference_sha256: Plain | None = ""
    reference_split: Plain = "test"
    measure: Plain = ""
    run_score: float | Literal[""] | None = ""
    machine: Plain = ""
    remark: Plain = ""
    row: None = None
    column: None = None
    seed: None = None
    kind: None = None


_WHOLE: dict[str, TypeAdapter[Any]] = {
    RESULT: TypeAdapter(_Result),
    INPUTS: TypeAdapter(_Inputs),
    PROVENANCE: TypeAdapter(list[_Provenance]),
}
_LINES: dict[str, TypeAdapter[Any]] = {
    METRICS_LOG: TypeAdapter(_Score),
    TRAIN_LOG: TypeAdapter(dict[Plain, float | None]),
}


def most_bytes(name: str) -> int:
    """How large a record or a picture of a run may be, by its path in the run's folder."""
    if sort_of(name) == "picture":
        return MOST_PICTURE
    return MOST_LINES if name in _LINES else MOST_JSON


def check_records(uid: str, names: Collection[str], read: Callable[[str], bytes]) -> RunSpec:
    """The spec of a finished run whose records and pictures are what they should be.

    names: of its files, by their paths in its folder; read: gives a file's bytes. Raises UserError naming the first
    file that is missing or wrong, without the run's name, which the caller knows.
    """
    for name in REQUIRED:
        if name not in names:
            raise UserError(f"has no {name}")
    spec = _spec(uid, read(SPEC))
    for name in names:
        if sort_of(name) == "picture":
            check_picture(name, read(name))
        elif name in _LINES:
            _check_lines(name, read(name))
        elif name in _WHOLE:
            value = _checked(_WHOLE[name], parsed(name, read(name)), name)
            if name == RESULT and value.uid != uid:
                raise UserError(f"{name} is of another run")
    return spec


def parsed(name: str, data: bytes) -> Any:
    """The value of a JSON document. Raises UserError for what is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # no UTF-8 or JSON, numbers or nesting without end
        raise UserError(f"{name} is not readable JSON") from error


def check_picture(name: str, data: bytes) -> None:
    """Raise UserError for what does not begin as a PNG does, or has more pixels than any sheet of samples."""
    try:
        width, height = png_size(data)
    except ValueError as error:
        raise UserError(f"{name} is not a PNG") from error
    if not 0 < width * height <= MOST_PIXELS:
        raise UserError(f"{name} has {width} x {height} pixels; at most {MOST_PIXELS} are taken")


def _spec(uid: str, data: bytes) -> RunSpec:
    value = parsed(SPEC, data)
    try:
        spec = RunSpec.model_validate(value)
    except (ValidationError, RecursionError) as error:
        raise UserError(f"{SPEC} is not a run's spec: {_first(error)}") from error
    if spec.uid != uid:
        raise UserError(f"{SPEC} is that of another run, {spec.uid}")
    if spec.seed > MOST_SEED:
        raise UserError(f"{SPEC} has a seed above {MOST_SEED}")
    return spec


def _check_lines(name: str, data: bytes) -> None:
    lines = data.split(b"\n")
    if lines.pop() != b"":
        raise UserError(f"{name} ends in the middle of a line")
    for number, line in enumerate(lines, start=1):
        value = parsed(f"{name}:{number}", line)
        _checked(_LINES[name], value, f"{name}:{number}")
        if type(value.get("step")) is not int:
            raise UserError(f"{name}:{number} has no step")


def _checked(adapter: TypeAdapter[Any], value: Any, where: str) -> Any:
    try:
        return adapter.validate_python(value)
    except (ValidationError, RecursionError) as error:
        raise UserError(f"{where} is not what a run records: {_first(error)}") from error


def _first(error: ValidationError | RecursionError) -> str:
    """The first mistake in words, without the value, which may be anything."""
    if isinstance(error, RecursionError):
        return "nested without end"
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place!r:.80}: {first['msg']:.200}" if place else f"{first['msg']:.200}"
