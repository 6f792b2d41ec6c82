"""The generated parts of the README: tables made from the code, between markers.

`python -m vis_assets_tests.docs.reference` (`make docs`) writes them anew; a test fails where one is stale.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from vis_assets.cli.group import COMMANDS
from vis_assets.protocol.job import LlmConfig, LlmOptions, VectorDatabaseConfig, VisualizationTransformJob
from vis_assets.protocol.stages import Stage
from vis_assets.protocol.visualization_config import VisualizationConfig, allowed_values
from vis_assets.settings import Settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
OPTION_GROUPS = ("UMAP", "HDBSCAN", "Page", "Look", "Naming")

JOB_MEANINGS = {
    "job_id": "Names the job; every message about it carries the id.",
    "visualization_transform_id": "The map, and its Dagster partition; a later job of the same id makes the map anew.",
    "visualization_id": "Names the page below the transform.",
    "owner": "First part of the page's object key. Characters `A-Za-z0-9@._+-`, no leading dot.",
    "embedded_dataset_id": "Passed on: a placeholder of the result subject.",
    "qdrant_collection_name": "Collection to read.",
    "visualization_config": "Options of the map, see below; `null` means all defaults.",
    "vector_database_config": "Where the collection is.",
    "vector_database_config.database_type": "`qdrant`; `parquet` and `npy` read files below `VIS_ASSETS_LOCAL_ROOT`.",
    "vector_database_config.connection_url": "`http(s)://host:port` (port 6334 means gRPC), `grpc(s)://host:port`, or "
    "`file:///path`. No user, password or query.",
    "vector_database_config.api_key": "Key of the database; sealed before anything is stored.",
    "llm_config": "Language model that names the clusters; `null` takes the installation's (`LLM_PROVIDER`), else "
    "keyphrases name them.",
    "llm_config.llm_id": "The sender's number for the model.",
    "llm_config.provider": "`openai`, `cohere`, `gemini`, `groq`, `nvidia`, `ollama`, `vllm`, `internal`, or "
    "`openai_compatible` for any other server with OpenAI's chat completions.",
    "llm_config.model": "The provider's name for the model.",
    "llm_config.api_key": "Key of the provider; sealed. `null` takes the installation's.",
    "llm_config.config": "How it is asked, see below; sealed as a whole.",
    "llm_config.config.base_url": "Address of its server; `null` means the provider's or the installation's own.",
    "llm_config.config.temperature": "0 (always the likeliest answer) to 2; `null` means 0.",
    "llm_config.config.timeout_seconds": "Seconds that one call may take, 1 to 600, at most "
    "`VIS_ASSETS_LLM_TIMEOUT_SECS`.",
    "llm_config.config.requests_per_minute": "Calls a minute; `null` takes `VIS_ASSETS_LLM_REQUESTS_PER_MINUTE`.",
    "llm_config.config.max_input_tokens": "Tokens of one question, from 500; fewer clusters are asked for at once "
    "where they are too long. `null` means 12,000.",
    "llm_config.fallbacks": "Up to 8 more models, objects of `llm_id`, `provider`, `model`, `api_key`, `config`, asked "
    "in order where those before them give no usable answer.",
    "filter": "Qdrant payload filter in its JSON form; only matching points are mapped.",
    "vector_name": "Which named vector; `null` takes the unnamed or the only one.",
    "text_field": "Payload field with the document, `outer.inner` for a nested one; `null` detects it.",
}
"""What the fields of a job are for; a test fails where one is missing or unknown."""


def build_blocks() -> dict[str, str]:
    """Return every generated block by its name, without markers."""
    makers: dict[str, Callable[[], str]] = {
        "commands": commands_table,
        "job-fields": job_fields_table,
        "settings": settings_table,
        "stages": stages_table,
    }
    blocks = {name: make() for name, make in makers.items()}
    return blocks | {f"options-{group.lower()}": options_table(group) for group in OPTION_GROUPS}


def replace_blocks(text: str, blocks: dict[str, str]) -> str:
    """Return the text with the content of each marked block replaced.

    Raises:
        KeyError: a block has no markers in the text, or the text marks an unknown block.
    """
    marked = set(re.findall(r"<!-- begin: ([\w-]+) -->", text))
    if marked != set(blocks):
        raise KeyError(f"marked but unknown: {marked - set(blocks)}; known but not marked: {set(blocks) - marked}")
    for name, content in blocks.items():
        begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
        before, *after = text.split(begin)
        if len(after) != 1 or end not in after[0]:
            raise KeyError(f"block {name} needs one pair of markers")
        text = f"{before}{begin}{content}\n{end}{after[0].partition(end)[2]}"
    return text


def options_table(group: str) -> str:
    """Table of the options of one group of `visualization_config`."""
    meanings = attribute_docstrings(VisualizationConfig)
    rows = [
        (f"`{name}`", _type_name(option), _code(option.default), _allowed(name, option), meanings[name])
        for name, option in VisualizationConfig.model_fields.items()
        if isinstance(option.json_schema_extra, dict) and option.json_schema_extra["group"] == group
    ]
    return table(("Option", "Type", "Default", "Allowed", "Meaning"), rows)


def job_fields_table() -> str:
    """Table of the fields of a job message, nested ones by their path."""
    rows = [
        (f"`{path}`", _type_name(field), "required" if field.is_required() else _default(field), JOB_MEANINGS[path])
        for path, field in job_fields().items()
    ]
    return table(("Field", "Type", "Default", "Meaning"), rows)


def job_fields() -> dict[str, FieldInfo]:
    """Return every field of a job by its path, the map's options left out."""
    nested: dict[str, type[BaseModel]] = {
        "vector_database_config": VectorDatabaseConfig,
        "llm_config": LlmConfig,
        "llm_config.config": LlmOptions,
    }
    fields: dict[str, FieldInfo] = {}

    def add(prefix: str, model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            fields[prefix + name] = field
            if prefix + name in nested:
                add(f"{prefix}{name}.", nested[prefix + name])

    add("", VisualizationTransformJob)
    return fields


def settings_table() -> str:
    """Table of the environment variables."""
    rows = [
        (f"`{option.alias}`", _default(option), str(option.description)) for option in Settings.model_fields.values()
    ]
    return table(("Variable", "Default", "Meaning"), rows)


def commands_table() -> str:
    """Table of the commands."""
    return table(("Command", "What it does"), [(f"`vis-assets {name}`", text) for name, text in COMMANDS.items()])


def stages_table() -> str:
    """Table of the stages that progress messages name."""
    rows = [
        (
            f"`{stage.wire_name}`",
            f"{stage.first_percent}"
            if stage.first_percent == stage.last_percent
            else f"{stage.first_percent}-{stage.last_percent}",
        )
        for stage in Stage
    ]
    return table(("`stage`", "`progress_percent`"), rows)


def attribute_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Read the string under each attribute of a class, on one line."""
    definition = ast.parse(inspect.getsource(model)).body[0]
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            value = following.value if isinstance(following, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[statement.target.id] = " ".join(value.value.split())
    return found


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a markdown table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _allowed(name: str, option: FieldInfo) -> str:
    """Say what an option takes; a text's length is in its JSON schema only, and a pattern is told by the docstring."""
    values = allowed_values(name)
    if get_origin(option.annotation) is Literal:
        return ", ".join(_code(value) for value in values.split(", "))
    if values:
        return values
    schema = VisualizationConfig.model_json_schema()["properties"][name]
    lengths = [part["maxLength"] for part in schema.get("anyOf", [schema]) if "maxLength" in part]
    return f"up to {lengths[0]} characters" if lengths else ""


_TYPE_NAMES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "SecretStr": "string (secret)",
    "dict": "object",
    "list": "array",
}


def _type_name(field: FieldInfo) -> str:
    """Name a field's type in JSON's words."""
    kind: Any = field.annotation
    if get_origin(kind) in {Union, UnionType}:
        kind = next(member for member in get_args(kind) if member is not NoneType)
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    kind = "str" if get_origin(kind) is Literal else (get_origin(kind) or kind).__name__
    return _TYPE_NAMES.get(kind, "object")


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return {"gethostname": "the host's name", "list": "`[]`", "LlmOptions": "`{}`"}[field.default_factory.__name__]
    if isinstance(field.default, BaseModel):
        return "all defaults"
    is_setting = field.alias is not None
    return "unset" if field.default is None and is_setting else _code(field.default)


def _code(value: object) -> str:
    """Write a value as a job has it, a text without its quotes."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    shown = str(value) if isinstance(value, Path) or (isinstance(value, str) and value) else json.dumps(value)
    return f"`{shown}`"


def main() -> None:
    """Write the README's generated blocks anew."""
    before = README.read_text(encoding="utf-8")
    after = replace_blocks(before, build_blocks())
    README.write_text(after, encoding="utf-8")
    sys.stdout.write(f"{README.name}: {'unchanged' if before == after else 'written'}\n")


if __name__ == "__main__":
    main()
