"""`bench bundle` and `bench merge`: runs as a file for others, and runs of others in one's own store."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bench.cli import completing
from bench.cli.all_tables import every_table
from bench.cli.made_options import made_options
from bench.cli.options import store_option, table_with
from bench.errors import UserError
from bench.launch.progress import counted
from bench.plan.expand import Table
from bench.plan.joint import ALL
from bench.plan.waiting import to_come
from bench.store.runs import Store

if TYPE_CHECKING:
    from bench.store.merging import Merged

MOST_NAMED = 10  # runs of one source that are named as not taken
OF_A_TABLE = ("scale", "rows", "columns", "seeds", "methods", "settings", "references")


@click.command()
@click.argument("tables", nargs=-1, shell_complete=completing.tables_or_all)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE.zip",
              help="The file to write.")  # fmt: skip
@click.option("--force", is_flag=True, help="Also in the place of a file that is there.")
@made_options
def bundle(
    tables: tuple[str, ...], output: Path, force: bool, scale: str, store: Store, plugins: list[str], **choice: Any
) -> None:
    """The records and samples of finished runs as one zip file for others: no weights, with checksums.

    TABLE: the runs that `bench report TABLE` reads, with what they were made from. ALL is every table at a scale;
    without TABLE it is every finished run of the store. The same runs give the same bytes. `bench merge` takes it in.

    It has every option of `bench run`. Those that say how work is done (--jobs, --device, --retry, --no-train and so
    on) change nothing: nothing starts here.
    """
    from bench.store.bundle import write_bundle

    if output.exists() and not force:
        raise UserError(f"{output} is there already; --force writes in its place")
    if not output.parent.is_dir():
        raise UserError(f"{output}: there is no folder {output.parent}")
    uids = _of_tables(tables, scale, store, choice) if tables else _of_the_store(store)
    written = write_bundle(output, store, uids)
    click.echo(f"wrote {written.path}: {counted(written.runs)}, {written.members} files, {_size(written.size)}")
    click.echo(f"sha256 of its manifest: {written.manifest_sha256}")
    for line in _listed(written.left_out, "left out"):
        click.echo(line)


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=click.Path(path_type=Path))
@click.option("--keep", type=click.Choice(["store", "source"]),
              help="Where two runs of one name differ: the store's stays, or makes way (it goes to set-aside/) "
                   "[default: neither, and exit status 2].")  # fmt: skip
@store_option
def merge(sources: tuple[Path, ...], keep: Any, store: Store) -> int:
    """Take the finished runs of other stores, and of bundles, into the store of --store.

    A run that is there with the same result is counted. One with another result is named, and neither is overwritten.
    Runs that are not finished, or that a worker has, are not taken. From a store weights come too. Interrupted, the
    same command continues. A bundle is compared with its checksums before anything is written.
    """
    from bench.store.merging import Source
    from bench.store.merging import merge as merged_from

    conflicts = 0
    with ExitStack() as opened:
        # Every source is checked before the first run is taken
        every = [Source(path) for path in sources]
        for source in every:
            opened.callback(source.close)
        for source in every:
            if source.bundle is not None:
                click.echo(f"{source.path}: sha256 of its manifest: {source.bundle.manifest_sha256}")
            merged = merged_from(source, store, keep)
            _tell(source.path, merged)
            conflicts += len(merged.conflicts)
    click.echo(f"{store.root}: {counted(len(store.uids()))} now")
    if conflicts:
        click.echo(
            f"{counted(conflicts, 'conflict')}: nothing is overwritten; --keep store leaves them so, "
            "--keep source sets the store's aside",
            err=True,
        )
    return 2 if conflicts else 0


def _of_the_store(store: Store) -> list[str]:
    context = click.get_current_context()
    for name in OF_A_TABLE:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = next(one.opts[-1] for one in context.command.params if one.name == name)
            raise UserError(f"{option} is of a table: name it, or ALL for every table; without, it is the whole store")
    return store.uids()


def _of_tables(names: tuple[str, ...], scale: str, store: Store, choice: dict[str, Any]) -> list[str]:
    """The runs that the reports of these tables read, with their sources, as far as the store has them."""
    chosen = choice["settings"], choice["methods"], choice["columns"]
    if ALL in names:
        every = every_table(scale, choice)
        tables = [spec for spec in every if to_come(spec) is None]
    else:
        tables = [table_with(name, *chosen) for name in names]
    uids: dict[str, None] = {}
    for spec in tables:
        uids |= dict.fromkeys(_of_table(spec, scale, store, choice))
    return list(_with_sources(uids, store))


def _of_table(spec: Table, scale: str, store: Store, choice: dict[str, Any]) -> list[str]:
    """The runs of a table's report, and those of the cells of other tables that its claims compare with."""
    from bench.cli.chosen_results import chosen_results
    from bench.plan.claims import told_with
    from bench.report.results import load_results
    from bench.spec.operand import cells_in

    chosen, _ = chosen_results(spec, scale, store, choice)
    uids = [str(uid) for uid in chosen["uid"].unique()]
    if choice["rows"] is not None or choice["columns"] is not None:
        return uids
    # A claim names the row, and perhaps the column, of another table
    others: dict[str, set[str]] = {}
    for cell in (cell for claim in told_with(spec) for cell in cells_in(claim)):
        if cell.table not in (None, spec.name):
            others.setdefault(str(cell.table), set()).add(cell.row)
    for name, rows in others.items():
        other = table_with(name, choice["settings"])
        if scale in other.scales and to_come(other) is None:
            lines = load_results(other, scale, store, seeds=choice["seeds"])
            uids += [str(uid) for uid in lines.loc[lines["row"].isin(rows), "uid"].unique()]
    return uids


def _with_sources(uids: dict[str, None], store: Store) -> dict[str, None]:
    """The runs of the store among these, and those that they start from or look at."""
    found: dict[str, None] = {}
    waiting = list(uids)
    while waiting:
        uid = waiting.pop()
        if uid in found or not store.folder(uid).spec_file.exists():
            continue
        found[uid] = None
        waiting += [source.uid for source in store.folder(uid).spec().run_sources.values()]
    return found


def _tell(path: Path, merged: Merged) -> None:
    """What came of a source's runs, a line for each that is not as one would wish."""
    counts = {
        "copied": len(merged.copied),
        "the same as here": len(merged.same),
        "given the weights that were missing here": len(merged.completed),
        "in the place of the store's": len(merged.replaced),
        "left as the store has them": len(merged.kept),
        "in conflict": len(merged.conflicts),
        "not taken": len(merged.not_taken),
    }
    words = ", ".join(f"{number} {what}" for what, number in counts.items() if number) or "no run"
    click.echo(f"{path}: {words}")
    for uid, why in merged.conflicts.items():
        click.echo(f"conflict: {uid}: {why}", err=True)
    for line in _listed(merged.not_taken, "not taken"):
        click.echo(line)


def _listed(why: dict[str, str], what: str) -> list[str]:
    """A line for each of the first runs, and how many more there are."""
    lines = [f"{what}: {uid}: {reason}" for uid, reason in list(why.items())[:MOST_NAMED]]
    return lines + [f"{what}: {len(why) - MOST_NAMED} more"] * (len(why) > MOST_NAMED)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
