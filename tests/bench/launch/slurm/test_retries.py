"""What is tried again with more memory or time, what is not, and how often: by every ending that a job can have."""

from __future__ import annotations

import pytest

from bench.cli.run import tell_of_retries
from bench.cli.status_lines import lines
from bench.errors import UserError
from bench.launch.slurm import retries
from bench.launch.slurm.causes import cause
from bench.launch.slurm.commands import Task
from bench.launch.slurm.profile import Profile
from bench.launch.slurm.records import ArrayRecord, RetryRecord, Submission, places, save, submissions
from bench.launch.slurm.retries import grown, lacking, split
from bench.launch.slurm.status import Survey
from bench.launch.slurm.submit import Request
from bench.plan.inputs import Machine
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store

FULL = {"partition": "p", "memory": 2000, "time": 60, "retries": 2, "growth": 1.5}


def profile(**changes):
    """Memory in MB and time in minutes, as a profile has them once it is read."""
    made = Profile.model_validate({"time": 60, "partition": "p"})
    return made.model_copy(update={**FULL, **changes})


class Past:
    """Runs in jobs that have ended, each in its own."""

    def __init__(self, store, specs, *, retry=None, memory_mb=2000, minutes=60):
        self.store, self.specs = store, specs
        self.uids = [spec.uid for spec in specs]
        for spec in specs:
            store.open(spec)
        array = ArrayRecord(name="bench-x-0", jobs=tuple((uid,) for uid in self.uids), number="12",
                            memory_mb=memory_mb, minutes=minutes)  # fmt: skip
        labels = {uid: f"run {number}" for number, uid in enumerate(self.uids)}
        save(store, Submission(id="x", table="t", scale="smoke", profile="p", user="u", host="h", time=1.0, commit="c",
                               arrays=(array,), labels=labels, retry=retry))  # fmt: skip

    def survey(self, *endings):
        """What the cluster says of the jobs: their states, in order."""
        tasks = {("bench-x-0", at): Task(f"12_{at}", "bench-x-0", state) for at, state in enumerate(endings)}
        return Survey(self.store, places(submissions(self.store)), tasks, {}, Machine(self.store))

    def request(self, **changes):
        runs = [PlannedRun(spec, needs=tuple(one.uid for one in spec.run_sources.values()), title=f"run {at}")
                for at, spec in enumerate(self.specs)]  # fmt: skip
        return Request("t", "smoke", runs, profile(**changes), "p.yaml")

    def log(self, index, text):
        """The output of a job."""
        places(submissions(self.store))[self.uids[index]].log(self.store).write_text(text)


@pytest.fixture
def past(store_root, tiny_spec):
    def made(number=1, **more):
        return Past(Store(store_root), [tiny_spec(seed=seed) for seed in range(number)], **more)

    return made


@pytest.fixture(autouse=True)
def any_cluster(monkeypatch):
    """A cluster that has whatever is asked for, unless a test says otherwise."""
    monkeypatch.setattr(retries, "check_against_cluster", lambda profile: None)


@pytest.mark.parametrize(
    ("ending", "expected"),
    [("OUT_OF_MEMORY", "memory"), ("TIMEOUT", "time"), ("DEADLINE", "time"), ("FAILED", None), ("CANCELLED", None),
     ("NODE_FAIL", None), ("PREEMPTED", None), ("COMPLETED", None), ("RUNNING", None), ("PENDING", None)],
)  # fmt: skip
def test_the_cause_is_what_the_job_ran_out_of(past, ending, expected):
    made = past()
    assert cause(made.survey(ending), made.uids[0]) == expected


def test_an_error_of_the_code_is_no_cause_whatever_ended_the_job(past):
    made = past()
    folder = made.store.folder(made.uids[0])
    folder.fail("RuntimeError: broken", "method")
    assert cause(made.survey("OUT_OF_MEMORY"), made.uids[0]) is None
    folder.fail("its worker ended 3 times (last killed by SIGKILL)", "machine")
    assert cause(made.survey("OUT_OF_MEMORY"), made.uids[0]) == "memory"


def test_a_job_without_one_step_in_its_time_ran_out_of_it(past):
    made = past()
    made.log(0, "job 12_0: not one step within its time; give it more (time, slice)\n")
    assert cause(made.survey("COMPLETED"), made.uids[0]) == "time"


@pytest.mark.parametrize("ending", ["FAILED", "CANCELLED"])
def test_a_job_that_slurmd_killed_for_its_memory_ran_out_of_it_whatever_its_state(past, ending):
    """What a real SLURM 22.05 writes (JobAcctGatherParams=OverMemoryKill); what a run prints is no such line."""
    made = past()
    made.log(0, "failed: run 0 torch.OutOfMemoryError: CUDA exceeded memory limit\n")
    assert cause(made.survey(ending), made.uids[0]) is None
    made.log(0, "slurmstepd-n1: error: StepId=12.batch exceeded memory limit (1291653120 > 1073741824), being killed\n"
                "slurmstepd-n1: error: *** JOB 12 ON n1 CANCELLED AT 2026-11-28T03:41:25 ***\n")  # fmt: skip
    survey = made.survey(ending)
    assert cause(survey, made.uids[0]) == "memory"
    assert survey.status_of(made.uids[0], "run 0").detail.startswith("job 12 ended: OUT_OF_MEMORY (by ")


@pytest.mark.parametrize("how", ["done", "cancelled"])
def test_what_is_over_or_was_cancelled_lacks_nothing(past, how):
    made = past()
    folder = made.store.folder(made.uids[0])
    if how == "done":
        folder.finish({"steps": 1, "diverged_at": None, "seconds": 1.0})
    else:
        folder.request_stop()
    assert cause(made.survey("OUT_OF_MEMORY"), made.uids[0]) is None


def test_memory_and_time_grow_by_the_profiles_factor_each_by_its_cause(past):
    made, said = past(3), []
    parts = split(made.request(), made.survey("OUT_OF_MEMORY", "TIMEOUT", "FAILED"), said.append)
    found = [([run.label for run in part.runs], part.profile.memory, part.profile.time, part.retry) for part in parts]
    assert [one[:3] for one in found] == [
        (["run 0"], 3000, 60),
        (["run 1"], 2000, 90),
        (["run 2"], 2000, 60),
    ]
    assert found[2][3] is None and found[0][3] == RetryRecord(
        cause="memory", attempt=1, of=2, before="2000MB", now="3000MB"
    )
    assert said == [
        "1 run out of memory with 2000MB: retry 1 of 2, with 3000MB",
        "1 run out of time with 60m: retry 1 of 2, with 90m",
    ]


def test_a_second_retry_grows_from_what_the_first_had_and_keeps_what_that_raised(past):
    first = RetryRecord(cause="time", attempt=1, of=2, before="60m", now="90m")
    made = past(retry=first, minutes=90)
    larger, record = grown(profile(), "memory", made.survey("OUT_OF_MEMORY"), made.uids[0])
    assert (larger.memory, larger.time, record.attempt) == (3000, 90, 2)


def test_after_as_many_as_the_profile_allows_a_run_is_given_up_with_what_waits_for_it(store_root, tiny_spec):
    last = RetryRecord(cause="memory", attempt=2, of=2, before="3000MB", now="4500MB")
    dependant = tiny_spec("transfergan")
    (source,) = dependant.run_sources.values()
    made, said = Past(Store(store_root), [source, dependant], retry=last, memory_mb=4500), []
    survey = made.survey("OUT_OF_MEMORY", "COMPLETED")
    assert split(made.request(), survey, said.append) == []
    assert said == ["given up: run 0: out of memory again, with 4500MB", "given up: run 1: its source is given up"]
    # Who asks by --retry goes on
    ((first, second), said) = split(made.request(), survey, said.append, asked=True), []
    assert (first.profile.memory, first.retry.attempt) == (6750, 3)
    assert [run.label for run in first.runs] == ["run 0"] and [run.label for run in second.runs] == ["run 1"]


def test_more_than_any_node_has_is_not_asked_for(past, monkeypatch):
    def refuse(profile):
        raise UserError(f"memory: {profile.memory}MB: no node of partition p has that")

    monkeypatch.setattr(retries, "check_against_cluster", refuse)
    made, said = past(2), []
    (part,) = split(made.request(), made.survey("OUT_OF_MEMORY", "FAILED"), said.append)
    assert [run.label for run in part.runs] == ["run 1"] and part.retry is None
    assert said == ["given up: run 0: out of memory with 2000MB, and memory: 3000MB: no node of partition p has that"]


@pytest.mark.parametrize(
    ("changes", "ending"),
    [({"retries": 0}, "OUT_OF_MEMORY"), ({"memory": 2500}, "OUT_OF_MEMORY"), ({"time": 70}, "TIMEOUT"),
     ({"memory": None}, "OUT_OF_MEMORY")],
)  # fmt: skip
def test_a_profile_that_allows_none_or_was_raised_since_is_taken_as_it_is(past, changes, ending):
    made = past(memory_mb=None if changes.get("memory", 1) is None else 2000)
    (part,) = split(made.request(**changes), made.survey(ending), pytest.fail)
    assert part.retry is None and part.profile == profile(**changes)


def test_a_slice_grows_with_the_time(past):
    made = past()
    larger, _ = grown(profile(slice=10), "time", made.survey("TIMEOUT"), made.uids[0])
    assert (larger.time, larger.slice) == (90, 15)


def test_after_all_jobs_have_ended_what_lacked_something_and_what_waited_for_it_is_tried(store_root, tiny_spec):
    dependant = tiny_spec("transfergan")
    (source,) = dependant.run_sources.values()
    made = Past(Store(store_root), [source, dependant, tiny_spec(seed=5), tiny_spec(seed=6)])
    made.store.folder(made.uids[2]).fail("RuntimeError: broken", "method")
    labels = {uid: f"run {at}" for at, uid in enumerate(made.uids)}
    survey = made.survey("OUT_OF_MEMORY", "COMPLETED", "OUT_OF_MEMORY", "RUNNING")
    assert [run.label for run in lacking(survey, labels)] == ["run 0", "run 1"]


def test_status_says_which_retry_a_run_is(past):
    record = RetryRecord(cause="memory", attempt=1, of=2, before="2000MB", now="3000MB")
    made = past(retry=record)
    status = made.survey("PENDING").status_of(made.uids[0], "run 0")
    assert status.state == "queued" and status.retry == str(record)
    (line, _) = lines([status], None, everything=True)
    assert line.endswith("out of memory with 2000MB: retry 1 of 2, with 3000MB")


def test_a_plan_says_which_runs_of_the_cluster_are_retries(past, capsys):
    made = past(2, retry=RetryRecord(cause="time", attempt=2, of=2, before="60m", now="90m"))
    tell_of_retries(dict.fromkeys(made.uids, "queued"), made.store)
    tell_of_retries({}, made.store)
    assert capsys.readouterr().out == "2 runs out of time with 60m: retry 2 of 2, with 90m\n"


@pytest.mark.parametrize("wrong", [{"retries": 6}, {"retries": -1}, {"retries": True}, {"growth": 1}, {"growth": 9}])
def test_a_profile_says_a_sensible_number(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Profile.model_validate({"time": 60, **wrong})


def test_what_a_job_had_is_in_the_record_and_older_records_are_read(past):
    made = past()
    (record,) = submissions(made.store)
    plain = record.model_dump(mode="json")
    assert (plain["arrays"][0]["memory_mb"], plain["arrays"][0]["minutes"], plain["retry"]) == (2000, 60, None)
    for key in ("memory_mb", "minutes"):
        del plain["arrays"][0][key]
    del plain["retry"]
    assert Submission.model_validate(plain).arrays[0].minutes is None
