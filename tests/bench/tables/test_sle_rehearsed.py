"""Every training of FastGAN's tables at scale paper is one whose step is rehearsed, and the list rehearses no other."""

from __future__ import annotations

from bench.rehearsal.listing import load_configurations
from sheets import trainings

TRAINED = (*(f"table{number}" for number in range(1, 8)), "fig8", "rotation", "losses", "batch16", "quarter")
# Not listed, as other losses than hinge are the same networks and passes.
SAME_PASSES = ("losses",)
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
    assert {name for name in unlisted if not name.startswith(SAME_PASSES)} == set()
    measured = {one.id for one in listed if any(cells.startswith("sle/table1 ") for cells in one.tables)}
    assert {name for step, name in rehearsed.items() if step not in trained} <= measured, "table1 measures its steps"
