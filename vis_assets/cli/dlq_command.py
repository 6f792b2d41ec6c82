"""`vis-assets dlq`."""

import json

import click


@click.group("dlq")
def command() -> None:
    """List, show, replay or purge jobs that were given up.

    A job is given up after MAX_ATTEMPTS failures, or MAX_LOST_ATTEMPTS vanished processes; its sender is told that it
    failed. It is kept for VIS_ASSETS_DEAD_LETTER_DAYS, its secrets sealed.
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def list_letters(as_json: bool) -> None:
    """List all, oldest first."""
    from vis_assets.operations.dead_letters import opened_dead_letters
    from vis_assets.settings import load_settings

    with opened_dead_letters(load_settings()) as letters:
        rows = [letter.summary() for letter in letters.all()]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if rows:
        click.echo(f"{'JOB':<40} {'TRANSFORM':>10} {'GIVEN UP':<25} {'FAILED':>6} {'LOST':>4} ERROR")
    for row in rows:
        head = f"{row['job_id']:<40} {row['visualization_transform_id']:>10} {row['died']:<25}"
        click.echo(f"{head} {row['failures']:>6} {row['lost']:>4} {_one_line(row['error'])}")


@command.command("show")
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="Print it on one line.")
def show(job_id: str, as_json: bool) -> None:
    """Show one, with its job, as JSON; of secrets only which there are."""
    from vis_assets.operations.dead_letters import opened_dead_letters
    from vis_assets.settings import load_settings

    with opened_dead_letters(load_settings()) as letters:
        details = letters.of(job_id).details()
    click.echo(json.dumps(details, indent=None if as_json else 2))


@command.command("replay")
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def replay(job_id: str, as_json: bool) -> None:
    """Send the job again, as a new job whose id is printed.

    The new id is `JOB_ID-rN`: the old job has its result, and a job id has only one. The secrets are opened with
    VIS_ASSETS_SECRET_KEY, or the key file of VIS_ASSETS_HOME. Its map replaces whatever was made since.
    """
    from vis_assets.operations.dead_letters import opened_dead_letters
    from vis_assets.settings import load_settings

    with opened_dead_letters(load_settings()) as letters:
        new = letters.replay(letters.of(job_id))
    click.echo(
        json.dumps({"job_id": new, "replay_of": job_id}) if as_json else f"job {job_id} is queued again as {new}"
    )


@command.command("purge")
@click.argument("job_id", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; nothing is asked then, so give --yes.")
def purge(job_id: str | None, yes: bool, as_json: bool) -> None:
    """Forget one job that was given up, or all of them. Asks first."""
    from vis_assets.operations.dead_letters import opened_dead_letters
    from vis_assets.settings import load_settings

    if as_json and not yes:
        raise click.UsageError("--json asks nothing, so it needs --yes")
    with opened_dead_letters(load_settings()) as letters:
        doomed = letters.all() if job_id is None else [letters.of(job_id)]
        if doomed and not yes:
            which = f"the dead letter of job {job_id}" if job_id else f"all {len(doomed)} dead letters"
            click.confirm(f"Purge {which}? They cannot be replayed then.", abort=True)
        for letter in doomed:
            letters.remove(letter)
    click.echo(json.dumps({"purged": len(doomed)}) if as_json else f"purged {len(doomed)} dead letters")


def _one_line(text: str) -> str:
    """Fit an error into a row; it may quote what a stranger wrote, so nothing reaches the terminal but text."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:120]
