"""`bench check`."""

from __future__ import annotations

import click

from bench.cli.options import plugin_option


@click.command()
@click.argument("method", required=False)
@click.option("--all", "everything", is_flag=True, help="Every registered method.")
@plugin_option
def check(method: str | None, everything: bool, plugins: list[str]) -> int:
    """Conformance of METHOD, e.g. disp or 'mine + diffaugment': builds, steps, resumes, samples, pickles.

    Exit status 1 if a check fails.
    """
    import torch

    from bench import registry
    from bench.conformance import check_method
    from bench.errors import UserError

    if (method is None) == (not everything):
        raise UserError("name one METHOD, or give --all")
    torch.set_num_threads(1)
    failures = 0
    for name in [entry.name for entry in registry.methods()] if everything else [str(method)]:
        for finding in check_method(name):
            failures += not finding.passed
            verdict = "ok  " if finding.passed else "FAIL"
            click.echo(f"{verdict} {name}: {finding.check}{': ' + finding.detail if finding.detail else ''}")
    click.echo("all checks passed" if not failures else f"{failures} checks failed")
    return 1 if failures else 0
