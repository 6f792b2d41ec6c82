"""The least that Dagster can run: a stock job of one asset that does nothing."""

from dagster import Definitions, asset, define_asset_job, in_process_executor

JOB = "nothing"


@asset
def no_operation() -> None:
    """Do nothing."""


defs = Definitions(assets=[no_operation], jobs=[define_asset_job(JOB, [no_operation])], executor=in_process_executor)
