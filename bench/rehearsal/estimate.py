"""Estimates the operations, memory and hours of a training on a GPU from a rehearsed step, and prints their table.

Operations of one step, from the networks alone. G and D are the multiply-accumulates of one image's forward pass, B is
D's batch, B' G's (the same but where `g_batch` is set) and d the number of D updates:

    2 B [ d (G + 3 * 2 D) ] + 2 B' [ 3 G + 2 D ]

A forward and backward pass costs 3 forward passes. In D's update G runs forward, and D forward and backward on real and
on generated images. In G's update G runs forward and backward. D is frozen there, so that its backward pass has no
gradient of weights and both passes cost 2. Where G's update reuses the images of D's last update (`share_fakes`), one
of the d forward passes of G is saved.

What the method adds (penalties, further passes, decoders) was counted while the step ran: the operations of its
convolutions and matrix products, backward passes included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.rehearsal.configurations import Configuration, RehearsalOutcome

GPU = "V100"
PEAK_FLOPS = 15.7e12  # of a V100 in float32, as its data sheet has it
SHARE = 0.4  # of the peak that these convolutions sustain: assumed, not measured
FLOAT, MOMENTS = 4, 2  # bytes of a number; Adam's numbers for each parameter
COLUMNS = (
    "configuration", "network", "method", "batch x D steps", "rehearsed", "G, M", "D, M", "G, GMAC", "D, GMAC",
    "CPU, s", "CPU, GB", "GPU, GB", "TFLOP a step", "steps", "GPU hours",
)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """What a configuration would take on one GPU."""

    gpu_bytes: int  # weights, averages, gradients, moments, kept activations
    formula_flops: float  # of the paper's step, from the networks alone; 0 for a method with its own loop
    step_flops: float  # of the paper's step, with what the method adds
    gpu_hours: float


def estimate(configuration: Configuration, measured: dict[str, Any]) -> Estimate:
    """The estimate from a measurement of `bench.rehearsal.step`.

    Kept activations scale with the images at once, and counted operations with the batch. The rehearsed step has all
    terms, also those that a training has every n-th step only. The operations beyond the formula are therefore divided
    by the least such n.
    """
    formula = 0.0 if measured["own_loop"] else formula_flops(configuration, measured["macs"])
    counted = measured["flops"] * configuration.batch / configuration.images_run
    least = min((every for part in configuration.parts if (every := _every(part.settings)) > 1), default=1)
    step = counted if least == 1 else formula + max(0.0, counted - formula) / least
    # Seconds at the sustained rate, in hours
    hours = step * configuration.steps / (PEAK_FLOPS * SHARE) / 3600
    return Estimate(_gpu_bytes(configuration, measured), formula, step, hours)


def formula_flops(configuration: Configuration, macs: dict[str, int]) -> float:
    """Floating-point operations of the paper's step from the networks' multiply-accumulates an image."""
    g, d = macs["generator"], macs["discriminator"]
    forward = configuration.d_steps - bool(configuration.train.get("share_fakes"))
    of_g = configuration.train.get("g_batch") or configuration.batch
    return 2.0 * configuration.batch * (forward * g + configuration.d_steps * 6 * d) + 2.0 * of_g * (3 * g + 2 * d)


def _every(settings: dict[str, Any]) -> int:
    value = settings.get("every", 1)
    return value if isinstance(value, int) else 1


def _gpu_bytes(configuration: Configuration, measured: dict[str, Any]) -> int:
    generator, discriminator = (measured["networks"][role] for role in ("generator", "discriminator"))
    numbers = 2 * generator["parameters"] + discriminator["parameters"]  # G's average is as large as G
    trained = generator["trained_parameters"] + discriminator["trained_parameters"]
    at_once = configuration.micro_batch or configuration.images_run
    activations = (
        measured["activation_bytes"] / at_once * min(configuration.per_gpu or configuration.batch, configuration.batch)
    )
    return round(FLOAT * (numbers + (1 + MOMENTS) * trained) + activations)


def values(outcome: RehearsalOutcome) -> dict[str, Any]:
    """A configuration's row, column -> value; measured columns are None if there is no measurement."""
    configuration, measured = outcome.configuration, outcome.measured
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "configuration": configuration.id,
        "network": configuration.network.name,
        "method": configuration.method or "(adversarial loss alone)",
        "batch x D steps": f"{configuration.batch} x {configuration.d_steps}",
        "rehearsed": configuration.as_run,
        "steps": configuration.steps,
    }
    if measured is not None:
        guess = estimate(configuration, measured)
        for letter, role in (("G", "generator"), ("D", "discriminator")):
            row[f"{letter}, M"] = measured["networks"][role]["parameters"] / 1e6
            row[f"{letter}, GMAC"] = measured["macs"][role] / 1e9
        row |= {
            "CPU, s": measured["seconds"],
            "CPU, GB": measured["peak_bytes"] / 1e9,
            "GPU, GB": guess.gpu_bytes / 1e9,
            "TFLOP a step": guess.step_flops / 1e12,
            "GPU hours": guess.gpu_hours,
        }
    return row


def record(outcome: RehearsalOutcome) -> dict[str, Any]:
    """A configuration's row with its tables, note and problem, as `--output FILE.json` writes it."""
    configuration, measured = outcome.configuration, outcome.measured
    return {
        **values(outcome),
        "threads": None if measured is None else measured["threads"],
        "digest": configuration.digest,
        "tables": list(configuration.tables),
        "note": configuration.note,
        "problem": outcome.problem,
    }


def markdown(outcomes: Sequence[RehearsalOutcome], images: str) -> str:
    """The table of all rehearsals, with the meaning of its columns and rows."""
    return page([record(outcome) for outcome in outcomes], images)


def page(records: Sequence[dict[str, Any]], images: str) -> str:
    """The same page from records, whose numbers may have been rounded."""
    lines = [_legend(records, images), ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(_cell(column, row[column]) for column in COLUMNS) + " |" for row in records]
    lines += ["", "What each stands for, and what is declared in it:", ""]
    lines += [
        f"- `{row['configuration']}`: {'; '.join(row['tables'])}."
        + (f" {row['note']}" if row["note"] else "")
        + (f" **Not run: {row['problem']}**" if row["problem"] else "")
        for row in records
    ]
    return "\n".join(lines) + "\n"


def _legend(records: Sequence[dict[str, Any]], images: str) -> str:
    done = [row for row in records if row["threads"] is not None]
    threads = sorted({str(row["threads"]) for row in done})
    moved = "every trained network has moved and every frozen parameter has not"
    return (
        f"`bench rehearse` has run {len(done)} of {len(records)} configurations"
        + (f" with {' or '.join(threads)} CPU threads" if threads else "")
        + f": one real step each, all D updates and the G update, in a process of its own, on {images}. All losses "
        f"are finite, {moved}. Source weights are a fresh network's. G and D: parameters, conditions and what "
        "methods attach included, and multiply-accumulates of an image's forward pass. CPU: seconds and peak "
        "memory of what was rehearsed. GPU memory: weights, G's average, gradients, two moments, and the "
        "activations that were kept, scaled to the images at once on one GPU; the context and workspaces of its "
        f"libraries come on top. GPU hours: the operations of a step, counted as it ran, times the paper's steps, at "
        f"{PEAK_FLOPS * SHARE / 1e12:.1f} TFLOP/s, {SHARE:.0%} of a {GPU}'s float32 peak (assumed); no data "
        "loading, no scoring."
    )


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column in ("configuration", "method", "network"):
        return f"`{value}`" if not str(value).startswith("(") else str(value)
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 1 else f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
