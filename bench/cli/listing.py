"""`bench list` and `bench networks`."""

from __future__ import annotations

import click

from bench.cli.options import plugin_option, store_option
from bench.contract.discovery import methods
from bench.data.known import datasets
from bench.store.runs import Store

KINDS = ("methods", "datasets", "networks", "metrics", "measures", "extractors", "tables", "recorded")


@click.command("list")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@plugin_option
@store_option
def list_(kind: str | None, plugins: list[str], store: Store) -> None:
    """What there is, one line each.

    KIND is methods, datasets, networks, metrics, measures (of finished runs), extractors, tables or recorded (sets);
    without it, all of them. Of tables also what the store has of them and what they cost.
    """
    for each in [kind] if kind else KINDS:
        if not kind:
            click.echo(f"{each}:")
        entries = _entries(each, store)
        width = max((len(name) for name, _ in entries), default=0)
        for name, summary in entries:
            click.echo(f"{'' if kind else '  '}{name:<{width}}  {summary}".rstrip())


@click.command()
@click.argument("name", required=False)
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="e.g. --set condition_dim=512")
def networks(name: str | None, settings: tuple[str, ...]) -> None:
    """Parameter counts of all networks, or layer shapes of one; nothing is allocated."""
    from bench.networks import names
    from bench.networks.describe import describe
    from bench.plan.load import parse_setting

    options = dict(parse_setting(text) for text in settings)
    if name is None:
        sizes = ("generator", "discriminator")
        click.echo(f"{'network':<12} {sizes[0]:>14} {sizes[1]:>14} {'G MMAC/image':>13} {'D MMAC/image':>13}")
    for each in [name] if name else names():
        network = describe(each, **options)
        # Without a name a line for each network, else all layers
        if name is None:
            click.echo(
                f"{each:<12} {network.generator.parameters:>14,} {network.discriminator.parameters:>14,} "
                f"{network.generator.macs / 1e6:>13,.1f} {network.discriminator.macs / 1e6:>13,.1f}"
            )
            continue
        for role, half in (("generator", network.generator), ("discriminator", network.discriminator)):
            work = f"{half.macs / 1e6:,.1f} M multiply-adds an image"
            click.echo(f"{role} of {each}: {half.parameters:,} parameters, {work}")
            click.echo(f"  {', '.join(half.capabilities)} (bench.networks.interface)")
            for layer in half.layers:
                shape = "x".join(str(size) for size in layer.shape or ())
                click.echo(f"  {layer.name:<44} {shape:<16} {layer.parameters:>12,}")


def _entries(kind: str, store: Store) -> list[tuple[str, str]]:
    # Methods, data, networks, extractors
    if kind == "methods":
        return [(entry.name, entry.summary) for entry in methods()]
    if kind == "datasets":
        return [(entry.name, entry.summary) for entry in datasets()]
    if kind == "networks":
        from bench.networks import summaries

        return sorted(summaries().items())
    if kind == "extractors":
        from bench.features import available, extractors

        return [(entry.name, f"{entry.summary}{_lacking(available(entry.name))}") for entry in extractors()]
    # What is measured of images and of runs
    if kind == "metrics":
        from bench.metrics import PYTHON_ONLY
        from bench.metrics.measures import measures

        return sorted([*((entry.name, entry.summary) for entry in measures()), *PYTHON_ONLY.items()])
    if kind == "measures":
        from bench.evaluate.registry import run_measures

        return [(entry.name, entry.summary) for entry in run_measures()]
    # What there is in records and tables
    if kind == "recorded":
        from bench.report.recorded import holdings, recorded_sets

        return [(name, "; ".join(f"{table} at {scale}: {runs} runs" for table, scale, runs in holdings(name)))
                for name in recorded_sets()]  # fmt: skip
    from bench.cli.table_list import table_lines

    return table_lines(store)


def _lacking(reason: str | None) -> str:
    return "; cannot be used here, see `bench doctor`" if reason else ""
