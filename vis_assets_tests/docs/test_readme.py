"""The README and the documents beside it say what the code does."""

import importlib
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click import Command

from vis_assets.cli.group import COMMANDS
from vis_assets.definitions import ASSETS, SENSORS
from vis_assets.delivery import run_tags
from vis_assets.protocol.job import Dialect, JobEnvelope, envelope, parse_job
from vis_assets.protocol.result import Outcome, Status, progress_message, result_message
from vis_assets.protocol.stages import Stage
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets.settings import Settings
from vis_assets_tests.docs import reference
from vis_assets_tests.docs.reference import README, ROOT

VARIABLES_OF_THE_WORKER = (
    "NATS_URL",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_ENDPOINT_URL",
    "PROCESSING_TIMEOUT_SECS",
    "WORKER_ID",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "MAX_CONCURRENT_JOBS",
    "HEALTH_CHECK_PORT",
)
"""What the worker that this package replaces read from its environment."""
DOCUMENTS = (README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def prose_of(document: Path) -> str:
    return _FENCE.sub("", text_of(document))


def code_of(document: Path) -> list[str]:
    """Each code span, and each line of each block."""
    blocks = [line for _, block in _FENCE.findall(text_of(document)) for line in block.splitlines()]
    return [*blocks, *_SPAN.findall(prose_of(document))]


def json_examples() -> list[dict[str, Any]]:
    return [json.loads(block) for language, block in _FENCE.findall(text_of(README)) if language == "json"]


def examples_with(key: str) -> list[dict[str, Any]]:
    return [example for example in json_examples() if key in example]


def anchors_of(document: Path) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def calls_of(program: str) -> Iterator[tuple[str, list[str]]]:
    """Every `program word …` in any document, with the options after it; a word in capitals stands for any."""
    for document in DOCUMENTS:
        for code in code_of(document):
            for match in re.finditer(rf"(?:^|[\s/]){program} ([a-z][\w-]*)(.*)", code.partition(" #")[0]):
                yield match[1], re.findall(r"(?<=\s)--[a-z-]+", match[2])


@pytest.mark.parametrize("name", sorted(reference.build_blocks()))
def test_generated_block_is_up_to_date(name: str) -> None:
    """A generated table says what the code says; `make docs` writes it anew."""
    marked = re.findall(rf"<!-- begin: {name} -->\n(.*?)\n<!-- end: {name} -->", text_of(README), re.DOTALL)
    assert marked == [reference.build_blocks()[name]], f"the block {name} of the README is stale: run `make docs`"


def test_writing_the_blocks_anew_changes_nothing() -> None:
    """The generator is repeatable, and knows every block that the README marks."""
    text = text_of(README)
    assert reference.replace_blocks(text, reference.build_blocks()) == text


@pytest.mark.parametrize("text", ["", "<!-- begin: a -->\n<!-- end: a -->\n" * 2, "<!-- begin: b -->\n<!-- end: b -->"])
def test_a_block_without_its_place_is_refused(text: str) -> None:
    """A block that is nowhere, there twice, or unknown is an error."""
    with pytest.raises(KeyError):
        reference.replace_blocks(text, {"a": "new"})


def test_every_field_of_a_job_has_a_meaning() -> None:
    """The table of job fields knows each field, and no other."""
    assert set(reference.JOB_MEANINGS) == set(reference.job_fields())


def test_every_option_has_a_meaning_and_a_table() -> None:
    """Each option has a docstring and stands in exactly one table."""
    tables = [reference.options_table(group) for group in reference.OPTION_GROUPS]
    for name in VisualizationConfig.model_fields:
        assert reference.attribute_docstrings(VisualizationConfig)[name]
        assert sum(f"| `{name}` |" in table for table in tables) == 1


@pytest.mark.parametrize("name", VARIABLES_OF_THE_WORKER)
def test_variable_of_the_worker_is_explained(name: str) -> None:
    """Every variable of the replaced worker is a setting that the README names."""
    assert name in {option.alias for option in Settings.model_fields.values()}
    assert f"`{name}`" in text_of(README)


def test_variables_in_examples_are_settings() -> None:
    """What the README exports is a setting of ours or of Dagster."""
    known = {str(option.alias) for option in Settings.model_fields.values()} | {"DAGSTER_HOME"}
    exported = {
        name
        for code in code_of(README)
        if code.strip().startswith("export ")
        for name in re.findall(r"(?:^|\s)([A-Z][A-Z0-9_]+)=", code)
    }
    assert exported
    assert exported <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_internal_links_lead_somewhere(document: Path) -> None:
    """Every link and picture that is no web address exists, its anchor too."""
    for link in _LINK.findall(prose_of(document)):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{link} does not exist"
        assert not anchor or anchor in anchors_of(target), f"{link} has no such heading"


def test_commands_named_in_documents_exist() -> None:
    """Every `vis-assets …` in a document is a command, and has the options shown."""
    calls = list(calls_of("vis-assets"))
    assert {name for name, _ in calls} == set(COMMANDS)
    for name, options in calls:
        command: Command = importlib.import_module(f"vis_assets.cli.{name}_command").command
        all_of_it = (command, *getattr(command, "commands", {}).values())
        known = {flag for each in all_of_it for parameter in each.params for flag in parameter.opts}
        assert set(options) <= known | {"--help"}, f"vis-assets {name} has no {set(options) - known}"


def test_make_targets_named_in_documents_exist() -> None:
    """Every `make …` in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {name for name, _ in calls_of("make")} <= targets


def test_paths_and_tags_named_in_documents_exist() -> None:
    """Every `vis_assets/…` in a document is a folder or file of the package, or a tag of runs."""
    tags = {value for value in vars(run_tags).values() if isinstance(value, str)}
    for document in DOCUMENTS:
        for code in code_of(document):
            for path in re.findall(r"(?<![\w./])vis_assets(?:_tests)?/[\w/.]*", code):
                assert path in tags or (ROOT / path).exists(), f"{document.name} names {path}"


def test_python_examples_compile() -> None:
    """The Python examples are Python."""
    for language, block in _FENCE.findall(text_of(README)):
        if language == "python":
            compile(block, "README.md", "exec")


def test_assets_checks_and_sensors_are_named() -> None:
    """Every asset, asset check and sensor is in the README."""
    named = set(_SPAN.findall(text_of(README)))
    names = {asset.key.path[-1] for asset in ASSETS} | {sensor.name for sensor in SENSORS}
    checks = {spec.name for asset in ASSETS for spec in asset.check_specs}
    text = text_of(README)
    assert checks <= named
    assert all(re.search(rf"\b{name}\b", text) for name in names)


def test_every_json_example_is_of_a_known_kind() -> None:
    """A JSON example is a job, a message about one, or a visualization_config of known options."""
    kinds = ("job_id", "jobId")
    for example in json_examples():
        if not any(kind in example for kind in kinds):
            assert set(example) <= set(VisualizationConfig.model_fields)
            VisualizationConfig.model_validate(example)


def test_job_examples_are_valid() -> None:
    """The job examples are accepted without a warning, one in each dialect."""
    parsed = [parse_job(example) for example in examples_with("job_id")]
    assert [job.dialect for job in parsed] == [Dialect.WORKER, Dialect.SEMANTIC_EXPLORER]
    assert all(job.warnings == () for job in parsed)


def test_message_examples_have_the_keys_of_real_ones() -> None:
    """The examples of progress, result and error have exactly the keys that are published, in that order."""
    sender = JobEnvelope()
    result = list(json.loads(result_message(sender, Outcome(Status.COMPLETED))))
    progress = list(json.loads(progress_message(sender, Stage.STARTING, 0)))
    shown = {example["status"]: list(example) for example in examples_with("jobId")}
    assert shown == {"processing": progress, "completed": result, "failed": result}


def test_message_examples_belong_to_the_job_example() -> None:
    """The messages carry the ids of the job that the README shows, and progress lies in its stage's range."""
    job = envelope(examples_with("job_id")[0])
    for example in examples_with("jobId"):
        assert (example["jobId"], example["owner"]) == (job.job_id, job.owner)
        if example["status"] == "processing":
            stage = next(stage for stage in Stage if stage.wire_name == example["statsJson"]["stage"])
            assert stage.first_percent <= example["statsJson"]["progress_percent"] <= stage.last_percent


def test_decisions_are_indexed() -> None:
    """Every decision record is linked from the index, and is short."""
    folder = ROOT / "docs" / "decisions"
    linked = set(_LINK.findall(text_of(folder / "README.md")))
    records = {path.name for path in folder.glob("[0-9]*.md")}
    assert records == linked
    numbers = sorted(int(name.partition("-")[0]) for name in records)
    assert all(after - before == 1 for before, after in pairwise(numbers))
    assert all(len(text_of(folder / name).splitlines()) <= 30 for name in records)
