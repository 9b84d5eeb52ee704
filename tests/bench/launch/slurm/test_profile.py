"""Site profiles: defaults, and what a mistake is answered with."""

from __future__ import annotations

import sys

import pytest
from pydantic import ValidationError

from bench.launch.slurm.profile import Profile
from bench.launch.slurm.quoting import FIELD_OF, SET_BY_BENCH, SET_FOR_SRUN
from profile_files import complaint, write

HOSTILE = [
    "a\nb", "a\r\n#SBATCH --uid=0", "a\x00b", "a\x1b[31m", "a\x7f", "a\u2028b", "a\u202eb", "\ta", "$(touch x)",
    "`id`", "a;id", "a'b", 'a"b', "a b", "-x", "--wrap=id", "a>b", "a\\b", "a{b}", "é", "", " ", "x" * 5000,
]  # fmt: skip


def test_defaults_follow_from_what_is_given():
    plain = Profile(time="1d")
    assert (plain.device, plain.workers, plain.gpus, plain.cpus) == ("cpu", 1, 0, 1)
    assert (plain.pack, plain.signal_seconds, plain.parallel, plain.slice) == (60, 120, 16, None)
    assert plain.python == (sys.executable,) and plain.requeue
    assert Profile(time="1d", cpus=6).workers == 6
    two = Profile(time="1d", gres="gpu:2080ti:2,tmpdisk:10G", cpus=8)
    assert (two.device, two.workers, two.gpus) == ("cuda", 2, 2)
    assert Profile(time="1d", gpus_per_node="a100:4").gpus == Profile(time="1d", gpus_per_node=4).gpus == 4
    pretended = Profile(time="1d", gres="gpu:1", device="cpu", cpus=3)
    assert (pretended.device, pretended.workers) == ("cpu", 3)
    assert Profile(time="1d", gres="tmpdisk:10G").device == "cpu"
    assert Profile(time="1d", container="apptainer exec x.sif").python == ("python3",)


def test_runs_that_share_a_gpu():
    """Each needs a CPU that launches its kernels; auto has as many workers as that allows."""
    shared = Profile(time="1d", gres="gpu:2", cpus=8, runs_per_gpu=3)
    assert (shared.workers, shared.runs_per_gpu) == (6, 3)
    assert Profile(time="1d", gres="gpu:2", cpus=8, runs_per_gpu="auto").workers == 8
    assert Profile(time="1d", gres="gpu:2", cpus=64, runs_per_gpu="auto").workers == 16
    assert Profile(time="1d", gres="gpu:2", cpus=8, runs_per_gpu=3, workers=2).workers == 2
    for wrong, words in (
        ({"cpus": 8, "gres": "gpu:2", "runs_per_gpu": 5}, "5 is more than 4 cpus for each of 2 GPUs"),
        ({"cpus": 8, "runs_per_gpu": 2}, "2 is of a GPU, and none is asked for; give gres: gpu:1"),
        ({"cpus": 8, "gres": "gpu:1", "device": "cpu", "runs_per_gpu": "auto"}, "auto is of a GPU"),
        ({"cpus": 8, "gres": "gpu:1", "runs_per_gpu": 0}, "greater than or equal to 1"),
        ({"cpus": 8, "gres": "gpu:1", "runs_per_gpu": "many"}, "auto"),
        ({"cpus": 8, "gres": "gpu:1", "runs_per_gpu": 2, "workers": 3}, "3 is more than 2 GPUs with runs_per_gpu: 2"),
    ):
        with pytest.raises(ValidationError, match=words):
            Profile(time="1d", **wrong)


def test_a_job_of_several_nodes_has_one_task_which_starts_the_others():
    two = Profile(time="1d", gres="gpu:4", cpus=8, nodes=2, srun_args=["--mpi=none"])
    assert (two.workers, two.places) == (4, 8) and Profile(time="1d", cpus=3).places == 3
    asked = two.parameters()
    assert asked["nodes"] == 2 and asked["ntasks_per_node"] == 1
    assert {"--nodes=1", "--ntasks=1", "--overlap"} < set(asked["srun_args"])
    assert "--overlap" not in Profile(time="1d", gres="gpu:4").parameters()["srun_args"]
    for wrong, words in (
        ({"container": "apptainer exec x.sif"}, "by srun, which is not in a container"),
        ({"gres": "gpu:1", "cpus": 8, "runs_per_gpu": 2}, "2 with runs_per_gpu"),
    ):
        with pytest.raises(ValidationError, match=words):
            Profile(time="1d", nodes=2, **wrong)


@pytest.mark.parametrize("time", [1, 2, 5, 9, 10, 11, 60, 10_000])
def test_defaults_fit_any_time(time):
    profile = Profile(time=time)
    assert 1 <= profile.pack <= time
    assert 0 < profile.signal_seconds < time * 60
    assert profile.signal_seconds == 120 or time < 10


def test_a_profile_does_not_change():
    with pytest.raises(ValidationError):
        Profile(time=5).time = 6


# ---- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("time: 1h\npartiton: gpu\n", "2: partiton: unknown key 'partiton'; did you mean 'partition'?"),
        ("time: 1h\nPartition: gpu\n", "2: Partition: unknown key"),
        ("partition: gpu\n", "1: time: is missing"),
        ("time: 24:00:00:00\n", "1: time: '24:00:00:00' is no length of time; write 90"),
        ("time: 1h\ngpus: 1\n", "2: gpus: unknown key 'gpus'; did you mean 'gpus_per_node' (or gres: gpu:1)?"),
        ("time: 1h\ncpus_per_task: 1\n", "2: cpus_per_task: unknown key 'cpus_per_task'; did you mean 'cpus'?"),
        ("time: 1h\nmem: 1\n", "2: mem: unknown key 'mem'; did you mean 'memory'?"),
        ("time: 1h\nenvironment: {BENCH_CACHE: ~/x}\n", "2: environment.BENCH_CACHE: '~/x': ~ is not expanded; write"),
        ("time: 1h\nenvironment:\n  P: /a:~/b\n", "3: environment.P: '/a:~/b': ~ is not expanded; write"),
        ("time: 2h\ncpus: 010\n", "2: cpus: YAML reads 010"),
        ("time: soon\n", "1: time: 'soon' is no length of time; write 90"),
        ("time: 1h\nslice: 60m\n", "2: slice: 60 is more than 59 minutes: it must be shorter than time, 60m"),
        ("time: 1h\npack: 2h\n", "2: pack: 120 is more than 60 minutes"),
        ("time: 1m\nsignal_seconds: 60\n", "2: signal_seconds: 60 is more than 59 seconds"),
        ("time: 1h\ngres: gpu:1\ngpus_per_node: 1\n", "3: gpus_per_node: 1 is asked for beside gres: gpu:1"),
        ("time: 1h\ngpus_per_node: 65\n", "2: gpus_per_node: 65 must be 1 to 64"),
        ("time: 1h\ngpus_per_node: true\n", "2: gpus_per_node: True must be text"),
        ("time: 1h\ngres: gpu:65\n", "2: gres: 'gpu:65' must ask for 1 to 64 GPUs"),
        ("time: 1h\ngres: gpu:0\n", "2: gres: 'gpu:0' must ask for 1 to 64 GPUs"),
        ("time: 1h\ngres: 1\n", "2: gres: 1 must be text"),
        ("time: 1h\nmemory: 200TB\n", "2: memory: '200TB' must be from 1MB to 100TB"),
        ("time: 1h\ncpus: 2\nworkers: 3\n", "3: workers: 3 is more than 2 cpus of a job"),
        ("time: 1h\ngres: gpu:2\nworkers: 3\n", "3: workers: 3 is more than 2 GPUs of a job"),
        ("time: 1h\npartition: 2080\n", "2: partition: 2080 must be text; put it in quotes"),
        ("time: 1h\nsetup:\n- a\n- '#SBATCH --array=0-9'\n", "4: setup.1: '#SBATCH --array=0-9' must be a shell line"),
        ("time: 1h\npython: \"it's\"\n", "2: python: \"it's\" is no list of words: No closing quotation"),
        ("time: 1h\npython: $HOME/bin/python\n", "2: python.0: '$HOME/bin/python' must be written out"),
        ("time: 1h\npython: ~/bin/python\n", "2: python.0: '~/bin/python' must be written out"),
        ("time: 1h\nsrun_args: [--output=x]\n", "2: srun_args.0: '--output=x' must be --name=value"),
        ("time: 1h\nsrun_args: [--outp=x]\n", "2: srun_args.0: '--outp=x' must be"),
        ("time: 1h\nsrun_args: [bash]\n", "2: srun_args.0: 'bash' must be --name=value"),
        ("time: 1h\nenvironment: {A-B: x}\n", "2: environment.A-B: 'A-B' must be a variable name"),
        ("time: 1h\nenvironment:\n  A: 1\n  SLURM_CONF: x\n", "4: environment.SLURM_CONF: 'SLURM_CONF' must be"),
        ("time: 1h\nenvironment:\n  FLAG: on\n", "3: environment.FLAG: True must be text or a whole number"),
        ("time: 1h\nenvironment:\n  V: 1.10\n", "3: environment.V: 1.1 must be text or a whole number"),
        ("time: 1h\nenvironment:\n  P: $HOME/x\n", "3: environment.P: '$HOME/x' is not expanded"),
        ("time: 1h\nsbatch: {mem: 3G}\n", "2: sbatch.mem: sbatch's mem is the profile's own key memory; use that"),
        ("time: 1h\nsbatch: {array: 0-5}\n", "2: sbatch.array: sbatch's array is set by bench submit"),
        ("time: 1h\nsbatch: {arra: 0-5}\n", "2: sbatch.arra: sbatch's array is set by bench submit"),
        ("time: 1h\nsbatch: {mail_type: ALL}\n", "2: sbatch.mail_type: 'mail_type' is no sbatch option"),
        ("time: 1h\nsbatch: {nice: .inf}\n", "2: sbatch.nice: inf must be text"),
        ("time: 1h\nsbatch: {comment: 'a\\b'}\n", "2: sbatch.comment: 'a\\\\b' must not have a backslash"),
        ("time: 1h\nsbatch: {nice: [1]}\n", "2: sbatch.nice: [1] must be text"),
        ("time: 1h\nsbatch:\n  \"a\\nb\": 1\n", "2: sbatch: 'a\\nb' is no sbatch option"),
        ("time: 1h\n\"a\\nb\": 1\n", "1: unknown key 'a\\nb'"),
        ("time: 1h\ntime: 2h\n", "2: key 'time' is given twice"),
        ("[1, 2]\n", "1: must be a mapping"),
    ],
)  # fmt: skip
def test_mistake(text, expected, tmp_path):
    assert complaint(write(tmp_path, text)).startswith(expected)


@pytest.mark.parametrize(
    ("line", "place", "said"),
    [
        ("signal_seconds: 0", "2: signal_seconds: ", ["1"]),
        ("cpus: 5000", "2: cpus: ", ["4096"]),
        ("cpus: true", "2: cpus: ", ["integer"]),
        ("cpus: '2'", "2: cpus: ", ["integer"]),
        ("parallel: 0", "2: parallel: ", ["1"]),
        ("device: tpu", "2: device: ", ["'cuda'", "'cpu'"]),
        ("requeue: maybe", "2: requeue: ", ["boolean"]),
        ("setup: module load x", "2: setup: ", ["list"]),
        ("python: []", "2: python: ", ["1 item"]),
        ("environment: [A]", "2: environment: ", ["dictionary"]),
        ("5: 1", "2: 5: ", ["string"]),
    ],
)
def test_mistake_that_pydantic_words(line, place, said, tmp_path):
    """Its sentences change with its versions: ours are the file, the line and the key, its what would be right."""
    message = complaint(write(tmp_path, f"time: 1h\n{line}\n"))
    assert message.startswith(place)
    assert all(word in message.removeprefix(place) for word in said), message


@pytest.mark.parametrize("key", [*SET_BY_BENCH, *FIELD_OF])
def test_what_bench_submit_sets_is_not_set_twice(key, tmp_path):
    assert f"sbatch.{key}: sbatch's {key} is" in complaint(write(tmp_path, {"time": 5, "sbatch": {key: "x"}}))
    assert set(FIELD_OF.values()) <= set(Profile.model_fields)


@pytest.mark.parametrize("option", sorted(SET_FOR_SRUN))
def test_an_option_of_srun_that_is_set_is_refused_however_it_is_cut_short(option, tmp_path):
    """srun completes names as getopt_long does: `--ou=x` is `--output=x`."""
    for length in range(2, len(option) + 1):
        message = complaint(write(tmp_path, {"time": 5, "srun_args": [f"--{option[:length]}=x"]}))
        assert f"srun_args.0: '--{option[:length]}=x' must be --name=value" in message


def test_options_of_srun_that_nobody_sets_are_taken():
    words = (
        "--mpi=none",
        "--nodelist=n1",
        "--cpus-per-gpu=2",
        "--exclusive",
        "--exclude=n2",
        "--gres-flags=x",
    )
    assert Profile(time=5, srun_args=words).srun_args == words


NAMES = ["partition", "account", "qos", "constraint", "reservation", "nodelist", "exclude", "gres"]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("key", [*NAMES, "gpus_per_node", "memory", "time", "slice", "pack", "device"])
def test_hostile_text_is_refused(key, text, tmp_path):
    message = complaint(write(tmp_path, {"time": "1h", key: text} if key != "time" else {"time": text}))
    assert f": {key}: " in message and len(message) < 250


UNPRINTABLE = [one for one in HOSTILE if one and not one.isprintable()]


@pytest.mark.parametrize("text", [*UNPRINTABLE, " ", "x" * 5000], ids=ascii)
@pytest.mark.parametrize("place", ["description", "setup", "python", "container", "srun_args", "environment", "sbatch"])
def test_no_text_leaves_its_line(place, text, tmp_path):
    value = {"setup": [text], "srun_args": [f"--x={text}"], "python": [text], "container": [text],
             "environment": {"A": text}, "sbatch": {"comment": text}}.get(place, text)  # fmt: skip
    assert place in complaint(write(tmp_path, {"time": "1h", place: value}))
