"""Each key of a site profile becomes the right line of a batch script, and no value is run on the way to Python."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from bench.launch.slurm.profile import Profile
from bench.launch.slurm.profile_load import load_profile
from profile_files import sbatch_lines, script, write


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
