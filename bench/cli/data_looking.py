"""`bench data verify|stats|show`: what is in a built data set."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from bench.cli import completing
from bench.cli.options import plugin_option
from bench.errors import UserError

resolution_option = click.option(
    "--resolution", type=click.IntRange(8, 1024), default=32, show_default=True, help="Pixels a side."
)


@click.command()
@click.argument("name", required=False, shell_complete=completing.datasets)
@resolution_option
@click.option("--all", "every", is_flag=True, help="Every data set that is built here, at each resolution.")
@plugin_option
@click.pass_context
def verify(ctx: click.Context, name: str | None, resolution: int, every: bool, plugins: list[str]) -> None:
    """Recompute a data set's checksums. Exit status 2 if a file is damaged."""
    from bench.data import verification

    given = ctx.get_parameter_source("resolution") is not click.core.ParameterSource.DEFAULT
    if every and (name or given):
        raise UserError("--all verifies every built data set; leave out NAME and --resolution")
    if not every and name is None:
        raise UserError("name a data set, or give --all")
    if name is not None:
        for finding in verification.verify(name, resolution):
            click.echo(f"{finding.verdict}: {finding.subject}: {finding.text}")
        return

    # All of them: what is wrong with one hides nothing of the others.
    damaged = total = 0
    for folder, findings in verification.verify_all():
        total += 1
        if isinstance(findings, UserError):
            damaged += 1
            click.echo(f"damaged: {folder}: {findings}")
            continue
        for finding in findings:
            click.echo(f"{finding.verdict}: {folder}: {finding.subject}: {finding.text}")
    if damaged:
        raise UserError(f"{damaged:,} of {total:,} built data sets {'is' if damaged == 1 else 'are'} damaged")
    if not total:
        click.echo("no data set is built here")


@click.command()
@click.argument("name", shell_complete=completing.datasets)
@resolution_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document; its keys are in docs/data.md.")
@plugin_option
def stats(name: str, resolution: int, as_json: bool, plugins: list[str]) -> None:
    """What is in a built data set: counts, classes, attributes, copies, colours, files, and what was left out."""
    from bench.data import summary, summary_text

    looked = summary.summarise(name, resolution)
    for line in [summary_text.as_json(looked)] if as_json else summary_text.as_lines(looked):
        click.echo(line)


@click.command()
@click.argument("name", shell_complete=completing.datasets)
@resolution_option
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE.png",
              help="The sheet [default: NAME-RESOLUTION-SPLIT.png here].")  # fmt: skip
@click.option("--split", type=click.Choice(["train", "test"]), help="[default: train]")
@click.option("--count", type=click.IntRange(1), metavar="N",
              help="Images, spread evenly over the split [default: 64].")  # fmt: skip
@click.option("--class", "class_name", metavar="CLASS", help="Of this class alone.")
@click.option("--shots", type=click.IntRange(1), metavar="N",
              help="The training images of a few-shot draw, as a run of a table draws them.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), help="Of the draw [default: 0].")
@click.option("--open", "opened", is_flag=True, help="Open the sheet with this machine's viewer.")
@plugin_option
def show(
    name: str,
    resolution: int,
    output: Path | None,
    split: Literal["train", "test"] | None,
    count: int | None,
    class_name: str | None,
    shots: int | None,
    seed: int | None,
    opened: bool,
    plugins: list[str],
) -> None:
    """Some images of a built data set on one sheet, written to a PNG."""
    from bench.data.showing import Choice, show

    if shots is None and seed is not None:
        raise UserError("--seed is of a few-shot draw; say with --shots how many images it has")
    if shots is not None and (split or count or class_name):
        raise UserError("--shots shows all images of a draw; leave out --split, --count and --class")
    path, text = show(name, resolution, Choice(split or "train", count, class_name, shots, seed or 0), output)
    click.echo(f"{path}: {text}")
    if opened and click.launch(str(path.resolve())):
        click.echo("no viewer was found to open it with", err=True)
