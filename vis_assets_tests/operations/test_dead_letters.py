"""Dead letters on a real NATS server: seen, sent again, forgotten, with their secrets sealed until they are sent."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet
from nats.aio.client import Client

from vis_assets.cli.group import main
from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.intake import examine
from vis_assets.delivery.job_record import JobRecord
from vis_assets.delivery.job_stream import QueuedMessage, ensure_stream, fetch, queue_depth
from vis_assets.errors import InvalidJob, ObjectMissing, SecretUnreadable
from vis_assets.operations.dead_letters import DeadLetter, DeadLetters
from vis_assets.operations.embedded_servers import EmbeddedNats, start_nats
from vis_assets.protocol.job import ParsedJob, parse_job
from vis_assets.protocol.result import Status
from vis_assets.resources.object_store import FolderStore
from vis_assets.resources.sealing import Sealer
from vis_assets.resources.specs import SpecStore
from vis_assets.settings import Settings
from vis_assets_tests.delivery import test_reconcile
from vis_assets_tests.delivery.test_reconcile import Bench, job
from vis_assets_tests.protocol.messages import CANARY, EXAMPLE, explorer_job, worker_job
from vis_assets_tests.servers.nats_streams import forget_streams

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(60)]

KEY = Fernet.generate_key().decode()
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DATABASE = {"connection_url": "http://qdrant:6334", "api_key": CANARY}
LLM = {"provider": "openai", "model": "gpt-4", "api_key": f"{CANARY}-llm", "config": {"organization": f"{CANARY}-org"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """A NATS server."""
    running = start_nats(tmp_path_factory.mktemp("nats"))
    yield running
    running.child.stop()


@pytest.fixture
def nats(server: EmbeddedNats) -> Iterator[NatsConnection]:
    """A connection to a server without any stream."""
    with NatsConnection(server.url, "test") as connection:
        connection.run(forget_streams)
        yield connection


@pytest.fixture
def specs(tmp_path: Path) -> SpecStore:
    """The spec store of an installation."""
    return SpecStore(FolderStore(tmp_path / "store"), Sealer([KEY]))


@pytest.fixture
def letters(nats: NatsConnection, specs: SpecStore) -> DeadLetters:
    """The dead letters of an installation that has none yet."""
    nats.run(lambda c: ledger.ensure(c, 1, 1))
    return DeadLetters(nats, specs)


def give_up(nats: NatsConnection, specs: SpecStore, job: dict[str, Any], *, deleted: bool = False) -> ParsedJob:
    """Let a job become a dead letter, as the reconciler does."""
    parsed = parse_job(job)
    specs.save(parsed)
    made = parsed.job
    record = JobRecord(
        job_id=made.job_id,
        partition=made.partition_key,
        visualization_id=made.visualization_id,
        accepted=(1, 1),
        owner=made.owner,
        reply=None,
        failures=6,
        traceparent=TRACE,
    )
    sealed = b"null" if deleted else specs.stored_form(made.partition_key, made.job_id)
    body = ledger.dead_letter(record, "out of \x1b[31mmemory", sealed, 1_700_000_000.0)
    nats.run(lambda c: ledger.write_dead_letter(c, made.job_id, body))
    return parsed


def queued(nats: NatsConnection) -> list[QueuedMessage]:
    """The messages that wait in the job stream."""
    created = nats.run(ensure_stream)
    return nats.run(lambda c: fetch(c, created, 10, 0.2))


bench = test_reconcile.bench


def test_a_replay_is_run_and_told_beside_the_old_result(bench: Bench) -> None:
    """A replayed job runs and gets a result of its own; the old one stays failed, and its answer stays the same."""
    bench.publish(job(1))
    bench.tick()
    for _ in range(bench.limits.max_attempts):
        bench.dagster.end(bench.run_key(), Status.FAILED, ("ComputeFailed", "out of memory"))
        bench.tick()
        bench.now += 4000
        bench.tick()
    letters = DeadLetters(bench.connection, SpecStore(bench.store, Sealer([test_reconcile.KEY])))
    new = letters.replay(letters.of("job-1"))
    bench.tick()
    bench.make_page(new, 1)
    bench.dagster.end(bench.run_key())
    bench.tick()
    bench.publish(job(1))
    bench.tick()
    old, replayed, repeated = bench.terminal()
    assert (replayed["jobId"], replayed["status"]) == (new, "completed")
    assert (old["jobId"], old["status"]) == ("job-1", "failed")
    assert repeated == old
    assert bench.page == b"<html>"
    assert bench.is_clean()


@pytest.mark.parametrize("make", [worker_job, explorer_job], ids=["worker", "explorer"])
def test_a_replay_is_the_same_job_under_a_new_id(
    make: Any, nats: NatsConnection, specs: SpecStore, letters: DeadLetters
) -> None:
    """A replay has everything of the old job, its secrets, dialect and trace too, but its id; the letter is gone."""
    secret = {"vector_database_config": DATABASE} if make is worker_job else {"qdrant_config": {**_explorer()}}
    filtered = {"filter": {"must": [{"key": "a", "match": {"value": 1}}]}, "visualization_config": {"n_neighbors": 7}}
    old = give_up(nats, specs, make(llm_config=LLM, **filtered, **secret))
    new = letters.replay(letters.of(old.job.job_id))
    (message,) = queued(nats)
    parsed = examine(message.payload)
    assert isinstance(parsed, ParsedJob)
    assert parsed.job == old.job.model_copy(update={"job_id": new})
    assert (parsed.dialect, parsed.warnings) == (old.dialect, old.warnings)
    assert (parsed.job.vector_database_config.api_key or _none()).get_secret_value() == CANARY
    assert parsed.job.llm_config is not None
    assert parsed.job.llm_config.config.model_dump(exclude_none=True) == LLM["config"]
    assert message.traceparent == TRACE
    assert new == f"{old.job.job_id}-r1"
    assert letters.all() == []


def _explorer() -> dict[str, str]:
    return {"url": DATABASE["connection_url"], "api_key": DATABASE["api_key"]}


def _none() -> Any:
    raise AssertionError


def test_a_replay_that_is_repeated_is_the_same_job(
    nats: NatsConnection, specs: SpecStore, letters: DeadLetters, tmp_path: Path
) -> None:
    """When the letter outlives its replay, because somebody died in between, the next replay adds no second job."""
    letter = letters.of(give_up(nats, specs, worker_job()).job.job_id)
    assert letters.replay(letter) == letters.replay(letter)
    assert len(queued(nats)) == 1


def test_a_letter_stays_until_the_stream_has_the_job(
    nats: NatsConnection, specs: SpecStore, letters: DeadLetters
) -> None:
    """Where the stream refuses the new message, the letter remains."""
    old = give_up(nats, specs, worker_job())

    async def refuse(client: Client) -> None:
        from nats.js.api import DiscardPolicy, RetentionPolicy, StreamConfig

        limits = StreamConfig(
            name="VISUALIZATION_TRANSFORMS",
            subjects=["workers.visualization-transform"],
            retention=RetentionPolicy.WORK_QUEUE,
            max_msg_size=10,
            discard=DiscardPolicy.NEW,
        )
        await client.jetstream().add_stream(limits)

    nats.run(refuse)
    with pytest.raises(Exception, match="message size exceeds"):
        letters.replay(letters.of(old.job.job_id))
    assert [letter.job_id for letter in letters.all()] == [old.job.job_id]
    assert nats.run(queue_depth) == (0, 0)


def test_without_the_key_the_remedy_is_named(nats: NatsConnection, specs: SpecStore, letters: DeadLetters) -> None:
    """Where the sealing key is lost, nothing is sent, the letter remains, and the setting to restore is named."""
    old = give_up(nats, specs, worker_job(vector_database_config=DATABASE))
    other = DeadLetters(nats, SpecStore(FolderStore(Path("/nonexistent")), Sealer([Fernet.generate_key().decode()])))
    with pytest.raises(SecretUnreadable, match=r"api_key of job .* VIS_ASSETS_SECRET_KEY .* restore that key, or send"):
        other.replay(other.of(old.job.job_id))
    assert queued(nats) == []
    assert len(letters.all()) == 1


def test_what_cannot_be_replayed_is_told(nats: NatsConnection, specs: SpecStore, letters: DeadLetters) -> None:
    """A letter without a job, and one of a job that is none any more, are told as such and remain."""
    give_up(nats, specs, worker_job(job_id="gone"), deleted=True)
    give_up(nats, specs, worker_job(job_id="strange"))
    with pytest.raises(ObjectMissing, match="its map was deleted"):
        letters.replay(letters.of("gone"))
    strange = letters.of("strange")
    assert strange.stored is not None
    del strange.stored["job"]["qdrant_collection_name"]
    with pytest.raises(InvalidJob, match="job strange is none"):
        letters.replay(strange)
    assert [letter.job_id for letter in letters.all()] == ["gone", "strange"]


@pytest.mark.parametrize("job_id", ["*", ">", "", "no-such-job", "a.b"])
def test_a_job_without_a_letter_is_told(
    job_id: str, nats: NatsConnection, specs: SpecStore, letters: DeadLetters
) -> None:
    """An unknown id is an error, and so is one that NATS would take for many."""
    give_up(nats, specs, worker_job())
    with pytest.raises(ObjectMissing, match="there is no dead letter of job"):
        letters.of(job_id)


def test_removing_leaves_a_later_letter_of_the_same_job(
    nats: NatsConnection, specs: SpecStore, letters: DeadLetters
) -> None:
    """Who removes a letter that they saw removes that one, and no other that came meanwhile; twice is no error."""
    old = give_up(nats, specs, worker_job())
    seen = letters.of(old.job.job_id)
    give_up(nats, specs, worker_job())
    letters.remove(seen)
    letters.remove(seen)
    assert [letter.number for letter in letters.all()] == [seen.number + 1]


def test_a_fresh_server_has_no_letters(nats: NatsConnection, specs: SpecStore) -> None:
    """Before the first tick has made the stream there are simply none."""
    assert DeadLetters(nats, specs).all() == []


@pytest.mark.parametrize(
    ("job_id", "expected"),
    [
        ("a", "a-r17"),
        ("a-r3", "a-r17"),
        ("a" * 60, "a" * 60 + "-r17"),
        ("b" * 61, "b" * 51 + "-"),
        ("c" * 64, "c" * 51),
    ],
)
def test_a_new_id_is_a_job_id(job_id: str, expected: str) -> None:
    """The id of a replay fits, replaces the mark of an earlier replay, and differs for ids that differ at the end."""
    letter = DeadLetter.decode(
        {"job_id": job_id, "number": 17, "partition": "1", "error": "", "failures": 1, "lost": 0, "at": 0, "job": None}
    )
    new = letter.replay_job_id
    assert new.startswith(expected)
    assert new.endswith("-r17")
    assert parse_job(worker_job(job_id=new)).job.job_id == new
    assert replace(letter, job_id=job_id[:-1] + "x").replay_job_id != new


class Command:
    """`vis-assets dlq` of one installation."""

    def __init__(self, server: EmbeddedNats, folder: Path) -> None:
        ours = {str(option.alias): None for option in Settings.model_fields.values()}
        self._environment = ours | {
            "NATS_URL": server.url,
            "VIS_ASSETS_HOME": str(folder / "home"),
            "VIS_ASSETS_STORE_DIR": str(folder / "store"),
            "VIS_ASSETS_SECRET_KEY": KEY,
        }

    def __call__(self, *arguments: str, typed: str = "", **variables: str) -> tuple[int, str]:
        """Run it; return its exit code, and everything that it said, without a secret."""
        ended = CliRunner().invoke(main, ["dlq", *arguments], input=typed, env=self._environment | variables)
        assert CANARY not in ended.output
        return ended.exit_code, ended.output


@pytest.fixture
def dlq(server: EmbeddedNats, tmp_path: Path) -> Command:
    """The command."""
    return Command(server, tmp_path)


def test_dlq_list_and_show(dlq: Command, nats: NatsConnection, specs: SpecStore, letters: DeadLetters) -> None:
    """`list` has a row for each letter and `show` everything about one; of secrets only where they are."""
    assert dlq("list") == (0, "")
    assert dlq("list", "--json") == (0, "[]\n")
    give_up(nats, specs, worker_job(vector_database_config=DATABASE, llm_config=LLM))
    code, table = dlq("list")
    assert code == 0
    assert "\x1b" not in table
    assert table.splitlines()[1].split()[:5] == [EXAMPLE["job_id"], "123", "2023-11-14T22:13:20+00:00", "6", "0"]
    (row,) = json.loads(dlq("list", "--json")[1])
    shown = json.loads(dlq("show", EXAMPLE["job_id"], "--json")[1])
    assert shown == json.loads(dlq("show", EXAMPLE["job_id"])[1])
    assert row.items() <= shown.items()
    assert shown["secrets"] == ["llm_config.api_key", "llm_config.config", "vector_database_config.api_key"]
    assert shown["job"]["qdrant_collection_name"] == EXAMPLE["qdrant_collection_name"]


def test_dlq_replay(dlq: Command, nats: NatsConnection, specs: SpecStore, letters: DeadLetters) -> None:
    """`replay` prints the new id and empties the list; an unknown id and a lost key end with exit code 1."""
    give_up(nats, specs, worker_job(vector_database_config=DATABASE))
    assert dlq("replay", "no-such-job")[0] == 1
    code, said = dlq("replay", EXAMPLE["job_id"], VIS_ASSETS_SECRET_KEY=Fernet.generate_key().decode())
    assert code == 1
    assert "VIS_ASSETS_SECRET_KEY" in said
    code, said = dlq("replay", EXAMPLE["job_id"], "--json")
    (message,) = queued(nats)
    assert (code, json.loads(said)["job_id"]) == (0, json.loads(message.payload)["job_id"])
    assert dlq("list") == (0, "")


def test_dlq_purge(dlq: Command, nats: NatsConnection, specs: SpecStore, letters: DeadLetters) -> None:
    """`purge` asks first, removes one or all, and says how many; a no ends with exit code 1 and removes nothing."""
    for number in range(3):
        give_up(nats, specs, worker_job(job_id=f"job-{number}"))
    assert dlq("purge", typed="n\n")[0] == 1
    assert dlq("purge", "job-1", "--json")[0] == 2
    assert dlq("purge", "*", "--yes")[0] == 1
    assert len(letters.all()) == 3
    code, said = dlq("purge", "job-1", typed="y\n")
    assert (code, [letter.job_id for letter in letters.all()]) == (0, ["job-0", "job-2"])
    assert "dead letter of job job-1" in said
    assert json.loads(dlq("purge", "--yes", "--json")[1]) == {"purged": 2}
    assert letters.all() == []


@pytest.mark.parametrize("arguments", [[], ["show"], ["replay"], ["list", "--yaml"], ["no-such-command"]])
def test_dlq_wrong_use(arguments: list[str], dlq: Command) -> None:
    """Wrong use ends with exit code 2."""
    assert dlq(*arguments)[0] == 2
