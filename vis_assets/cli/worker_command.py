"""`vis-assets worker`."""

import sys

import click


@click.command("worker")
def command() -> None:
    """Do jobs, in production: Dagster's code server and daemon, supervised, until SIGTERM or Ctrl-C.

    Uses the NATS server and the store that the environment names, and brings none. Serves /health, /ready, /metrics and
    /maps/ on HEALTH_CHECK_PORT. Told to stop, it takes no new jobs, lets running ones finish, and ends with exit code
    0; a second signal ends them. A second worker on the same NATS and Postgres stands by and takes over.
    """
    from vis_assets.operations.worker import run_worker
    from vis_assets.settings import load_settings

    sys.exit(run_worker(load_settings()))
