"""How far a list of runs has come and how long the rest will take, as plain lines for logs."""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from bench.plan.estimate import ENOUGH
from bench.plan.kinds import Kind, kind
from bench.plan.schedule import PlannedRun

PLAIN_SECONDS = 10.0  # between two lines of a log
Seconds = Callable[[PlannedRun], float | None]


@dataclass
class Track:
    """The progress of one run in a queue. A reference point counts as a single step."""

    run: PlannedRun
    kind: Kind
    steps: int
    estimate: float | None  # seconds of the whole run, from elsewhere
    step: int = 0  # reached so far, by earlier starts too
    since: float | None = None  # when a worker took it; None while none has it
    seen: float | None = None  # time of the last report of a step
    outcome: str | None = None


class Tally:
    """How much of a list of runs is done, and how long the rest will take.

    seconds: the estimated seconds of a worker for a run, None if unknown (bench.plan.estimate). workers: runs at once.
    begun: uid -> step at which an earlier start left the run. A run's pace is measured between two reports of the same
    start, so that neither the steps of earlier starts nor the time before the first step count. A training of which
    nothing is known is taken to be as slow a step as the others of the list are.
    """

    def __init__(
        self,
        runs: list[PlannedRun],
        seconds: Seconds = lambda run: None,
        workers: int = 1,
        begun: dict[str, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds, self.workers, self.clock = seconds, max(1, workers), clock
        self.tracks: dict[str, Track] = {}
        # By what runs do, whatever their number of steps: (seconds of workers, steps in them)
        self.pace: dict[str, tuple[float, int]] = {}
        for run in runs:
            self._track(run).step = (begun or {}).get(run.uid, 0)

    def started(self, run: PlannedRun) -> None:
        """Note that a worker has begun the run."""
        track = self._track(run)
        track.since, track.seen, track.outcome = self.clock(), None, None

    def stepped(self, run: PlannedRun, step: int) -> None:
        """Note that the run has reached a step, and how long it took since the last report."""
        track, now = self._track(run), self.clock()
        if track.seen is not None:
            self._saw(track, now - track.seen, step - track.step)
        track.step, track.seen = step, now

    def over(self, run: PlannedRun, outcome: str) -> None:
        """Note that the run has left the queue; if it is not done, the steps it has not reached stay undone."""
        track, now = self._track(run), self.clock()
        if outcome == "done":
            begun = track.seen if track.run.spec.train else track.since
            if begun is not None:
                self._saw(track, now - begun, track.steps - track.step)
            track.step = track.steps
        track.since, track.seen, track.outcome = None, None, outcome

    @property
    def active(self) -> list[tuple[PlannedRun, int]]:
        """The runs at work and the step each has reached."""
        return [(track.run, track.step) for track in self.tracks.values() if track.since is not None]

    @property
    def share(self) -> float:
        """The share of the work that is done, 0 to 1: in seconds if every run's cost is known, else in steps."""
        tracks, stand_in = list(self.tracks.values()), self._typical()
        costs = [self._cost(track, stand_in) for track in tracks]
        if None in costs:
            tracks = [track for track in tracks if track.run.spec.train] or tracks
            costs = [1.0] * len(tracks)
        total = sum((cost or 0) * track.steps for cost, track in zip(costs, tracks, strict=True))
        done = sum((cost or 0) * self._reached(track) for cost, track in zip(costs, tracks, strict=True))
        return min(1.0, done / total) if total else 1.0

    def seconds_left(self) -> float | None:
        """Seconds until all runs are done: the work by the workers, at least the longest run; None if unknown."""
        left, stand_in = [], self._typical()
        for track in self.tracks.values():
            if track.outcome is None:
                if (cost := self._cost(track, stand_in)) is None:
                    return None
                left.append(cost * (track.steps - self._reached(track)))
        return max(sum(left) / self.workers, *left) if left else 0.0

    def line(self) -> str:
        """One line: the runs done, the outcomes of others, the share of the work, the time left.

        Of time nothing is said once the runs are over, or left by a stop: their work is not done, and nobody does it.
        """
        counts = Counter(track.outcome for track in self.tracks.values() if track.outcome is not None)
        parts = [f"{counts.pop('done', 0)}/{len(self.tracks)} runs done"]
        parts += [f"{number} {outcome}" for outcome, number in sorted(counts.items())]
        parts.append(f"{100 * self.share:.0f} % of the work")
        outcomes = {track.outcome for track in self.tracks.values()}
        return ", ".join([*parts, self._time_words()] if None in outcomes and "stopped" not in outcomes else parts)

    def _time_words(self) -> str:
        """The time left, in words; where more time has passed than was estimated, that."""
        undone = [track for track in self.tracks.values() if track.outcome is None]
        if all(track.since is not None and track.run.spec.train and track.step >= track.steps for track in undone):
            return "all steps made, only scores are left"
        if (left := self.seconds_left()) is None:
            return "estimating the time left"
        return "longer than estimated" if self._late() else f"about {duration(max(left, 1))} left"

    def _late(self) -> bool:
        """Whether all that is left is at work, and has been since its last step for longer than it was to take."""
        stand_in = self._typical()
        for track in self.tracks.values():
            if track.outcome is None:
                cost, begun = self._cost(track, stand_in), track.seen or track.since
                if track.since is None or begun is None or cost is None:
                    return False
                if self.clock() - begun <= cost * (track.steps - track.step):
                    return False
        return True

    def _track(self, run: PlannedRun) -> Track:
        if run.uid not in self.tracks:
            self.tracks[run.uid] = Track(run, kind(run.spec), steps_of(run), self.seconds(run))
        return self.tracks[run.uid]

    def _saw(self, track: Track, seconds: float, steps: int) -> None:
        if steps > 0:
            pace = self.pace.get(track.kind.what, (0.0, 0))
            self.pace[track.kind.what] = pace[0] + seconds, pace[1] + steps

    def _step_seconds(self, track: Track) -> float | None:
        """Seconds of a worker per step: measured here, else estimated; None if unknown."""
        seconds, steps = self.pace.get(track.kind.what, (0.0, 0))
        if steps < ENOUGH * track.steps and track.estimate is not None:
            return track.estimate / track.steps
        return seconds / steps if steps else None

    def _typical(self) -> float | None:
        """Seconds of a step of the trainings of which something is known, on average; None if there is none."""
        trainings = {track.kind: track for track in self.tracks.values() if track.run.spec.train}
        known = [cost for track in trainings.values() if (cost := self._step_seconds(track)) is not None]
        return statistics.fmean(known) if known else None

    def _cost(self, track: Track, stand_in: float | None) -> float | None:
        """Seconds of a worker per step; of a training of which nothing is known `stand_in`."""
        cost = self._step_seconds(track)
        return stand_in if cost is None and track.run.spec.train else cost

    def _reached(self, track: Track) -> float:
        """The steps made; for a reference point at work, the share of its expected time that has passed."""
        if track.run.spec.train or track.since is None or track.step:
            return track.step
        cost = self._step_seconds(track)
        return min(1.0, (self.clock() - track.since) / cost) if cost else 0.0


class Plain:
    """Progress for logs: a line when a run or worker ends badly, and a summary every `seconds`."""

    def __init__(self, tally: Tally, seconds: float = PLAIN_SECONDS) -> None:
        self.tally, self.last, self.seconds = tally, time.monotonic(), seconds

    def started(self, run: PlannedRun) -> None:
        """Note it; nothing is printed."""
        self.tally.started(run)

    def stepped(self, run: PlannedRun, step: int, steps: int) -> None:
        """Note it; nothing is printed."""
        self.tally.stepped(run, step)

    def ended(self, run: PlannedRun, outcome: str) -> None:
        """Note it, and print a line of a run that is not done."""
        self.tally.over(run, outcome)
        if outcome != "done":
            self.said(f"{outcome}: {run.label}")

    def said(self, text: str) -> None:
        """Print a line on stderr."""
        print(text, file=sys.stderr, flush=True)

    def tick(self) -> None:
        """Print the summary where it is time."""
        if time.monotonic() - self.last >= self.seconds:
            self.last = time.monotonic()
            self.said(self.tally.line())


def steps_of(run: PlannedRun) -> int:
    """Training steps; a run without any (a reference point) counts as one."""
    return run.spec.train.steps if run.spec.train else 1


def counted(number: int, noun: str = "run") -> str:
    """1 run, 2 runs."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds as people say them: 3 h 05 min, 4 min 07 s, 12 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
