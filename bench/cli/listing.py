"""`bench list` and `bench networks`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from bench.cli import completing
from bench.cli.json_document import answer, json_option
from bench.cli.listing_document import entries
from bench.cli.options import plugin_option, store_option
from bench.store.runs import Store

KINDS = ("methods", "datasets", "networks", "metrics", "measures", "extractors", "tables", "recorded")


@click.command("list")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@json_option
@plugin_option
@store_option
def list_(kind: str | None, plugins: list[str], store: Store, as_json: bool) -> None:
    """What there is, one line each.

    KIND is methods, datasets, networks, metrics, measures (of finished runs), extractors, tables or recorded (sets);
    without it, all of them. Of tables also what the store has of them and what they cost.
    """
    if as_json:
        answer(**{each: entries(each, store) for each in ([kind] if kind else KINDS)})
        return
    for each in [kind] if kind else KINDS:
        if not kind:
            click.echo(f"{each}:")
        listed = _entries(each, store)
        width = max((len(name) for name, _ in listed), default=0)
        for name, summary in listed:
            click.echo(f"{'' if kind else '  '}{name:<{width}}  {summary}".rstrip())


@click.command()
@click.argument("name", required=False, shell_complete=completing.networks)
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="e.g. --set condition_dim=512")
@json_option
def networks(name: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Parameter counts of all networks, or layer shapes of one; nothing is allocated."""
    from bench.networks import names
    from bench.networks.describe import describe
    from bench.plan.load import parse_setting

    options = dict(parse_setting(text) for text in settings)
    if as_json:
        answer(networks=[asdict(describe(each, **options)) for each in ([name] if name else names())])
        return
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
    """(name, line) of every entry of a kind."""
    if kind == "tables":
        from bench.cli.table_list import table_lines

        return table_lines(store)
    found = entries(kind, store)
    if kind == "recorded":
        return [(one["name"], "; ".join(map(_holding, one["holds"]))) for one in found]
    return [(one["name"], f"{one['summary']}{_lacking(one.get('lacks'))}") for one in found]


def _holding(one: dict[str, Any]) -> str:
    return f"{one['table']} at {one['scale']}: {one['runs']} runs"


def _lacking(reason: str | None) -> str:
    return "; cannot be used here, see `bench doctor`" if reason else ""
