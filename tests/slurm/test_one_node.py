"""The one-machine cluster of slurm/one_node.py, with SLURM's own daemons and nothing imitated."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).resolve().parents[2] / "slurm" / "one_node.py"


def load_by_path():
    spec = importlib.util.spec_from_file_location("one_node_by_path", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


one_node = load_by_path()


@pytest.fixture(scope="module")
def need(lacks):
    """SLURM has to be installed."""

    def check(accounting):
        if absent := one_node.missing(accounting):
            lacks(absent)

    return check


def script(*arguments, **options):
    """The command line with its output in pipes: a daemon that held them would make this time out."""
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=300, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, need):
    """Where a cluster may be; whatever happens, none is left."""
    need(accounting=False)
    place = tmp_path_factory.mktemp("slurm") / "one"
    yield place
    one_node.OneNode(place).stop()


@pytest.fixture(scope="module")
def cluster(folder):
    lines = ["MaxArraySize=11", "minjobage=77"]
    for name, mode in (("low", "REQUEUE"), ("cancel", "CANCEL")):  # as they are, but for a GraceTime of 10
        lines.append(f"PartitionName={name} PriorityTier=1 PreemptMode={mode} GraceTime=1 Nodes=ALL State=UP")
    running = one_node.OneNode(folder, gpus=2, overrides=lines)
    running.start()
    return running


def test_nodes_are_idle_and_lines_of_the_configuration_can_be_set(cluster):
    assert cluster.run("sinfo", "-h", "-o", "%T").stdout.split() == ["idle"]
    shown = cluster.run("scontrol", "show", "config").stdout
    values = dict(line.split(" = ") for line in shown.splitlines() if " = " in line)
    values = {key.strip(): value.strip() for key, value in values.items()}
    assert values["MaxArraySize"] == "11" and values["MinJobAge"] == "77 sec"
    assert values["JobRequeue"] == "1" and values["EnforcePartLimits"] == "NO"
    assert "preempt_send_user_signal" in values["SlurmctldParameters"]
    assert "cred_expire=8" in values["AuthInfo"]


def test_environment_is_one_variable(cluster, monkeypatch):
    assert cluster.environment() == {"SLURM_CONF": str(cluster.folder / "slurm.conf")}
    monkeypatch.setenv("SLURM_CONF", "/nowhere/slurm.conf")  # another cluster's, and a job of it
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert cluster.run("srun", "-Q", "printenv", "SLURM_CONF").stdout.strip() == str(cluster.slurm_conf)


def test_gpus_are_given_to_jobs(cluster, wait_until):
    """Two steps at a time see one GPU each, and not the same."""
    both = '[ "$(ls gpu-* | wc -l)" = 2 ]'
    command = f"echo $CUDA_VISIBLE_DEVICES > gpu-$SLURM_JOB_ID; until {both}; do sleep 0.1; done"
    for _ in range(2):
        sent = cluster.run("sbatch", "--gres=gpu:1", f"--chdir={cluster.folder}/run", "--wrap", command)
        assert sent.returncode == 0, sent.stderr
    files = wait_until(lambda: len(found := list((cluster.folder / "run").glob("gpu-*"))) == 2 and found)
    seen = wait_until(lambda: all(texts := [file.read_text().strip() for file in files]) and texts)
    assert sorted(seen) == ["0", "1"]
    assert cluster.run("srun", "--gres=gpu:3", "true", timeout=300).returncode


def test_array_runs_and_its_size_is_limited(cluster, tmp_path, wait_until):
    line = f"echo $SLURM_ARRAY_TASK_ID > {tmp_path}/$SLURM_ARRAY_TASK_ID"
    sent = cluster.run("sbatch", "--array=0-3%2", "--output=/dev/null", "--wrap", line)
    assert sent.returncode == 0, sent.stderr
    wait_until(lambda: len([file for file in tmp_path.iterdir() if file.read_text()]) == 4)
    assert {int(file.read_text()) for file in tmp_path.iterdir()} == {0, 1, 2, 3}
    refused = cluster.run("sbatch", "--array=0-11", "--output=/dev/null", "--wrap", "true")
    assert refused.returncode and "Invalid job array" in refused.stderr


def test_high_preempts_low_and_cancel_and_says_so_before(cluster, tmp_path, wait_until):
    """debug waits for them instead; low comes back to the queue, cancel does not."""

    def state(job):
        return cluster.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T").stdout.strip()

    def submit(partition, gpus, line, *more):
        words = (
            "--parsable",
            f"--gres=gpu:{gpus}",
            "--output=/dev/null",
            "--time=60",
            f"--partition={partition}",
        )
        return cluster.run("sbatch", *words, *more, "--wrap", line).stdout.strip()

    victims = []
    for name in ("low", "cancel"):
        line = f"trap 'touch {tmp_path}/{name}-told' USR2; touch {tmp_path}/{name}; sleep 600 & wait; wait"
        victims.append(submit(name, 1, line, "--signal=B:USR2@30"))
    wait_until(lambda: (tmp_path / "low").exists() and (tmp_path / "cancel").exists())
    equal = submit("debug", 2, "true")
    time.sleep(2.5)  # longer than the scheduler's interval of 2 s
    assert [state(job) for job in (equal, *victims)] == ["PENDING", "RUNNING", "RUNNING"]
    cluster.run("scancel", equal)
    high = submit("high", 2, "true")
    wait_until(lambda: state(high) == "COMPLETED", 40)
    assert (tmp_path / "low-told").exists() and (tmp_path / "cancel-told").exists()
    assert [state(job) for job in victims] == ["PENDING", "PREEMPTED"]
    cluster.run("scancel", *victims)


def test_pending_job_survives_a_killed_controller(cluster, wait_until):
    waiting = ("--hold", "--job-name=patient", "--output=/dev/null", "--wrap", "true")
    job = cluster.run("sbatch", "--parsable", *waiting).stdout.strip()
    # SLURM writes its state some seconds after a change; what is killed before forgets the change.
    wait_until(lambda: b"patient" in (cluster.folder / "state" / "job_state").read_bytes())
    before = next(pid for pid, name in cluster.processes().items() if name == "slurmctld")
    cluster.daemon("kill", "slurmctld")
    assert "slurmctld" not in cluster.processes().values()
    assert "slurmscriptd" not in cluster.processes().values()
    with pytest.raises(one_node.OneNodeError, match="slurmctld is not running"):
        cluster.daemon("stop", "slurmctld")
    cluster.daemon("start", "slurmctld")
    after = next(pid for pid, name in cluster.processes().items() if name == "slurmctld")
    assert after != before
    assert cluster.run("squeue", "-h", "-j", job, "-o", "%T %r").stdout.strip() == "PENDING JobHeldUser"


def test_start_finds_the_running_cluster_and_completes_it(cluster):
    def daemons():
        return {pid for pid, name in cluster.processes().items() if name in ("munged", "slurmctld")}

    before = daemons()
    cluster.daemon("kill", "slurmd", node="n1")
    done = script("start", "--dir", cluster.folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"export SLURM_CONF={cluster.slurm_conf}\n"
    assert daemons() == before and "slurmd" in cluster.processes().values()
    other = script("start", "--dir", cluster.folder, "--gpus", "1")
    assert other.returncode == 2 and "has other options" in other.stderr
    shown = script("status", "--dir", cluster.folder)
    assert shown.returncode == 0 and "slurmd.n1: " in shown.stdout and "not running" not in shown.stdout


def test_two_clusters_live_side_by_side_and_one_ends_alone(cluster, tmp_path_factory):
    with one_node.OneNode(tmp_path_factory.mktemp("slurm") / "two", nodes=2, gpus=0) as other:
        assert other.run("sinfo", "-h", "-N", "-p", "debug", "-o", "%N %T").stdout == "n1 idle\nn2 idle\n"
        assert not set(other.processes()) & set(cluster.processes())
    assert other.processes() == {} and not other.folder.exists()
    assert cluster.run("sinfo", "-h", "-o", "%T").stdout.split()


def test_stop_ends_jobs_and_daemons_and_removes_the_folder(cluster, wait_until):
    """Also with the controller dead, when nobody can be asked to cancel the job; the user's shell is spared."""
    marker = cluster.folder / "run" / "runs"
    cluster.run("sbatch", "--output=/dev/null", "--wrap", f"touch {marker}; sleep 600")
    wait_until(marker.exists)
    wait_until(lambda: {"slurmstepd", "sleep"} <= set(cluster.processes().values()))
    cluster.daemon("kill", "slurmctld")
    shell = subprocess.Popen(["sleep", "60"], env={**os.environ, **cluster.environment()})
    try:
        done = script("stop", "--dir", cluster.folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert cluster.processes() == {} and not cluster.folder.exists()
        assert shell.poll() is None
    finally:
        shell.kill()
        shell.wait()
    assert script("stop", "--dir", cluster.folder).returncode == 0  # nothing there is fine


def test_accounting_remembers_a_finished_job(tmp_path_factory, need, wait_until):
    need(accounting=True)
    place = tmp_path_factory.mktemp("slurm") / "sql"
    try:
        done = script("start", "--dir", place, "--accounting", "--gpus", "0")
        assert done.returncode == 0, done.stderr
        cluster = one_node.OneNode(place)
        assert {"mariadbd", "slurmdbd"} <= set(cluster.processes().values())
        assert cluster.run("srun", "--job-name=seven", "sh", "-c", "exit 7").returncode == 7
        line = ("sacct", "-n", "-X", "-P", "--name=seven", "-o", "State,ExitCode")
        assert wait_until(lambda: cluster.run(*line).stdout.strip()) == "FAILED|7:0"
    finally:
        one_node.OneNode(place).stop()
    assert cluster.processes() == {} and not place.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["start", "--set", "MaxArraySize=11\nSlurmUser=x"], "line break"),
        (["start", "--set", "MaxArraySize"], "is not Key=Value"),
        (["start", "--set", "SlurmctldPort=1"], "is started and stopped by it"),
        (["start", "--set", "MailProg=/bin/true \\"], "backslash"),
        (["start", "--nodes", "0"], "--nodes is 0; a number from 1 to 32"),
        (["start", "--gpus", "two"], "two"),
        (["daemon", "hit", "slurmd"], "hit"),
        (["begin"], "begin"),
        (["status"], "no cluster of one_node.py in"),
    ],
)
def test_bad_options_are_one_line_and_status_2(arguments, message, tmp_path):
    at = ["--dir", tmp_path / "none"] if arguments != ["begin"] else []
    done = script(*arguments, *at)
    assert done.returncode == 2 and done.stdout == ""
    assert message in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["with space", "comma,", "percent%n", "x" * 100])
def test_folders_that_slurm_conf_cannot_name_are_refused(name, tmp_path):
    with pytest.raises(one_node.BadOption, match="--dir"):
        one_node.OneNode(tmp_path / name)


def test_an_unknown_key_leaves_nothing_behind(tmp_path_factory, need):
    need(accounting=False)
    place = tmp_path_factory.mktemp("slurm") / "bad"
    done = script("start", "--dir", place, "--set", "MaxArraySizes=11")
    assert done.returncode == 2 and "unrecognized key: MaxArraySizes" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert one_node.OneNode(place).processes() == {} and not place.exists()


@pytest.mark.parametrize("content", [None, "{}", "[1]", '{"settings": {}, "site": {"folder": "/"}}', "\x00"])
def test_foreign_folders_are_left_alone(content, tmp_path, need):
    need(accounting=False)
    (tmp_path / "thesis.tex").write_text("years of work")
    if content is not None:
        (tmp_path / "one-node.json").write_text(content)
    for command in ("stop", "start"):
        done = script(command, "--dir", tmp_path)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    assert script("stop", "--dir", link).returncode == 2
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_missing_packages_are_named_with_the_line_that_installs_them(tmp_path):
    done = script("start", "--dir", tmp_path / "none", "--accounting", env={"PATH": str(tmp_path)})
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "sbatch" in done.stderr and "mariadb-install-db" in done.stderr
    assert "apt-get install -y --no-install-recommends munge slurm-wlm slurmdbd mariadb-server" in done.stderr
    assert not (tmp_path / "none").exists()


def test_it_is_importable_as_part_of_the_package():
    module = importlib.import_module("bench.slurm.one_node")
    assert Path(module.__file__).samefile(SCRIPT)
    assert module.OneNode("/tmp/never-made").environment() == {"SLURM_CONF": "/tmp/never-made/slurm.conf"}
