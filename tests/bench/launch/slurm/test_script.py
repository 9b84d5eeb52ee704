"""The batch script, word for word; and what jobs do not inherit."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.launch.slurm.packing import Array
from bench.launch.slurm.profile import Profile
from bench.launch.slurm.submit import Request, outside_allocation, refuse_odd_folder, script
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store

CHECKOUT = Path(__file__).resolve().parents[4]
GOLDEN = """\
#!/bin/bash

# Parameters
#SBATCH --account=lab
#SBATCH --array=0-2%2
#SBATCH --constraint='a100|h100'
#SBATCH --cpus-per-task=8
#SBATCH --dependency=afterany:17:18
#SBATCH --gres=gpu:1
#SBATCH --job-name=bench-20260102-030405-disp-table1-abcd-1
#SBATCH --mail-type=FAIL
#SBATCH --mem=36000M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output={folder}/%A_%a_0_log.out
#SBATCH --partition=gpu
#SBATCH --qos=normal
#SBATCH --requeue
#SBATCH --signal=USR2@120
#SBATCH --time=720

# setup
export BENCH_JOB_START="$(date +%s)"
export PYTHONPATH={checkout}${{PYTHONPATH:+:$PYTHONPATH}}
export HF_HUB_OFFLINE=1
module load cuda/12.4

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output {folder}/%A_%a_%t_log.out {srun} {command} -u -m submitit.core._submit {folder}
"""


@pytest.fixture
def request_of(tiny_spec):
    def make(**changes):
        settings = {
            "partition": "gpu", "account": "lab", "qos": "normal", "constraint": "a100|h100", "gres": "gpu:1",
            "memory": "32GB", "cpus": 8, "time": "12h", "parallel": 2, "setup": ["module load cuda/12.4"],
            "environment": {"HF_HUB_OFFLINE": 1}, "srun_args": ["--cpu-bind=none"], "sbatch": {"mail-type": "FAIL"},
        }  # fmt: skip
        runs = [PlannedRun(tiny_spec(seed=seed)) for seed in range(3)]
        profile = Profile.model_validate({**settings, **changes})
        return Request("disp/table1", "paper", runs, profile, "gpu.yaml")

    return make


def text(request, root, jobs=3, memory_mb=36_000, after=("17", "18"), exclusive=False):
    array = Array([[run] for run in request.runs[:jobs]], memory_mb, level=1, parallel=2, exclusive=exclusive)
    return script(request, Store(root), "20260102-030405-disp-table1-abcd", 1, array, list(after))


def test_the_script_word_for_word(request_of, tmp_path):
    found = text(request_of(), tmp_path / "store")
    folder = tmp_path / "store" / "slurm" / "20260102-030405-disp-table1-abcd"
    srun = "--cpus-per-task=8 --open-mode=append --cpu-bind=none"
    command = shlex.join(["sh", "-c", "trap '' USR2; exec \"$@\"", "sh", sys.executable])
    assert found == GOLDEN.format(folder=folder, checkout=CHECKOUT, command=command, srun=srun)


def test_one_job_is_no_array_and_what_is_not_set_is_left_to_the_site(request_of, tmp_path):
    found = text(request_of(memory=None, requeue=False), tmp_path, jobs=1, memory_mb=None, after=())
    assert "--array" not in found and "--mem" not in found and "--dependency" not in found
    assert "%j_0_log.out" in found and "#SBATCH --no-requeue" in found and "wckey" not in found


def test_what_measures_time_has_its_node_alone(request_of, tmp_path):
    assert "#SBATCH --exclusive\n" in text(request_of(), tmp_path, exclusive=True)
    assert "--exclusive" not in text(request_of(), tmp_path)


def test_a_container_brings_its_own_packages(request_of, tmp_path):
    found = text(request_of(container=["apptainer", "exec", "--nv", "my image.sif"]), tmp_path)
    assert "PYTHONPATH" not in found
    assert "apptainer exec --nv 'my image.sif' sh -c" in found and " python3 -u -m submitit.core._submit" in found


def test_a_store_with_odd_characters_stays_one_word(request_of, tmp_path):
    root = tmp_path / "it's $(touch x); a store"
    last = text(request_of(), root).strip().splitlines()[-1]
    assert shlex.split(last)[-1] == str(root / "slurm" / "20260102-030405-disp-table1-abcd")
    for bad in ("100%", "two\nlines"):
        with pytest.raises(UserError, match="SLURM cannot write logs"):
            refuse_odd_folder(tmp_path / bad)


def test_nothing_of_the_job_that_one_submits_from_is_passed_on(monkeypatch):
    for name in (
        "SLURM_JOB_ID",
        "SLURM_MEM_PER_NODE",
        "SLURMD_NODENAME",
        "SRUN_DEBUG",
        "SBATCH_PARTITION",
        "PMI_RANK",
    ):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("SLURM_CONF", "/etc/x")
    monkeypatch.setenv("BENCH_JOB_START", "5")
    before = dict(os.environ)
    with outside_allocation():
        left = {name for name in os.environ if name.startswith(("SLURM", "SRUN", "SBATCH", "PMI", "BENCH_JOB"))}
        assert left == {"SLURM_CONF"}
    assert dict(os.environ) == before
