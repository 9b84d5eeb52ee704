"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from bench.cli import completing
from bench.cli.cost_lines import budget_option, card_option
from bench.errors import UserError
from bench.launch.local.devices import KINDS, MOST_ASKED, PerGpu
from bench.plan.expand import Table
from bench.plan.folders import store_root
from bench.plan.load import load_table
from bench.plan.project import project_file
from bench.plan.runs import parse_seeds
from bench.plan.set_columns import shadowed
from bench.spec.own_rows import row_id, split_label
from bench.spec.table import SCALES
from bench.store.runs import Store

Function = TypeVar("Function", bound=Callable[..., Any])
Option = Callable[[Callable[..., Any]], Callable[..., Any]]  # what click.option() and the functions here decorate with


def store_option(function: Function) -> Function:
    """--store DIR; the value is a Store."""
    return click.option(
        "--store", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
        callback=lambda ctx, param, value: Store(value or store_root()),
        help="Where runs are kept [default: $BENCH_STORE, the project file's, or results/runs].",
    )(function)  # fmt: skip


def say_if_absent(store: Store) -> None:
    """A note on stderr where the store that is looked at is not there: a misspelt one would read as an empty one."""
    if not store.root.is_dir():
        click.echo(f"note: there is no store {store.root} (--store, $BENCH_STORE): no run is in it", err=True)


def plugin_option(function: Function) -> Function:
    """--plugin FILE.py: files loaded before anything else, with the project file's; the value is the list of all."""
    return click.option(
        "--plugin", "plugins", multiple=True, metavar="FILE.py", is_eager=True, callback=_load_plugins,
        help="A file with methods, data sets or scores of your own; may be repeated.",
    )(function)  # fmt: skip


def scale_option(function: Function) -> Function:
    """--scale: the scale of a table; the default is the project file's, or smoke."""
    return click.option(
        "--scale", type=click.Choice(SCALES), default=_usual_scale, show_default="the project file's, or smoke",
        help="smoke: seconds a run; mini: minutes; midi: two minutes of a GPU; paper: the paper's protocol, on GPUs.",
    )(function)  # fmt: skip


def starting_options(function: Function) -> Function:
    """--retry, --rerun: start runs that would otherwise be left alone."""
    retry = click.option(
        "--retry",
        type=click.Choice(["failed", "lost", "stale", "all"]),
        help="Also start failed or lost runs, or train stale ones (made from other inputs) anew.",
    )
    rerun = click.option(
        "--rerun", is_flag=True,
        help="Also do the rows' finished runs again; the old ones are kept in set-aside/ of the store.",
    )  # fmt: skip
    return retry(rerun(function))


def training_option(function: Function) -> Function:
    """--no-train: start nothing that trains."""
    return click.option(
        "--no-train", is_flag=True,
        help="Train nothing: evaluate the runs that are there, and say what was left out.",
    )(function)  # fmt: skip


def selection_options(function: Function) -> Function:
    """--rows, --columns, --seeds, --method, --set: which runs of a table are meant, for every verb alike."""
    options = [
        click.option(
            "--rows", callback=_names, metavar="A,B", shell_complete=completing.rows,
            help="Rows by id, or by label where they are your own; 'controls' for the control rows.",
        ),
        click.option(
            "--columns", callback=_names, metavar="A,B", shell_complete=completing.columns,
            help="Columns by id; of a table that has no such column, a data set by its name, your own too.",
        ),
        click.option("--seeds", callback=_seeds, metavar="0..2", help="Seeds [default: the table's]."),
        click.option(
            "--method", "methods", multiple=True, metavar="[LABEL=]EXPR", shell_complete=completing.methods,
            help="Add a row of your own, e.g. 'mine + disp', or with a label 'ours=mine + disp'; 'ours@GROUP=...' has "
            "the settings of a group of rows; may be repeated.",
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="KEY=VALUE",
            help="Runs with another setting, e.g. --set train.steps=50; may be repeated.",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def run_options(function: Function) -> Function:
    """--table, --scale and `selection_options`: choose among runs of the same name (bench.cli.finding)."""
    table = click.option(
        "--table", metavar="TABLE", shell_complete=completing.tables, help="Of this table [default: every table]."
    )
    scale = click.option("--scale", type=click.Choice(SCALES), help="At this scale [default: every scale].")
    return table(scale(selection_options(function)))


def work_options(*own: Option) -> Option:
    """TABLE and the options of the verbs that plan a table's work or do it: plan, run, submit. own: options of one."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        which: list[Option] = [
            click.argument("table", shell_complete=completing.tables_or_all),
            scale_option,
            selection_options,
        ]
        how: list[Option] = [starting_options, training_option, references_option, budget_option, card_option]
        for option in reversed([*which, *how, *own, plugin_option, store_option]):
            function = option(function)
        return function

    return decorate


def snapshot_options(function: Function) -> Function:
    """--snapshot, --allow-stale: which weights of a finished run are taken, and whether they may be stale."""
    snapshot = click.option(
        "--snapshot", type=click.Choice(["best", "final"]), default="final", show_default=True,
        help="The run's last weights, or those of its best snapshot by the first score of its protocol.",
    )  # fmt: skip
    stale = click.option(
        "--allow-stale", is_flag=True, help="Also of a run that was made from other inputs than are here now."
    )
    return snapshot(stale(function))


def references_option(function: Function) -> Function:
    """--no-references: leave out the table's reference points (floor, memorised)."""
    return click.option(
        "--references/--no-references", default=True, show_default=False,
        help="Leave out the table's reference points.",
    )(function)  # fmt: skip


def metric_option(function: Function) -> Function:
    """--metric: which scores are shown."""
    return click.option(
        "--metric",
        "metrics",
        callback=_names,
        metavar="A,B",
        shell_complete=completing.metrics,
        help="Metrics by name (see bench list metrics).",
    )(function)


def recorded_option(function: Function) -> Function:
    """--recorded: a recorded set that fills in."""
    return click.option(
        "--recorded", metavar="NAME", shell_complete=completing.recorded,
        help="Fill in from a recorded set what the store lacks.",
    )(function)  # fmt: skip


def measures_option(function: Function) -> Function:
    """--measures: which scores are taken."""
    return click.option(
        "--measures", callback=_names, metavar="A,B",
        help="Only these scores, or others than the protocol's: NAME, NAME:EXTRACTOR or NAME:EXTRACTOR:K; or measures "
        "of images (data-copying, nearest): NAME:EXTRACTOR:SETTING=VALUE.",
    )(function)  # fmt: skip


def recorded_root_option(function: Function) -> Function:
    """--root: the folder of recorded sets to write to."""
    return click.option(
        "--root", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
        help="Where the set is kept [default: the first folder of $BENCH_RECORDED, else of the project file, "
        "else the project's results/recorded].",
    )(function)  # fmt: skip


def device_option(function: Function) -> Function:
    """--device: where runs train."""
    return click.option(
        "--device", type=click.Choice(KINDS),
        help="Where runs train: auto is the visible GPUs, else the CPU [default: $BENCH_DEVICE, or auto].",
    )(function)  # fmt: skip


class _PerGpu(click.ParamType):
    """A number of runs, or "auto"."""

    name = "N|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> PerGpu:
        """The number, from 1 to 64, or "auto"."""
        if value == "auto" or (str(value).isdecimal() and 1 <= int(value) <= MOST_ASKED):
            return "auto" if value == "auto" else int(value)
        return self.fail(f"'{value}' must be a number from 1 to {MOST_ASKED}, or auto", param, ctx)


def sharing_option(function: Function) -> Function:
    """--runs-per-gpu: how many runs share a GPU."""
    return click.option(
        "--runs-per-gpu", "per_gpu", type=_PerGpu(), default=1, show_default=True, metavar="N|auto",
        help="Runs at once on each GPU, as far as its memory goes; auto: as many as its measured load has time for.",
    )(function)  # fmt: skip


def replace_option(function: Function) -> Function:
    """--replace: what a recorded set holds may go."""
    return click.option(
        "--replace", is_flag=True, help="Also put these runs in the place of others of the same row and seed."
    )(function)


def table_with(
    name: str,
    settings: Sequence[str] = (),
    methods: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    scale: str | None = None,
) -> Table:
    """The table of a name with the --set overrides, the project file's rows and those of --method.

    columns: of --columns; a data set among them that is no column of the table becomes one. scale: the only one that is
    used of the table (`load_table`).
    """
    from bench.plan.load import parse_setting

    spec = load_table(name, dict(parse_setting(text) for text in settings), columns or (), scale)
    for column in shadowed(spec, columns or ()):
        click.echo(f"note: column '{column}' is the table's; your data set of that name is no column of it", err=True)
    project = project_file()
    if project is not None and project.rows:
        # A row of --method replaces the project file's row of the same label
        labels = {split_label(text)[0] for text in methods}
        rows = [f"{label}={text}" for label, text in project.rows.items() if label not in labels]
        try:
            spec = spec.with_methods(rows)
        except UserError as error:
            raise UserError(f"{project.path}: rows: {error}") from error
    return spec.with_methods(methods)


def rows_of(choice: Mapping[str, Any]) -> list[str] | None:
    """The row ids that --rows and --method name; None if they name none."""
    own = [row_id(text) for text in choice["methods"]]
    return [*(choice["rows"] or []), *own] if own else choice["rows"]


def shown_rows(spec: Table, choice: Mapping[str, Any]) -> list[str] | None:
    """The ids of the rows that --rows and --method name, for verbs that show: printed rows may be named too."""
    names = rows_of(choice)
    if names is None:
        return None
    printed = {row.id for row in spec.rows if row.printed_only is not None}
    trained = spec.pick_rows([name for name in names if name not in printed])
    return [*(name for name in names if name in printed), *(row.id for row in trained)]


def _usual_scale() -> str:
    project = project_file()
    return (project.scale if project else None) or "smoke"


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    names = None if value is None else [name.strip() for name in value.split(",") if name.strip()]
    if names == []:
        raise UserError(f"{param.opts[0]} '{value}' names nothing; write ids with commas between, or leave it out")
    return names


def _seeds(ctx: click.Context, param: click.Parameter, value: str | None) -> list[int] | None:
    return None if value is None else parse_seeds(value)


def named_plugins(plugins: list[str]) -> list[str]:
    """The plug-ins that only the command line names; the project file's need no option."""
    project = project_file()
    always = {str(plugin.resolve()) for plugin in project.plugins} if project else set()
    return [plugin for plugin in plugins if plugin not in always]


def _load_plugins(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> list[str]:
    from bench.plugins import load_plugin

    if ctx.resilient_parsing:  # a shell completes a word: nothing of the user's is executed for that
        return []
    project = project_file()
    files: dict[str, str] = {}  # whole path -> how the user wrote it
    for path in [*(str(plugin) for plugin in (project.plugins if project else [])), *value]:
        files.setdefault(str(Path(path).resolve()), path)
    for path in files.values():
        try:
            load_plugin(path)
        except UserError as error:
            if project is None or path in value:
                raise
            raise UserError(f"{project.path}: plugins: {error}") from error
    return list(files)
