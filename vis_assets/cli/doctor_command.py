"""`vis-assets doctor`."""

import dataclasses
import json
import sys

import click


@click.command("doctor")
@click.option("--qdrant-url", help="Check this Qdrant too (key: QDRANT_API_KEY); jobs bring their own addresses.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list of findings.")
def command(qdrant_url: str | None, as_json: bool) -> None:
    """Check every configured connection, and say how to fix what fails; exit code 1 where anything does."""
    from vis_assets.operations.doctor import examine
    from vis_assets.settings import load_settings

    findings = []
    for finding in examine(load_settings(), qdrant_url):
        findings.append(finding)
        if not as_json:
            click.echo(f"{'ok  ' if finding.passed else 'FAIL'} {finding.name:<15} {finding.detail}")
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings]))
    sys.exit(0 if all(finding.passed for finding in findings) else 1)
