"""The job: which points to map and how. It stands for the stored spec in the lineage."""

from dagster import AssetExecutionContext, Output, ResourceParam, asset

from vis_assets.assets.partitions import GROUP, OWNERS, SPEC_IO, visualization_transforms
from vis_assets.resources.run_spec import RunSpecs
from vis_assets.resources.specs import Spec


@asset(
    partitions_def=visualization_transforms,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"nats", "json"},
    code_version="1",
    io_manager_key=SPEC_IO,
    description="The job of this map, secrets sealed: the one that asked for the run, else the latest.",
)
def visualization_job(
    context: AssetExecutionContext, run_specs: ResourceParam[RunSpecs], lease: ResourceParam[None]
) -> Output[Spec]:
    """Pin the spec that this run works on; from here on the run's lease is kept."""
    spec = run_specs.pinned(context.instance, context.run, context.partition_key)
    job = spec.job
    context.log.info("job %s of %s: collection %s", job.job_id, job.owner, job.qdrant_collection_name)
    return Output(
        spec,
        metadata={
            "job_id": job.job_id,
            "owner": job.owner,
            "collection": job.qdrant_collection_name,
            "connection_url": job.vector_database_config.connection_url,
            "visualization_id": job.visualization_id,
            "visualization_config": job.visualization_config.describe(),
            "sealed_secrets": sorted(spec.sealed),
            "warnings": list(spec.warnings),
        },
    )
