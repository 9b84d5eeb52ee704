"""The generated parts of docs/cost.md: the cards' rates, their errors and measured steps, and what is not counted."""

from __future__ import annotations

from bench.plan.cost.model import measured_cards
from bench.plan.cost.steps import Step, counted_steps
from bench.plan.cost.work import Work
from docs.grid import grid


def cost_cards() -> str:
    """Each card's coefficients and errors."""
    head = ("card", "`--card`", "steps", "constant, s", "s/TFLOP", "s/GB", "error", "each left out", "factor",
            "without bytes", "operations alone")  # fmt: skip
    body = [
        (
            card.name, f"`{short}`" if card.suffices else "-", str(len(card.steps)), f"{card.constant:.3f}",
            f"{card.per_tflop:.4f}", f"{card.per_gigabyte:.4f}", f"{card.error:.0%}", f"{card.left_out_error:.0%}",
            f"{card.factor:.2f}", f"{card.error_without_bytes:.0%}", f"{card.error_of_operations_alone:.0%}",
        )
        for short, card in measured_cards().items()
    ]  # fmt: skip
    return grid(head, body)


def cost_points() -> str:
    """The measured steps, and what the model makes of them."""
    body = [
        (
            card.name,
            what,
            f"{tflop:.3g}",
            f"{gigabytes:.3g}",
            f"{seconds:.3g}",
            f"{model:.3g}",
            f"{model / seconds:.2f}",
        )
        for card in measured_cards().values()
        for what, tflop, gigabytes, seconds in card.steps
        if (model := card.seconds(Work(tflop, gigabytes)))
    ]
    return grid(("card", "step", "TFLOP", "GB", "measured, s", "model, s", "model / measured"), body)


def cost_counted() -> str:
    """How many steps are counted, and of how many a part of the method is not."""
    rows = list(counted_steps().values())
    known, unknown = [step for step in rows if step.work], [step for step in rows if not step.work]
    partly = [step for step in known if step.left_out]
    return (
        f"The tables train {len(rows)} different steps at scales paper and midi. The work of {len(unknown)} is not "
        f"known ({_parts(unknown)}). That of {len(partly)} is without what these parts add, which no rehearsal on the "
        f"same network has shown yet: {_parts(partly)}."
    )


def _parts(steps: list[Step]) -> str:
    return ", ".join(f"`{part}`" for part in sorted({part for step in steps for part in step.left_out}))
