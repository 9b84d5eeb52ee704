"""What a cluster offers against what a profile asks; the answers of sinfo were recorded from SLURM 22.05."""

from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.launch.slurm.commands import ClusterError, run_command
from bench.launch.slurm.limits import SINFO, check_against_cluster, max_array_size, minutes, parse_sinfo
from bench.launch.slurm.profile import Profile
from bench.launch.slurm.profile_load import load_profile

# Two nodes of 4 CPUs, one with features; then partitions were drained, made inactive, taken down, and emptied.
RECORDED = """\
debug*|up|2:00:00|4|64000|gpu:fake:2|(null)
debug*|up|2:00:00|4|64000|gpu:fake:2|a100,ib
short|drain|1:00|4|64000|gpu:fake:2|(null)
short|drain|1:00|4|64000|gpu:fake:2|a100,ib
low|down|infinite|4|64000|gpu:fake:2|(null)
low|down|infinite|4|64000|gpu:fake:2|a100,ib
high|inactive|1-12:30:00|4|64000|gpu:fake:2|(null)
high|inactive|1-12:30:00|4|64000|gpu:fake:2|a100,ib
empty|up|infinite|0|0|(null)|(null)
"""
# The forms that a larger site's nodes take (sockets of GPUs, several kinds, no GPUs), in the same columns.
LARGE = """\
gpu|up|2-00:00:00|64|512000|gpu:a100:4(S:0-1),mps:400|a100,ib
gpu|up|2-00:00:00|128|256000|gpu:2080ti:8(S:0,1),gpu:v100:2(S:1)|old
cpu|up|30:00|256|1024000|(null)|amd
"""


def answering(text):
    """A stand-in for run_command; it remembers what was asked."""

    def run(command):
        asked.append(command)
        return text

    asked = []
    run.asked = asked
    return run


def refusal(text, **keys):
    with pytest.raises(UserError) as caught:
        check_against_cluster(Profile(**{"time": "1h", **keys}), answering(text))
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1:00", 1), ("30:00", 30), ("2:00:00", 120), ("1-12:30:00", 2190), ("0:30", 0), ("365-00:00:00", 525600),
     ("infinite", None), ("UNLIMITED", None)],
)  # fmt: skip
def test_time(text, expected):
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["", "n/a", "5", "1-", "1:2:3:4", "a:b", "-1:00"])
def test_no_time(text):
    with pytest.raises(ValueError, match="is no time"):
        minutes(text)


def test_partitions_as_recorded():
    found = parse_sinfo(RECORDED)
    assert list(found) == ["debug", "short", "low", "high", "empty"]
    assert [one.limit for one in found.values()] == [120, 1, None, 2190, None]
    assert [one.name for one in found.values() if one.default] == ["debug"]
    assert found["empty"].nodes == [] and len(found["debug"].nodes) == 2
    assert found["debug"].nodes[1].gpus == (("fake", 2),) and found["debug"].nodes[1].features == (
        "a100",
        "ib",
    )


def test_gpus_of_several_kinds():
    first, second = parse_sinfo(LARGE)["gpu"].nodes
    assert first.gpus == (("a100", 4),) and second.gpus == (("2080ti", 8), ("v100", 2))
    assert second.has((("", 10),)) and not second.has((("", 11),)) and not first.has((("v100", 1),))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"partition": "debug", "time": "2h", "cpus": 4, "memory": "64000MB", "gres": "gpu:2"},
        {"partition": "debug", "gres": "gpu:fake:1", "constraint": "ib"},
        {"partition": "debug", "gpus_per_node": "FAKE:2"},
        {"partition": "low", "time": "60d"},  # without a limit; down: jobs wait there
        {"partition": "short,debug"},  # one that fits is enough
        {"constraint": "gone|a100"},  # an expression is left to sbatch
    ],
)
def test_what_fits(keys):
    run = answering(RECORDED)
    check_against_cluster(Profile(**{"time": "1h", **keys}), run)
    assert run.asked == [SINFO]


@pytest.mark.parametrize(
    ("text", "keys", "expected"),
    [
        (RECORDED, {"partition": "dbug"}, "partition: dbug is not on this cluster; did you mean 'debug'?"),
        (RECORDED, {"partition": "debug,gone"}, "partition: gone is not on this cluster; known: debug, "),
        (LARGE, {}, "partition: the cluster has no default; name one: cpu, gpu"),
        (RECORDED, {"partition": "short", "time": 1}, "partition: short takes no jobs (its state is drain)"),
        (RECORDED, {"partition": "high"}, "partition: high takes no jobs (its state is inactive)"),
        (RECORDED, {"partition": "empty"}, "partition: empty has no nodes"),
        (RECORDED, {"time": "2h1m"}, "time: 121m is over the limit of partition debug, 120m"),
        (RECORDED, {"cpus": 5}, "cpus: 5: no node of partition debug has that; the most is 4"),
        (RECORDED, {"memory": "64001MB"}, "memory: 64001MB: no node of partition debug has that; the most is 64000MB"),
        (RECORDED, {"gres": "gpu:3"}, "gres: gpu:3: no node of partition debug has that; there is 4 CPUs, "),
        (RECORDED, {"gpus_per_node": "a100:1"}, "gpus_per_node: a100:1: no node of partition debug has that"),
        (RECORDED, {"constraint": "a10"}, "constraint: a10: no node of partition debug has that; did you mean 'a100'?"),
        (LARGE, {"partition": "cpu", "time": 5, "gres": "gpu:1"}, "gres: gpu:1: no node of partition cpu has that"),
        (LARGE, {"partition": "gpu", "gres": "gpu:v100:1", "memory": "400GB"},
         "cpus: 1, memory: 409600MB, gres: gpu:v100:1: no node of partition gpu has all of it; there is 128 CPUs"),
        (LARGE, {"partition": "gpu,cpu", "time": "3d"}, "time: 4320m is over the limit of partition gpu, 2880m"),
        ("", {"partition": "gpu"}, "partition: gpu is not on this cluster; known: none"),
        ("CLUSTER: other\n", {}, "sinfo: answered 'CLUSTER: other', which is not understood"),
        ("debug*|up|soon|4|64000|(null)|(null)\n", {}, "sinfo: answered "),
        ("debug*|up|1:00|4+|64000|(null)|(null)\n", {}, "sinfo: answered "),
    ],
)  # fmt: skip
def test_what_does_not_fit(text, keys, expected):
    assert refusal(text, **keys).startswith(expected)


def silent(command):
    raise ClusterError(f"{command[0]}: Unable to contact slurm controller (connect failure)")


@pytest.mark.parametrize("ask", [max_array_size, lambda run: check_against_cluster(Profile(time=5), run)])
def test_a_cluster_that_does_not_answer(ask, monkeypatch, tmp_path):
    with pytest.raises(UserError, match="Unable to contact slurm controller .*; submit where"):
        ask(silent)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="(sinfo|scontrol) is not on this machine"):
        ask(run_command)
    with pytest.raises(ClusterError):  # for who wants to go on without
        ask(run_command)


def test_largest_array():
    text = "MaxArraySize            = 1001\nMaxArraySizeOther = 5\n"
    run = answering(f"Configuration data as of 2026-11-22T04:49:46\nAccountingStorage = x\n{text}MaxBatchRequeue = 5\n")
    assert max_array_size(run) == 1001
    assert run.asked == [["scontrol", "show", "config"]]
    with pytest.raises(UserError, match="does not tell MaxArraySize"):
        max_array_size(answering("Configuration data\n"))


def test_the_test_profile_fits_the_test_cluster():
    """What sinfo says of the cluster that slurm/one_node.py starts with its defaults."""
    check_against_cluster(load_profile("test-node"), answering("debug*|up|2:00:00|4|64000|gpu:pretend:2|(null)\n"))


@pytest.mark.parametrize("key", ["nodelist", "exclude"])
def test_nodes_that_a_profile_names_are_on_the_cluster(key):
    """scontrol spells lists out: the profile's n[1-3] is three names."""
    answers = {"scontrol": "n1\nn2\nn3\n", "--Node": "n1\nn2\nn2\nm1\n"}

    def run(command):
        return next((text for word, text in answers.items() if word in command), RECORDED)

    with pytest.raises(UserError, match=f"{key}: n3 is not on this cluster; did you mean 'n"):
        check_against_cluster(Profile(**{"time": "1h", key: "n[1-3]"}), run)
    answers["--Node"] += "n3\n"
    check_against_cluster(Profile(**{"time": "1h", key: "n[1-3]"}), run)
