"""A run as TensorBoard's event files: scalars, sample grids, hyperparameters, provenance.

<folder>/<uid>/events.out.tfevents.<number>   one by each command that had something to add

TensorBoard's package gives the records' form (`tensorboard` is an optional extra); nothing runs beside.
What the files of a run hold already is read back from them, so that a step is written once, whoever was interrupted.
Where the run has gone back behind what was exported, and has gone on otherwise, TensorBoard's own mark of a restart
(SessionLog.START at a step) takes the old steps back.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from pathlib import Path
from typing import Any, BinaryIO

from bench.errors import UserError
from bench.files.png_head import png_size
from bench.report.trackers.history import History, Moment, flat

PREFIX, DIGITS = "events.out.tfevents.", 10
SAMPLES, SETTINGS, PROVENANCE = "samples", "run/settings", "run/provenance"
EXTRA = "pip install 'lowdata-gan-bench[tensorboard]'"
RGB = 3  # channels of a picture, as TensorBoard counts them
Content = dict[str, bytes]  # tag -> what tells two values apart


def require_tensorboard() -> None:
    """Raise UserError where the package is not installed."""
    try:
        import tensorboard.compat.proto.event_pb2  # noqa: F401
    except ImportError as error:
        raise UserError(f"--to tensorboard needs TensorBoard's package, which is an extra: {EXTRA}") from error


class EventFiles:
    """The event files of one run in a folder, as long as a command adds to them."""

    def __init__(self, folder: Path, uid: str) -> None:
        self.place = folder / uid
        self.there: dict[int, Content] = {}  # step -> what the files have of it
        self.headed = self.ended = False
        self._file: BinaryIO | None = None
        for path in sorted(self.place.glob(f"{PREFIX}*")):
            self._read(path)

    def update(self, run: History) -> int:
        """Add what the files lack of a run; returns how many steps that were. Raises OSError."""
        # What is there and no longer true is taken back
        wanted = {moment.step: _content(moment) for moment in run.moments}
        false = [step for step, content in self.there.items() if wanted.get(step) != content]
        if false or (self.ended and run.summary is None):
            self._restart(min(false, default=0), run.begun)
        # What is lacking is added
        if not self.headed:
            self._add(_head(run), 0, run.begun)
            self.headed = True
        new = [moment for moment in run.moments if moment.step not in self.there]
        for moment in new:
            self._add(_values(moment), moment.step, moment.time)
            self.there[moment.step] = wanted[moment.step]
        if run.summary is not None and not self.ended:
            last = run.moments[-1] if run.moments else None
            self._add(_foot(run), last.step if last else 0, last.time if last else run.begun)
            self.ended = True
        if self._file is not None:
            self._file.flush()
        return len(new)

    def close(self) -> None:
        """Close the file that was added to."""
        if self._file is not None:
            self._file.close()

    def _read(self, path: Path) -> None:
        from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
        from tensorboard.compat.proto.event_pb2 import SessionLog

        for event in LegacyEventFileLoader(str(path)).Load():
            if event.HasField("session_log") and event.session_log.status == SessionLog.START:
                self._forget(event.step)
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    self.there.setdefault(event.step, {})[value.tag] = _single(value.simple_value)
                elif value.HasField("image"):
                    self.there.setdefault(event.step, {})[value.tag] = _digest(value.image.encoded_image_string)
                self.headed |= value.tag == SETTINGS
                self.ended |= value.tag == PROVENANCE

    def _forget(self, step: int) -> None:
        self.there = {one: content for one, content in self.there.items() if one < step}
        self.ended = False
        self.headed &= step > 0

    def _restart(self, step: int, time: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self._write(Event(step=step, wall_time=time, session_log=SessionLog(status=SessionLog.START)))
        self._forget(step)

    def _add(self, values: list[Any], step: int, time: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        if values:
            self._write(Event(step=step, wall_time=time, summary=Summary(value=values)))

    def _write(self, event: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        if self._file is None:
            # A file by each command: TensorBoard reads them in order, and comes back to the last alone
            self.place.mkdir(parents=True, exist_ok=True)
            numbers = [int(path.name.removeprefix(PREFIX)) for path in self.place.glob(f"{PREFIX}{'[0-9]' * DIGITS}")]
            self._file = (self.place / f"{PREFIX}{max(numbers, default=0) + 1:0{DIGITS}d}").open("xb")
            first = Event(wall_time=event.wall_time, file_version="brain.Event:2")
            RecordWriter(self._file).write(first.SerializeToString())
        RecordWriter(self._file).write(event.SerializeToString())


def _content(moment: Moment) -> Content:
    content = {name: _single(value) for name, value in moment.values.items()}
    return content | ({SAMPLES: _digest(moment.picture.read_bytes())} if moment.picture is not None else {})


def _values(moment: Moment) -> list[Any]:
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = [Summary.Value(tag=name, simple_value=value) for name, value in moment.values.items()]
    if moment.picture is not None:
        data = moment.picture.read_bytes()
        width, height = png_size(data)
        image = Summary.Image(width=width, height=height, colorspace=RGB, encoded_image_string=data)
        values.append(Summary.Value(tag=SAMPLES, image=image))
    return values


def _head(run: History) -> list[Any]:
    """What a run is: its settings as hyperparameters and as text."""
    from tensorboard.plugins.hparams import summary_v2

    settings = {"run": run.label, **{name: _setting(value) for name, value in flat(run.config).items()}}
    chosen = summary_v2.hparams_pb(settings, trial_id=run.uid, start_time_secs=run.begun)
    return [*chosen.value, *_text(SETTINGS, _about(run))]


def _about(run: History) -> dict[str, Any]:
    return {"name": run.label, "id": run.uid, "config": run.config, "start": run.starts[:1]}


def _foot(run: History) -> list[Any]:
    """What came of it, and what each of its starts was made with."""
    return _text(PROVENANCE, {"summary": run.summary, "starts": run.starts})


def _text(tag: str, value: Any) -> list[Any]:
    from tensorboard.plugins.text import summary_v2

    indented = json.dumps(value, indent=1).replace("\n", "\n    ")
    return list(summary_v2.text_pb(tag, f"    {indented}").value)  # four spaces: Markdown's way to leave text as it is


def _setting(value: Any) -> Any:
    """A hyperparameter as TensorBoard takes them: a number, a truth value or text."""
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)


def _single(value: float) -> bytes:
    """A number as event files keep it, in single precision; too large a one is infinite there."""
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return struct.pack("<f", math.copysign(math.inf, value))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
