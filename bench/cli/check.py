"""`bench check`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from bench.cli import completing
from bench.cli.json_document import answer, json_option
from bench.cli.options import plugin_option

if TYPE_CHECKING:
    from bench.conformance.checks import CheckResult


@click.command()
@click.argument("method", required=False, shell_complete=completing.methods)
@click.option("--all", "everything", is_flag=True, help="Every registered method.")
@click.option("--network", metavar="NAME", help="On this network alone, e.g. sngan-32.")
@click.option("--verbose", is_flag=True, help="A line for every check, not for every network.")
@json_option
@plugin_option
def check(
    method: str | None, everything: bool, network: str | None, verbose: bool, plugins: list[str], as_json: bool
) -> int:
    """Conformance of METHOD, e.g. disp or 'mine + diffaugment': builds, steps, resumes, samples, pickles.

    Tiny networks of every family are tried; one that the method refuses is reported with its reason. Exit status
    1 if a check fails or every network is refused.
    """
    import torch

    from bench.conformance.cases import NETWORKS
    from bench.conformance.checks import check_everywhere
    from bench.contract.discovery import methods
    from bench.errors import UserError

    if (method is None) == (not everything):
        raise UserError("name one METHOD, or give --all")
    torch.set_num_threads(1)  # the networks are tiny: more threads only cost time
    # Every network of every method; the exit status counts the failed checks
    failures, found = 0, list[dict[str, Any]]()
    for name in [entry.name for entry in methods()] if everything else [str(method)]:
        for tried, findings in check_everywhere(name, [network] if network else list(NETWORKS)).items():
            failures += sum(finding.failed for finding in findings)
            found += [{"method": name, "network": tried, **vars(finding)} for finding in findings]
            click.echo("\n".join(_lines(f"{name} on {tried}", findings, verbose)))
    if as_json:
        answer(failed=failures, checks=found)
    plural = "" if failures == 1 else "s"
    click.echo(f"{failures} check{plural} failed" if failures else "all checks passed")
    return 1 if failures else 0


def _lines(where: str, findings: Sequence[CheckResult], verbose: bool) -> list[str]:
    """A line that counts the checks, then each that did not pass; with `verbose` every check."""
    shown = [finding for finding in findings if verbose or not finding.passed]
    lines = [f"{_verdict(finding)} {where}: {finding.check}{_detail(finding)}" for finding in shown]
    passed = sum(finding.passed for finding in findings)
    if not passed or verbose:  # a refused network has one finding and needs no count
        return lines
    verdict = "FAIL" if any(finding.failed for finding in findings) else "ok  "
    return [f"{verdict} {where}: {passed} of {len(findings)} checks passed", *lines]


def _verdict(finding: CheckResult) -> str:
    return "ok  " if finding.passed else "FAIL" if finding.failed else "n/a "


def _detail(finding: CheckResult) -> str:
    detail = finding.detail if finding.supported else f"not supported: {finding.detail}"
    return f": {detail}" if detail else ""
