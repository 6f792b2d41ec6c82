"""`vis-assets submit`."""

import json
import sys
from typing import IO

import click

from vis_assets.cli.terminal import message_stage, progress_bar, say


@click.command("submit")
@click.argument("job", type=click.File("rb"))
@click.option("--wait", is_flag=True, help="Follow the job to its end; exit code 1 unless it completed.")
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=3900.0, show_default=True, help="Longest wait, seconds."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the receipt, or with --wait the terminal result.")
def command(job: IO[bytes], wait: bool, timeout: float, as_json: bool) -> None:
    """Publish a job: JOB is a file with a VisualizationTransformJob, or - for stdin.

    The job is checked first, so that a mistake is told here and not by an error result.
    """
    from vis_assets.delivery.access import NatsAccess
    from vis_assets.operations.job_client import JobClient
    from vis_assets.protocol.job import parse_job, read_object
    from vis_assets.protocol.result import is_success
    from vis_assets.settings import load_settings

    message = read_object(job.read())
    parsed = parse_job(message)
    for warning in parsed.warnings:
        say(f"warning: {warning}")
    settings = load_settings()
    client = JobClient(NatsAccess.of(settings), settings.result_subject)
    if not wait:
        sequence = client.submit(message)
        receipt = {"job_id": parsed.job.job_id, "sequence": sequence}
        click.echo(json.dumps(receipt) if as_json else f"job {parsed.job.job_id} is queued as message {sequence}")
        return
    try:
        with progress_bar() as show:
            result = client.run(message, lambda update: show(*message_stage(update)), timeout)
    except TimeoutError as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(result, indent=None if as_json else 2))
    sys.exit(0 if is_success(result) else 1)
