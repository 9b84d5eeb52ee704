"""One attempt at a run: skipped if done, cancelled or stale; else brought to its record, or failed with a cause."""

from __future__ import annotations

import errno
import re
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from bench.errors import UserError
from bench.files import readings
from bench.machine import gpu_use
from bench.machine.heap import give_back_freed_memory
from bench.machine.host import machine_name
from bench.machine.memory import reset_peak
from bench.machine.provenance import commit, provenance
from bench.machine.ranks import ALONE, RankLost, Ranks
from bench.plan import inputs
from bench.plan.inputs import Machine
from bench.run.evaluation import evaluate
from bench.run.following import follow, lead
from bench.run.reference import score_reference
from bench.run.settings import AttemptOutcome, Outcome, Settings, checkpoint_seconds
from bench.run.training import Training
from bench.store.lease import RunBusyError, RunGoneError
from bench.store.runs import Cause, RunFolder, Store

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What a shared file system or a broken node raises, and what torch says of a GPU that has gone
MACHINE = (*DISK, errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENOTCONN, errno.EREMOTEIO, errno.ETIMEDOUT)
BROKEN_GPU = re.compile(
    r"CUDA error|CUDA driver|NVIDIA driver|No CUDA GPUs|cuda.*not available|CUDNN_STATUS_INTERNAL",
    re.IGNORECASE,
)


def run_once(
    uid: str,
    root: Path,
    device: str = "cpu",
    should_stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
    ranks: Ranks = ALONE,
) -> AttemptOutcome:
    """Execute the run `uid` of the store at `root`; ranks: with whom, if several processes train it.

    Returns "busy" at once if another worker has the run, and "failed" if its folder has been moved away, which only the
    worker's log tells. $BENCH_CHECKPOINT_SECONDS sets how often the run saves (60).
    """
    settings = Settings(torch.device(device), checkpoint_seconds(), ranks)
    if not ranks.leads:
        return follow(uid, root, settings, should_stop)
    try:
        return execute(uid, Store(root), settings, should_stop, on_step)
    except RunBusyError:
        return "busy"
    except RunGoneError as error:
        print(f"bench: {error}", file=sys.stderr, flush=True)
        return "failed"


def execute(
    uid: str,
    store: Store,
    settings: Settings,
    should_stop: Callable[[], bool],
    on_step: Callable[[int, int], None],
) -> Outcome:
    """Bring one run to its end, or to its next step boundary once `should_stop()` is true.

    Raises RunBusyError while another worker has the run, RunGoneError once its folder has gone. A failure is
    written to error.txt and returned as "failed"; it is never recorded as a result. A run is "stale", and left as it
    is, if it or its source was begun with other inputs than are here now.
    """
    folder = store.folder(uid)
    with folder.lease():
        try:
            # A run that is over, cancelled or stale is left as it is.
            if (result := folder.result()) is not None:
                return "diverged" if result["diverged_at"] is not None else "done"
            if folder.stop_requested():
                return "cancelled"
            spec, machine = folder.spec(), Machine(store)
            if why := [*machine.changes(folder), *machine.stale_sources(spec)]:
                print(f"bench: {uid} is stale, it is not continued: {'; '.join(why)}", flush=True)
                return "stale"

            # Record what it starts with, then train, score or evaluate.
            give_back_freed_memory()
            reset_peak()
            gpu_use.forget()
            device = machine_name(str(settings.device))
            folder.begin(entry := {**provenance(), "device": device, "ranks": settings.ranks.size})
            inputs.begin(folder, machine, spec, {"commit": commit(), "packages": entry["packages"]})
            with readings.listening(partial(inputs.note, folder)):
                if spec.kind == "reference":
                    return score_reference(spec, folder, settings)
                if spec.kind == "evaluate":
                    return evaluate(spec, folder, store, settings, should_stop)
                training = Training(spec, folder, store, settings)
                # No input may have been replaced while it was being read.
                inputs.confirm(folder, Machine(store))
                lead(training)
                return training.run(should_stop, on_step)
        except RunGoneError:
            raise
        except RankLost as error:
            if not (reasons := settings.ranks.reasons()):
                print(f"bench: {uid}: another rank has gone: {error}", file=sys.stderr, flush=True)
                return "stopped"
            _record_failure(folder, "; ".join(reasons), "method")
        except UserError as error:
            _record_failure(folder, str(error), "method")
        except OSError as error:
            cause: Cause = "machine" if error.errno in MACHINE else "method"
            _record_failure(folder, _full_disk(folder, error) or traceback.format_exc(), cause)
        except Exception as error:
            _record_failure(folder, traceback.format_exc(), _cause(error))
        return "failed"


def _cause(error: Exception) -> Cause:
    """A GPU that broke is the machine's failure; one that is too small for the run is the run's."""
    if isinstance(error, RuntimeError) and not isinstance(error, torch.OutOfMemoryError):
        return "machine" if BROKEN_GPU.search(str(error)) else "method"
    return "method"


def _full_disk(folder: RunFolder, error: OSError) -> str | None:
    """What to do about a full disk, a quota or a file size limit; None for any other error."""
    if error.errno not in DISK:
        return None
    return (
        f"{folder.path}: {error.strerror}; its last checkpoint is whole: make room, then run it again with "
        "--retry failed"
    )


def _record_failure(folder: RunFolder, reason: str, cause: Cause) -> None:
    try:
        folder.fail(reason, cause)
    except OSError as error:  # not even these few bytes: the worker's log is what remains
        print(f"bench: {folder.path}: {error.strerror}: cannot record: {reason}", file=sys.stderr)
