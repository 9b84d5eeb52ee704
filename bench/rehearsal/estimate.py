"""Estimates the operations, memory and hours of a training on a GPU from a rehearsed step, and prints their table.

Operations of the paper's step are those of its networks by the formula of `bench.plan.cost.work`, and what the method
adds (penalties, further passes, decoders), counted while the step ran: the operations of its convolutions and matrix
products, backward passes included. Hours are by the model of a card that plans use (`bench.plan.cost.model`), from the
operations and the bytes of activations that the networks keep in a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.plan.cost.model import USUAL, Span, card_of
from bench.plan.cost.steps import work_of
from bench.plan.cost.work import PerImage, Work, step_flops
from bench.rehearsal.configurations import Configuration, RehearsalOutcome

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
    gpu_hours: Span | None  # on the card USUAL; None where the bytes that a step keeps are not known


def estimate(configuration: Configuration, measured: dict[str, Any]) -> Estimate:
    """The estimate from a measurement of `bench.rehearsal.step`.

    Kept activations scale with the images at once, and counted operations with the batch. The rehearsed step has all
    terms, also those that a training has every n-th step only. The operations beyond the formula are therefore divided
    by the least such n.
    """
    formula = 0.0 if measured["own_loop"] else _formula_flops(configuration, measured["macs"])
    counted = measured["flops"] * configuration.batch / configuration.images_run
    least = min((every for part in configuration.parts if (every := _every(part.settings)) > 1), default=1)
    step = counted if least == 1 else formula + max(0.0, counted - formula) / least
    return Estimate(_gpu_bytes(configuration, measured), formula, step, gpu_hours(configuration, step))


def gpu_hours(configuration: Configuration, flops: float) -> Span | None:
    """Low, expected and high hours of the paper's steps of so many operations each, on the card USUAL.

    None where the bytes that the networks keep are not known: a loop or a D of the method's own.
    """
    counted = work_of(configuration.paper_spec())
    if counted is None:
        return None
    work = Work(flops / 1e12, counted.gigabytes)
    return card_of(USUAL).span(work, configuration.steps).times(1 / 3600)


def _formula_flops(configuration: Configuration, macs: dict[str, int]) -> float:
    train = configuration.paper_spec().train
    assert train is not None
    return step_flops(PerImage(macs["generator"], macs["discriminator"]), train)


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
            "GPU hours": None if guess.gpu_hours is None else list(guess.gpu_hours),
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
        f"libraries come on top. GPU hours: expected, and in brackets low to high, on the card `{USUAL}` by the model "
        "that `bench plan` uses, from the operations of a step, counted as it ran, the activations that the networks "
        "keep in it, and the paper's steps; no data loading, no scoring."
    )


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column in ("configuration", "method", "network"):
        return f"`{value}`" if not str(value).startswith("(") else str(value)
    if column == "GPU hours":
        low, expected, high = (_digits(hours) for hours in value)
        return f"{expected} ({low} to {high})"
    if isinstance(value, float):
        return _digits(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 1 else f"{value:.1f}"
