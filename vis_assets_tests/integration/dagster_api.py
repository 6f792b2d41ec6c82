"""Dagster's GraphQL, as its own UI speaks it: plain HTTP."""

import json
import time
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

PARTITION = "dagster/partition"
LOCATION = {"repositoryName": "__repository__", "repositoryLocationName": "vis_assets"}
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
PATIENCE_SECONDS = 300.0
_ENTRIES = """metadataEntries { __typename label
  ... on UrlMetadataEntry { url } ... on MarkdownMetadataEntry { mdStr } ... on TextMetadataEntry { text }
  ... on IntMetadataEntry { intValue } ... on FloatMetadataEntry { floatValue } ... on JsonMetadataEntry { jsonString }
  ... on TableMetadataEntry { table { records schema { columns { name type } } } } }"""


class Dagster:
    """The GraphQL endpoint of a Dagster webserver."""

    def __init__(self, url: str) -> None:
        """Speak to the webserver at this address."""
        self.url = url

    def ask(self, query: str, **variables: Any) -> Any:
        """Run a query or mutation and return its one field."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - our own address
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        [field] = answer["data"].values()
        return field

    def runs(self, **tags: str) -> list[dict[str, Any]]:
        """Runs with these tags (`/` in a name is written `__`), newest first."""
        wanted = [{"key": key.replace("__", "/"), "value": value} for key, value in tags.items()]
        answer = self.ask(
            """query ($filter: RunsFilter) { runsOrError(filter: $filter) { __typename ... on Runs {
                 results { runId status startTime endTime parentRunId tags { key value } } } } }""",
            filter={"tags": wanted},
        )
        runs: list[dict[str, Any]] = answer["results"]
        return runs

    def run_of_job(self, job_id: str) -> dict[str, Any]:
        """The run that a job message asked for."""
        [run] = [run for run in self.runs(vis_assets__job_id=job_id) if run["parentRunId"] is None]
        return run

    def launch(self, partition: str, assets: Sequence[str] | None = None) -> str:
        """Materialize one partition as the UI does, with no run config; return the run id."""
        selector: dict[str, Any] = {**LOCATION, "jobName": "visualization_map"}
        if assets is not None:
            selector |= {
                "jobName": "__ASSET_JOB",
                "assetSelection": [{"path": [asset]} for asset in assets],
                "assetCheckSelection": None,
            }
        answer = self.ask(
            """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
                 ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            params={
                "selector": selector,
                "mode": "default",
                "executionMetadata": {"tags": [{"key": PARTITION, "value": partition}]},
            },
        )
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def reexecute(self, run_id: str) -> str:
        """Run all steps of an ended run again; return the new run's id."""
        answer = self.ask(
            """mutation ($params: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $params) { __typename
                 ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            params={"parentRunId": run_id, "strategy": "ALL_STEPS"},
        )
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def terminate(self, run_id: str) -> None:
        """Cancel a run, as the button in the UI does."""
        answer = self.ask(
            """mutation ($id: String!) { terminateRun(runId: $id) { __typename
                 ... on TerminateRunFailure { message } ... on PythonError { message } } }""",
            id=run_id,
        )
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def status(self, run_id: str) -> str:
        """How a run stands."""
        answer = self.ask("query ($id: ID!) { runOrError(runId: $id) { __typename ... on Run { status } } }", id=run_id)
        return str(answer["status"])

    def ended(self, run_id: str) -> str:
        """Wait for a run's end; return its status."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (status := self.status(run_id)) not in ENDED:
            assert time.monotonic() < deadline, f"run {run_id} is still {status}"
            time.sleep(0.5)
        return status

    def errors(self, run_id: str) -> str:
        """All error texts of a run, causes included."""
        error = "error { message causes { message } errorChain { error { message } } }"
        answer = self.ask(
            "query ($id: ID!) { logsForRun(runId: $id) { __typename ... on EventConnection { events {"
            f" ... on ExecutionStepFailureEvent {{ {error} }} ... on RunFailureEvent {{ {error} }} }} }} }} }}",
            id=run_id,
        )
        return json.dumps(answer, ensure_ascii=False)

    def backfill(self, assets: Sequence[str], partitions: Sequence[str]) -> str:
        """Backfill partitions of assets with no run config and wait for its end; return its status."""
        answer = self.ask(
            """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
                 __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
            params={"assetSelection": [{"path": [asset]} for asset in assets], "partitionNames": list(partitions)},
        )
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (status := self._backfill_status(answer["backfillId"])) in {"REQUESTED", "COMPLETED_STARTING"}:
            assert time.monotonic() < deadline, f"backfill {answer['backfillId']} is still {status}"
            time.sleep(1)
        return status

    def _backfill_status(self, backfill_id: str) -> str:
        answer = self.ask(
            """query ($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename
                 ... on PartitionBackfill { status } ... on PythonError { message } } }""",
            id=backfill_id,
        )
        return str(answer["status"])

    def asset_nodes(self) -> list[dict[str, Any]]:
        """Every asset of the graph with what it depends on."""
        nodes: list[dict[str, Any]] = self.ask(
            """{ assetNodes { assetKey { path } dependencyKeys { path } groupName kinds description isPartitioned
                 owners { ... on TeamAssetOwner { team } } partitionDefinition { name type } } }"""
        )
        return nodes

    def partitions(self) -> list[str]:
        """Keys of all partitions."""
        answer = self.ask(
            """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) {
                 ... on AssetNode { partitionKeys } } }""",
            key={"path": ["html_map"]},
        )
        keys: list[str] = answer["partitionKeys"]
        return keys

    def forget(self, partitions: Sequence[str]) -> None:
        """Delete partitions."""
        answer = self.ask(
            """mutation ($repository: RepositorySelector!, $name: String!, $keys: [String!]!) {
                 deleteDynamicPartitions(repositorySelector: $repository, partitionsDefName: $name,
                   partitionKeys: $keys) { __typename } }""",
            repository=LOCATION,
            name="visualization_transform_id",
            keys=list(partitions),
        )
        assert answer["__typename"] == "DeleteDynamicPartitionsSuccess", answer

    def metadata(self, asset: str, partition: str) -> dict[str, dict[str, Any]]:
        """Metadata of the latest materialization of one partition: label -> entry."""
        answer = self.ask(
            "query ($key: AssetKeyInput!, $partitions: [String!]) { assetNodeOrError(assetKey: $key) {"
            " ... on AssetNode { assetMaterializations(partitions: $partitions, limit: 1) {"
            f" runId partition {_ENTRIES} }} }} }} }}",
            key={"path": [asset]},
            partitions=[partition],
        )
        [materialization] = answer["assetMaterializations"]
        return {entry["label"]: entry for entry in materialization["metadataEntries"]}

    def checks(self, asset: str, partition: str) -> Mapping[str, bool]:
        """Check name -> whether its latest evaluation on one partition passed."""
        answer = self.ask(
            """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
                 assetChecksOrError { ... on AssetChecks { checks { name } } } } } }""",
            key={"path": [asset]},
        )
        passed = {}
        for check in answer["assetChecksOrError"]["checks"]:
            executions = self.ask(
                """query ($key: AssetKeyInput!, $name: String!, $partition: String) { assetCheckExecutions(
                     assetKey: $key, checkName: $name, partition: $partition, limit: 1) {
                     partition evaluation { success } } }""",
                key={"path": [asset]},
                name=check["name"],
                partition=partition,
            )
            [execution] = executions
            assert execution["partition"] == partition
            passed[check["name"]] = bool(execution["evaluation"]["success"])
        return passed
