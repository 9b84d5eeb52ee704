"""`bench check`."""

from __future__ import annotations

import click

from bench.cli.options import plugin_option


@click.command()
@click.argument("method", required=False)
@click.option("--all", "everything", is_flag=True, help="Every registered method.")
@click.option("--network", metavar="NAME", help="On this network alone, e.g. sngan-32.")
@plugin_option
def check(method: str | None, everything: bool, network: str | None, plugins: list[str]) -> int:
    """Conformance of METHOD, e.g. disp or 'mine + diffaugment': builds, steps, resumes, samples, pickles.

    Tiny networks of every family are tried; one that the method refuses is reported with its reason. Exit status
    1 if a check fails or every network is refused.
    """
    import torch

    from bench import registry
    from bench.conformance import NETWORKS, Finding, check_everywhere
    from bench.errors import UserError

    if (method is None) == (not everything):
        raise UserError("name one METHOD, or give --all")
    torch.set_num_threads(1)
    failures = 0

    def show(name: str, finding: Finding) -> None:
        verdict = "ok  " if finding.passed else "FAIL" if finding.supported else "n/a "
        detail = finding.detail if finding.supported else f"not supported: {finding.detail}"
        click.echo(f"{verdict} {name}: {finding.check}{': ' + detail if detail else ''}")

    for name in [entry.name for entry in registry.methods()] if everything else [str(method)]:
        for tried, findings in check_everywhere(name, [network] if network else list(NETWORKS)).items():
            for finding in findings:
                failures += not finding.passed and finding.supported
                show(f"{name} on {tried}", finding)
    click.echo("all checks passed" if not failures else f"{failures} checks failed")
    return 1 if failures else 0
