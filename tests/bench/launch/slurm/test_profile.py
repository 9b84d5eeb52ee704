"""Site profiles: what a mistake is answered with, and that each key becomes the right line of a batch script."""

from __future__ import annotations

import random
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from submitit.slurm.slurm import _make_sbatch_string

from bench.errors import UserError
from bench.launch.slurm.profile import Profile
from bench.launch.slurm.profile_load import load_profile
from bench.launch.slurm.quoting import FIELD_OF, SET_BY_BENCH, SET_FOR_SRUN
from bench.launch.slurm.units import megabytes, minutes

SHIPPED = ["container", "gpu-cluster", "preemptible", "test-node"]
HOSTILE = [
    "a\nb", "a\r\n#SBATCH --uid=0", "a\x00b", "a\x1b[31m", "a\x7f", "a\u2028b", "a\u202eb", "\ta", "$(touch x)",
    "`id`", "a;id", "a'b", 'a"b', "a b", "-x", "--wrap=id", "a>b", "a\\b", "a{b}", "é", "", " ", "x" * 5000,
]  # fmt: skip


def write(folder, text, name="site.yaml"):
    path = folder / name
    path.write_text(text if isinstance(text, str) else yaml.safe_dump(text, sort_keys=False))
    return path


def complaint(path):
    """What load_profile says, after the name of the file; always one line."""
    with pytest.raises(UserError) as caught:
        load_profile(str(path))
    message = str(caught.value)
    assert message.isprintable(), message
    return message.removeprefix(f"{path}:")


def script(folder=Path("/logs"), count=None, **keys):
    """The batch script that submitit writes for a profile with these keys."""
    profile = Profile(**{"time": "1h", **keys})
    return _make_sbatch_string(command=profile.command(), folder=folder, map_count=count, **profile.parameters())


def sbatch_lines(**keys):
    lines = script(**keys).splitlines()
    return {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")}


# ---- times and sizes -----------------------------------------------------------------------------


def test_every_way_to_write_a_time_means_the_same():
    draw = random.Random(0)
    for _ in range(300):
        days, hours, rest = draw.randrange(30), draw.randrange(100), draw.randrange(2000)
        total = days * 1440 + hours * 60 + rest
        text = "".join(f"{n}{unit}" for n, unit in ((days, "d"), (hours, "h"), (rest, "m")) if n)
        if total:
            assert minutes(text) == minutes(f"{total}m") == minutes(total) == total


@pytest.mark.parametrize(
    "text", ["", "0", "0m", "0h0m", "-5m", -5, 0, "61d", 60 * 24 * 60 + 1, "1.5h", 1.5, True, None, "1m1h",
             "1h 30m", "24:00:00:00", "1-", "-1:00", "1-2-3", "1:",
             "61-00", "0:00", "0-00:00:00", "٣:00", "h", "1H", "٣m", "9" * 50 + "m", [1], "inf", "1h\n"],
)  # fmt: skip
def test_no_time(text):
    with pytest.raises(ValueError, match="must be from|no length of time"):
        minutes(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30", 30), ("30:00", 30), ("24:00", 24), ("00:30:00", 30), ("24:00:00", 1440), ("1:30:00", 90), ("90:00", 90),
     ("1-0", 1440), ("1-12", 2160), ("1-12:30", 2190), ("1-00:00:00", 1440), ("2-01:01:00", 2941), ("0-00:05:00", 5),
     ("00:00:30", 1), ("1:01", 2)],
)  # fmt: skip
def test_times_as_sbatch_takes_them(tmp_path, text, expected):
    """The formats of sbatch(1), --time; quoted or not: YAML 1.1 alone would read 24:00:00 as 86400."""
    assert minutes(text) == expected
    for written in (text, f"'{text}'", f'"{text}"'):
        assert load_profile(str(write(tmp_path, f"time: {written}\npack: 1\n"))).time == expected
        assert load_profile(str(write(tmp_path, f"{{time: {written}, pack: 1}}"))).time == expected
    assert load_profile(str(write(tmp_path, f"time: 60d\npack: {text}\nslice: {text}\n"))).slice == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500MB", 500), ("500M", 500), (16, 16384), ("16GB", 16384), ("16 gb", 16384), ("1TB", 1024**2)],
)  # fmt: skip
def test_memory(text, expected):
    assert megabytes(text) == expected
    assert f"--mem={expected}M" in sbatch_lines(memory=text)


@pytest.mark.parametrize("text", [0, -1, "0MB", "101TB", "16", "1.5GB", 1.5, True, "16GBB", "16KB", "G", "1e3GB"])
def test_no_memory(text):
    with pytest.raises(ValueError, match="must be from|no amount of memory"):
        megabytes(text)


# ---- defaults ------------------------------------------------------------------------------------


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


# ---- extends, names, the environment -------------------------------------------------------------


def test_extends_merges_replaces_and_takes_away(tmp_path):
    base = "time: 8h\npartition: a\nqos: q\nsetup: [one]\nenvironment: {A: 1, B: 2}\nsbatch: {nice: 1}\n"
    middle = "extends: ../base.yaml\nqos: null\nsetup: [two]\nenvironment: {B: 3, A: null, C: 4}\n"
    (tmp_path / "sub").mkdir()
    write(tmp_path, base, "base.yaml")
    write(tmp_path / "sub", middle, "mid.yaml")
    top = write(tmp_path, "extends: sub/mid.yaml\npartition: b\nsbatch: null\n")
    profile = load_profile(str(top))
    assert profile.model_dump(include={"time", "partition", "qos", "setup", "environment", "sbatch"}) == {
        "time": 480, "partition": "b", "qos": None, "setup": ("two",), "sbatch": {},
        "environment": {"B": "3", "C": "4"},
    }  # fmt: skip


def test_mistakes_are_named_where_they_stand(tmp_path):
    base = write(tmp_path, 'time: 8h\nenvironment:\n  A: 1\n  B: "x\\ny"\nslice: 2h\n', "base.yaml")
    top = write(tmp_path, "extends: base.yaml\nenvironment: {A: 2}\n")
    with pytest.raises(UserError, match=rf"^{re.escape(str(base))}:4: environment\.B: 'x\\ny' must be one"):
        load_profile(str(top))
    write(tmp_path, "time: 8h\nslice: 2h\n", "base.yaml")
    write(tmp_path, "extends: base.yaml\ntime: 1h\n")
    with pytest.raises(UserError, match=rf"^{re.escape(str(base))}:2: slice: 120 is more than 59"):
        load_profile(str(top))
    write(tmp_path, "extends: base.yaml\ntime: null\n")
    assert complaint(top) == "2: time: is missing; write how long a job may take, such as 12h"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("extends: site.yaml\n", "extends this file; a profile cannot extend itself"),
        ("extends: other.yaml\n", "extends this file"),
        ("time: 1h\nextends: gpu-clutser\n", "2: extends: unknown profile 'gpu-clutser'; did you mean 'gpu-cluster'?"),
        ("time: 1h\nextends: \"a\\nb.yaml\"\n", "2: extends: 'a\\nb.yaml' must be one line"),
        ("extends: [a]\n", "1: extends: ['a'] must be text"),
        ("extends: null\n", "1: extends: None must be text"),
        ("extends: gone.yaml\n", "gone.yaml: cannot be read: No such file"),
    ],
)  # fmt: skip
def test_extends_that_leads_nowhere(text, expected, tmp_path):
    write(tmp_path, "extends: ./site.yaml\n", "other.yaml")
    assert expected in complaint(write(tmp_path, text))


def test_names(tmp_path, monkeypatch):
    monkeypatch.delenv("BENCH_SLURM_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"no site profile: give --profile .*known: {', '.join(SHIPPED)}"):
        load_profile(None)
    with pytest.raises(UserError, match="unknown profile 'gpu-clustr'; did you mean 'gpu-cluster'"):
        load_profile("gpu-clustr")
    for name in ("../slurm/gpu-cluster", "a\nb", "a\nb.yaml", "", "slurm"):
        with pytest.raises(UserError) as caught:
            load_profile(name)
        assert str(caught.value).isprintable()
    write(tmp_path, "time: 7m\n")
    monkeypatch.setenv("BENCH_SLURM_PROFILE", "site.yaml")
    assert load_profile(None).time == 7
    assert load_profile("test-node").time == 30


def test_shipped_profiles():
    found = {name: load_profile(name) for name in SHIPPED}
    assert all(profile.description for profile in found.values())
    assert found["preemptible"].slice == 120 and found["preemptible"].gres == "gpu:1"
    image = "apptainer exec --nv --bind=/scratch /shared/images/bench.sif "
    assert found["container"].command().startswith(image)
    node = found["test-node"]
    assert (node.device, node.workers, node.parallel, node.time, node.pack) == ("cpu", 1, 2, 30, 3)


def test_the_commented_example_names_every_key():
    folder = Path(__file__).resolve().parents[4] / "slurm"
    text = (folder / "gpu-cluster.yaml").read_text()
    assert [key for key in Profile.model_fields if not re.search(rf"^(# )?{key}:", text, re.MULTILINE)] == []
    keys = text[text.index("description:") :]
    said = re.sub(r"^# (?=(?!gpus_per_node|container)[a-z_]+:|  (- )?[A-Za-z])", "", keys, flags=re.MULTILINE)
    profile = Profile.model_validate(yaml.safe_load(said))  # what is commented out is right, too
    assert profile.sbatch and profile.setup and profile.environment and profile.slice == 480


# ---- the batch script ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"partition": "gpu,gpu-long"}, "--partition=gpu,gpu-long"),
        ({"account": "def-prof_gpu"}, "--account=def-prof_gpu"),
        ({"qos": "high"}, "--qos=high"),
        ({"constraint": "[a100*2|h100]&ib"}, "--constraint='[a100*2|h100]&ib'"),
        ({"reservation": "school"}, "--reservation=school"),
        ({"nodelist": "n[1-3],m1"}, "--nodelist='n[1-3],m1'"),
        ({"exclude": "n07"}, "--exclude=n07"),
        ({"gres": "gpu:a100:2"}, "--gres=gpu:a100:2"),
        ({"gpus_per_node": 2}, "--gpus-per-node=2"),
        ({"gpus_per_node": "3090:1"}, "--gpus-per-node=3090:1"),
        ({"cpus": 6}, "--cpus-per-task=6"),
        ({"time": "1h30m"}, "--time=90"),
        ({"time": 5}, "--signal=USR2@60"),
        ({"signal_seconds": 300}, "--signal=USR2@300"),
        ({"requeue": True}, "--requeue"),
        ({"requeue": False}, "--no-requeue"),
        ({}, "--nodes=1"),
        ({}, "--ntasks-per-node=1"),
        ({"sbatch": {"nice": 100}}, "--nice=100"),
        ({"sbatch": {"exclusive": True}}, "--exclusive"),
        ({"sbatch": {"wckey": "mine"}}, "--wckey=mine"),
        ({"sbatch": {"mail-type": "END,FAIL"}}, "--mail-type=END,FAIL"),
        ({"sbatch": {"comment": "a; $(id) # b"}}, "--comment='a; $(id) # b'"),
    ],
)  # fmt: skip
def test_line_of_the_script(keys, line):
    assert line in sbatch_lines(**keys)


def test_what_is_not_asked_for_is_not_written():
    text = script(sbatch={"hold": False})
    unasked = [
        "wckey",
        "hold",
        "error",
        "partition",
        "gres",
        "gpus",
        "mem",
        "reservation",
        "no-requeue",
        "None",
    ]
    assert [word for word in unasked if word in text] == []
    assert len(re.findall("requeue", text)) == 1


def test_array_and_streams():
    text = script(count=40, parallel=7)
    assert "#SBATCH --array=0-39%7" in text and "#SBATCH --output=/logs/%A_%a_0_log.out" in text


def test_submitit_takes_the_parameters(tmp_path, monkeypatch):
    """Through the executor, as `bench submit` does; srun need only be on PATH for it to be made."""
    import submitit

    srun = write(tmp_path, "#!/bin/sh\n", "srun")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    executor = submitit.SlurmExecutor(tmp_path, python=load_profile("gpu-cluster").command())
    executor.update_parameters(**load_profile("gpu-cluster").parameters(), job_name="mine")
    text = executor._make_submission_file_text("true", "uid")
    assert "--gres=gpu:1" in text and "wckey" not in text and "--mem=32768M" in text


def run_body(text, cwd):
    """The script's commands in bash, with an `srun` that runs what follows its own options."""
    skip = "while case $1 in --output) shift;; -*) ;; *) false;; esac; do shift; done"
    write(cwd, f'#!/bin/sh\n{skip}\nexec "$@"\n', "srun")
    (cwd / "srun").chmod(0o755)
    env = {"PATH": f"{cwd}:/usr/bin:/bin"}
    return subprocess.run(["bash", "-c", text], cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


def test_values_reach_python_as_they_were_written(tmp_path):
    """Quotes, semicolons, spaces and backslashes are data: nothing of them is run on the way."""
    value = """it's "a"; touch pwned & | \\n * > x #$ 5%"""
    show = "import os, sys; print([os.environ['A'], os.environ['B'], os.environ['EMPTY'], *sys.argv[1:]])"
    text = script(
        environment={"A": value, "B": 7, "EMPTY": ""},
        setup=['export B="$B$((1+1))"'],
        container=["env", f"C={value}"],
        python=[sys.executable, "-c", show, value],
        srun_args=[f"--comment={value}"],
        sbatch={"comment": value.replace("\\", "")},
    )
    done = run_body(text, tmp_path)
    assert done.stdout.strip() == repr([value, "72", "", value]), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["srun"]
    comment = next(line for line in text.splitlines() if line.startswith("#SBATCH --comment"))
    assert shlex.split(comment, comments=False)[1] == f"--comment={value}".replace("\\", "")


def test_options_of_srun():
    text = script(cpus=6, srun_args=["--mpi=none", "--container-image=/a b"])
    srun = next(line for line in text.splitlines() if line.startswith("srun"))
    words = shlex.split(srun)
    assert {"--cpus-per-task=6", "--mpi=none", "--container-image=/a b", "--unbuffered"} <= set(words)
    assert "--error" not in words


def test_python_is_words_or_one_text():
    words = ("conda", "run", "-n", "my env", "python")
    assert Profile(time=5, python="conda run -n 'my env' python").python == words
    assert Profile(time=5, python=["/a b/python"]).command().endswith(" '/a b/python'")
    assert shlex.split(Profile(time=5).command())[-1] == sys.executable


def test_early_signal_does_not_kill_python():
    """SIGUSR2 before there is a handler is ignored, and a handler that is set later gets the next one."""
    code = (
        "import signal, sys, time; print('up', flush=True); sys.stdin.readline();"
        "signal.signal(signal.SIGUSR2, lambda *_: sys.exit(7)); print('set', flush=True); time.sleep(30)"
    )
    command = Profile(time=5, python=[sys.executable, "-c", code]).command()
    words, pipe = ["bash", "-c", f"exec {command}"], subprocess.PIPE
    process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
    assert process.stdin and process.stdout
    try:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGUSR2)
        time.sleep(0.2)
        assert process.poll() is None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "set\n"
        process.send_signal(signal.SIGUSR2)
        assert process.wait(60) == 7
    finally:
        process.kill()
        process.communicate()
