"""Site profiles: `extends`, where a mistake is looked for, names, and those that are shipped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from bench.errors import UserError
from bench.launch.slurm.profile import Profile
from bench.launch.slurm.profile_load import load_profile
from profile_files import complaint, write

SHIPPED = ["container", "gpu-cluster", "preemptible", "test-node"]


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
    said = re.sub(r"^# (?=(?!gpus_per_node|container|nodes)[a-z_]+:|  (- )?[A-Za-z])", "", keys, flags=re.MULTILINE)
    profile = Profile.model_validate(yaml.safe_load(said))  # what is commented out is right, too, but what excludes
    assert profile.sbatch and profile.setup and profile.environment and profile.slice == 480
