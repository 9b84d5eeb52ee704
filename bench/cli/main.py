"""The `bench` command: one module per group of verbs, imported only when its verb is called."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from click.shell_completion import CompletionItem

from bench import __version__
from bench.errors import UserError, did_you_mean

VERBS = {
    "list": (
        "bench.cli.listing:list_",
        "What there is: methods, data sets, networks, metrics, extractors, tables, recorded sets.",
    ),
    "plan": ("bench.cli.run:plan", "The runs a table needs, their status and cost; starts nothing."),
    "run": ("bench.cli.run:run", "Train what a table is missing, here, with live progress."),
    "submit": ("bench.cli.submit:submit", "The same on a SLURM cluster, as job arrays; returns at once."),
    "status": ("bench.cli.cluster:status", "What runs where: queued, running, requeued, done, failed, lost."),
    "logs": ("bench.cli.cluster:logs", "What a run's job printed, and why it failed."),
    "cancel": ("bench.cli.cluster:cancel", "Stop queued and running jobs of a table, of rows or of one run."),
    "report": ("bench.cli.report:report", "Tables with intervals beside the printed numbers, plots, claims."),
    "compare": (
        "bench.cli.compare:compare",
        "Where a method stands against recorded baselines, or rows of one's own store.",
    ),
    "recorded": ("bench.cli.printed:recorded", "The papers' printed numbers."),
    "record": ("bench.cli.record:record", "Keep finished runs as a named recorded set."),
    "bundle": ("bench.cli.sharing:bundle", "Records and samples of finished runs as one file for others."),
    "merge": ("bench.cli.sharing:merge", "Take the runs of other stores and of bundles into a store."),
    "evaluate": (
        "bench.cli.evaluate:evaluate",
        "Score a folder of images, or a finished run again, under a table's protocol.",
    ),
    "sample": ("bench.cli.sample:sample", "Images of a finished run, as PNGs or a grid."),
    "export": ("bench.cli.export:export", "The generator of a finished run, as one file for torch.load."),
    "check": ("bench.cli.check:check", "Conformance of a method, in seconds."),
    "data": ("bench.cli.data:data", "List, build, verify, describe and show data sets."),
    "networks": (
        "bench.cli.listing:networks",
        "Shapes and parameter counts, without allocating the network.",
    ),
    "weights": ("bench.cli.weights:weights", "Turn public checkpoints into this project's weights."),
    "rehearse": (
        "bench.cli.rehearse:rehearse",
        "One real step of every paper-scale configuration here: memory, and what a GPU would take.",
    ),
    "doctor": ("bench.cli.doctor:doctor", "What works here, and what to do about the rest."),
}


COMPLETING = "_BENCH_COMPLETE"  # the variable by which a shell asks for completions, as click calls it


class LazyGroup(click.Group):
    """Commands from the table above; a misspelt verb gets a suggestion."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order of `bench --help`."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a verb, whose module is imported for it. Raises UserError for an unknown verb."""
        if name not in VERBS:
            if ctx.resilient_parsing:  # a shell completes a word: there is nothing to complete
                return None
            raise UserError(f"unknown verb '{name}'; {did_you_mean(name, VERBS)}")
        module, attribute = VERBS[name][0].split(":")
        with _kept():
            command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs that begin so, without importing one; options of `bench` itself after a dash."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=text) for name, (_, text) in VERBS.items() if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs without importing one."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, summary) for name, (_, summary) in VERBS.items()])


@contextmanager
def _kept() -> Iterator[None]:
    """Import without looking for garbage, then or later, in what modules made: it stays, and looking takes a quarter of
    the time of a short command.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # once a process
            gc.freeze()
        if collects:
            gc.enable()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """A benchmark and reproduction harness for GANs trained on little data.

    \b
    bench run table1 --scale smoke      train every cell of DISP's Table 1, in minutes, on a CPU
    bench report table1 --scale smoke   the table, with intervals and the paper's numbers
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    Exit status: 0 done, 1 some runs failed, 2 a user's mistake (in one line), 130 interrupted.
    """
    try:
        result: Any = cli.main(args=arguments, prog_name="bench", complete_var=COMPLETING, standalone_mode=False)
        status = result if isinstance(result, int) else 0
    except UserError as error:
        if COMPLETING in os.environ:  # a shell that completes a word has no place for a message
            sys.exit(0)
        status = _complain(str(error).removesuffix("\n".join(("", *error.details))), error.details)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        status = 2
    except click.UsageError as error:
        status = _complain(f"{error.format_message()} (see bench --help)")
    except click.ClickException as error:
        status = _complain(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        print("bench: interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit must not fail too
        status = 0
    except OSError as error:  # an unwritable store or a full disk, which the user can mend
        if error.strerror is None:
            raise
        status = _complain(f"{error.filename or 'this machine'}: {error.strerror}")
    sys.exit(status)


def _complain(message: str, details: Sequence[str] = ()) -> int:
    print("\n".join([f"bench: error: {' '.join(message.split())}", *details]), file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
