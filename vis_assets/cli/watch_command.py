"""`vis-assets watch`."""

import json
from typing import Any

import click

from vis_assets.cli.terminal import message_stage


@click.command("watch")
@click.option("--job", "job_id", help="Only messages about this job; ends with its terminal result.")
@click.option("--timeout", type=click.FloatRange(min=1), help="Stop after this many seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print each message as one line of JSON.")
def command(job_id: str | None, timeout: float | None, as_json: bool) -> None:
    """Show progress and results of jobs as they come, until Ctrl-C.

    NATS does not keep these messages: only those that come while it watches are seen.
    """
    from vis_assets.delivery.access import NatsAccess
    from vis_assets.operations.job_client import JobClient
    from vis_assets.protocol.result import is_terminal
    from vis_assets.settings import load_settings

    settings = load_settings()
    client = JobClient(NatsAccess.of(settings), settings.result_subject)
    try:
        for message in client.watch(timeout):
            if job_id is not None and message.get("jobId") != job_id:
                continue
            click.echo(json.dumps(message) if as_json else _line(message))
            if job_id is not None and is_terminal(message):
                return
    except KeyboardInterrupt:
        return


def _line(message: dict[str, Any]) -> str:
    stage, percent = message_stage(message)
    head = f"{message.get('jobId')} transform {message.get('visualizationTransformId')}: {message.get('status')}"
    if message.get("status") == "processing":
        return f"{head} {percent:3d}% {stage}"
    if message.get("errorMessage"):
        return f"{head}: {message['errorMessage']}"
    counts = f"{message.get('pointCount')} points, {message.get('clusterCount')} clusters"
    return f"{head}: {counts}, {message.get('htmlS3Key')}"
