"""Every training of FastGAN's tables at scale paper is one whose step is rehearsed, and the list rehearses no other."""

from __future__ import annotations

from bench.rehearsal.configurations import load_configurations
from sheets import trainings

TRAINED = (
    "table1",
    "table2",
    "table3",
    "table4",
    "table5",
    "table6",
    "table7",
    "fig8",
    "rotation",
    "losses",
    "quarter",
)
# Not listed, as a listed one has the same passes (other losses) or all of them and more (FastGAN with its decoders).
LESS = ("losses", "fig8 skip", "table4 baseline/ffhq-70k")
OF_A_STEP = ("batch", "d_steps", "g_lr", "d_lr", "beta1", "beta2", "hinge_margin", "share_fakes", "batch_statistics")


def computation(spec, batch):
    """What a step computes: method, network, optimisation without its length, and the batch of the paper."""
    train = {key: getattr(spec.train, key) for key in OF_A_STEP} | {"batch": batch}
    options = tuple(sorted(spec.network.options.items()))
    return (str(spec.method), spec.network.name, options, spec.train.loss, *train.items())


def test_what_is_trained_is_what_is_rehearsed():
    _, listed = load_configurations()
    rehearsed = {computation(one.run_spec(), one.batch): one.id for one in listed if one.id.startswith("fastgan")}
    trained = {
        computation(spec, spec.train.batch): f"{name} {'/'.join(cell)}"
        for name in TRAINED
        for cell, spec in trainings(f"sle/{name}").items()
    }
    unlisted = {name for step, name in trained.items() if step not in rehearsed}
    assert {name for name in unlisted if not name.startswith(LESS)} == set()
    assert {name for step, name in rehearsed.items() if step not in trained} == set()
