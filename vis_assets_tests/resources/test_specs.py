"""Specs: jobs as they are stored, readable by anyone, their secrets by nobody."""

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from vis_assets.errors import InvalidJob, ObjectMissing, PermanentError, SecretUnreadable
from vis_assets.protocol.job import ParsedJob, parse_job
from vis_assets.resources.object_store import FolderStore, ObjectStore
from vis_assets.resources.sealing import Sealer
from vis_assets.resources.specs import LLM_FALLBACKS, LLM_KEY, LLM_OPTIONS, QDRANT_KEY, SpecStore
from vis_assets_tests.protocol.messages import CANARY, EXAMPLE, explorer_job, parsed, worker_job

pytestmark = pytest.mark.enable_socket

KEY = Fernet.generate_key().decode()
SECRETIVE: dict[str, Any] = {
    "vector_database_config": {"connection_url": "http://q:6334", "api_key": CANARY + "-qdrant"},
    "llm_config": {
        "provider": "openai",
        "model": "gpt-4",
        "api_key": CANARY + "-llm",
        "config": {"organization": CANARY + "-org"},
        "fallbacks": [
            {"provider": "ollama", "model": "llama3.2"},
            {"provider": "cohere", "model": "c", "api_key": CANARY + "-co", "config": {"region": CANARY + "-eu"}},
        ],
    },
}


def spec_store(store: ObjectStore, *keys: str) -> SpecStore:
    """Specs in that store."""
    return SpecStore(store, Sealer(list(keys) or [KEY]))


@pytest.mark.parametrize(
    "job", [EXAMPLE, worker_job(), explorer_job(), worker_job(filter={"must": [{"key": "é", "range": {"gt": 0.5}}]})]
)
def test_a_stored_job_is_loaded_as_it_was(store: ObjectStore, job: dict[str, Any]) -> None:
    """What is loaded, by job or as the latest, is what was saved; only the secrets are elsewhere."""
    specs = spec_store(store)
    read = parse_job(job)
    saved = specs.save(read)
    assert specs.load("123") == specs.load("123", read.job.job_id) == saved
    assert (saved.dialect, saved.warnings) == (read.dialect, read.warnings)
    hidden = {"vector_database_config": {"api_key"}, "llm_config": {"api_key", "config", "fallbacks"}}
    assert saved.job.model_dump(exclude=hidden) == read.job.model_dump(exclude=hidden)  # type: ignore[arg-type]


def test_the_envelope_is_that_of_the_message(folder_store: FolderStore) -> None:
    """Results of a stored job go to its sender in its dialect."""
    from vis_assets.protocol.job import envelope

    for job in (EXAMPLE, explorer_job()):
        assert spec_store(folder_store).save(parse_job(job)).envelope == envelope(job)


def test_no_byte_of_a_secret_is_stored(store: ObjectStore) -> None:
    """The stored objects hold no secret, and neither does the spec's text form; each can be revealed."""
    specs = spec_store(store)
    spec = specs.save(parsed(**SECRETIVE))
    for key in store.keys(""):
        assert CANARY.encode() not in store.read(key)
    assert CANARY not in repr(spec) + str(spec)
    assert sorted(spec.sealed) == sorted([QDRANT_KEY, LLM_KEY, LLM_OPTIONS, LLM_FALLBACKS])
    assert specs.reveal(spec, QDRANT_KEY) == CANARY + "-qdrant"
    assert specs.reveal(spec, LLM_KEY) == CANARY + "-llm"
    assert json.loads(specs.reveal(spec, LLM_OPTIONS) or "") == {"organization": CANARY + "-org"}
    assert json.loads(specs.reveal(spec, LLM_FALLBACKS) or "") == [
        {"api_key": "", "config": {}},
        {"api_key": CANARY + "-co", "config": {"region": CANARY + "-eu"}},
    ]


def test_a_job_can_be_sent_again_as_it_was(folder_store: FolderStore) -> None:
    """The message of a stored job holds its secrets again, those of every language model too."""
    specs = spec_store(folder_store)
    read = parsed(**SECRETIVE)
    again = parse_job(json.loads(specs.message(specs.save(read), "again")))
    assert again.job.llm_config is not None
    assert again.job.llm_config.fallbacks[1].api_key is not None
    assert again.job.llm_config.fallbacks[1].api_key.get_secret_value() == CANARY + "-co"
    hidden = {"job_id": True, "llm_config": {"fallbacks": {0: {"api_key"}}}}
    assert again.job.model_dump(exclude=hidden) == read.job.model_dump(exclude=hidden)  # type: ignore[arg-type]


def test_each_job_keeps_its_spec_and_the_last_is_the_latest(store: ObjectStore) -> None:
    """Jobs of one transform are kept side by side; a UI launch gets the newest."""
    specs = spec_store(store)
    specs.save(parsed(job_id="first", owner="a"))
    specs.save(parsed(job_id="second", owner="b"))
    specs.save(parsed(job_id="elsewhere", visualization_transform_id=9, owner="c"))
    assert specs.load("123", "first").job.owner == "a"
    assert specs.load("123").job.job_id == "second"
    assert sorted(store.keys("specs/123/")) == [
        "specs/123/first.json", "specs/123/latest.json", "specs/123/second.json",
    ]  # fmt: skip


def test_no_job_can_pass_for_the_latest(folder_store: FolderStore) -> None:
    """A job whose id is the name of the newest spec is refused, or kept apart from it."""
    specs = spec_store(folder_store)
    try:
        specs.save(parsed(job_id="latest", owner="a"))
    except InvalidJob:
        return
    specs.save(parsed(job_id="second", owner="b"))
    assert specs.load("123", "latest").job.owner == "a"


def test_a_missing_spec_says_what_to_do(store: ObjectStore) -> None:
    """A transform without a job, or without that job, is told with the command that sends one."""
    with pytest.raises(ObjectMissing, match=r"visualization transform 5 has no spec of a job.*vis-assets submit"):
        spec_store(store).load("5")
    spec_store(store).save(parsed())
    with pytest.raises(ObjectMissing, match="no spec of job other"):
        spec_store(store).load("123", "other")


@pytest.mark.parametrize("partition", ["", "x", "../1", "1/2", "-1", "1.0", "²", "١٢", "1\n", " 1"])
def test_a_partition_that_is_no_id_is_refused(folder_store: FolderStore, partition: str) -> None:
    """A partition made by hand in the UI that is no whole number is told as such."""
    with pytest.raises(InvalidJob, match="no visualization_transform_id"):
        spec_store(folder_store).load(partition)


def test_an_environment_key_stands_in(folder_store: FolderStore) -> None:
    """The substitute is taken where a job has no key, and not where it has one; with neither there is none."""
    specs = spec_store(folder_store)
    bare, own = specs.save(parsed()), specs.save(parsed(**SECRETIVE))
    substitute = SecretStr("from the environment")
    assert specs.reveal(bare, QDRANT_KEY, substitute, "QDRANT_API_KEY") == "from the environment"
    assert specs.reveal(own, QDRANT_KEY, substitute, "QDRANT_API_KEY") == CANARY + "-qdrant"
    assert specs.reveal(bare, QDRANT_KEY, None, "QDRANT_API_KEY") is None


def test_a_lost_key_needs_a_substitute(folder_store: FolderStore) -> None:
    """When the sealing key is lost the substitute serves; without it the message names job, field and variable."""
    spec_store(folder_store).save(parsed(**SECRETIVE))
    later = spec_store(folder_store, Fernet.generate_key().decode())
    spec = later.load("123")
    assert later.reveal(spec, QDRANT_KEY, SecretStr("s"), "QDRANT_API_KEY") == "s"
    with pytest.raises(SecretUnreadable) as caught:
        later.reveal(spec, QDRANT_KEY, None, "QDRANT_API_KEY")
    for word in (QDRANT_KEY, str(EXAMPLE["job_id"]), "set QDRANT_API_KEY", "send the job again"):
        assert word in str(caught.value)
    assert CANARY not in str(caught.value)


def test_empty_secrets_are_none(folder_store: FolderStore) -> None:
    """An empty api key is the same as no key."""
    specs = spec_store(folder_store)
    spec = specs.save(parsed(vector_database_config={"connection_url": "http://q:1", "api_key": ""}))
    assert spec.sealed == {}
    assert specs.reveal(spec, QDRANT_KEY) is None


Leaf = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
Text = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
Filter = st.dictionaries(
    Text,
    st.recursive(Leaf | Text, lambda c: st.lists(c, max_size=3) | st.dictionaries(Text, c, max_size=3)),
    max_size=3,
)


@settings(deadline=None, max_examples=60)
@given(filter=Filter, title=Text)
def test_any_accepted_job_is_stored_exactly(tmp_path_factory: pytest.TempPathFactory, filter: Any, title: str) -> None:
    """Whatever filter and texts a job brings, it is loaded as it was sent."""
    specs = spec_store(FolderStore(tmp_path_factory.mktemp("specs")))
    read: ParsedJob = parsed(filter=filter, visualization_config={"title": title})
    try:
        specs.save(read)
    except PermanentError as error:
        pytest.fail(str(error))
    assert specs.load("123").job == read.job
