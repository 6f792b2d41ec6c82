"""The stand-in for a language model, spoken to over the wire: raw, and by the official SDKs."""

import email.utils
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from vis_assets.operations.embedded_llm import (
    Cut,
    Drip,
    EmbeddedLlm,
    Empty,
    Fault,
    Hangup,
    Huge,
    Injected,
    Malformed,
    NotJson,
    Partial,
    QuotaExhausted,
    RateLimited,
    Redirect,
    Refused,
    RejectsParameter,
    ServerError,
    Slow,
    UnknownModel,
)
from vis_assets.operations.embedded_llm.namer import name_clusters, read_clusters

pytestmark = pytest.mark.enable_socket

OPENAI, COHERE, INTERNAL = "/v1/chat/completions", "/v2/chat", "/api/generate"
PATHS = [OPENAI, COHERE, INTERNAL]
CLUSTERS = [
    {"id": "c0", "keyphrases": ["graph layout", "layout", "edges"], "documents": ["Lay out a graph."]},
    {"id": "c1", "keyphrases": ["http request", "timeout"], "documents": ["Send a request."]},
    {"id": "c2", "keyphrases": ["sparse matrix", "column"], "documents": ["A matrix."]},
]
NAMES = [
    {"id": "c0", "name": "Graph Layout & Edges"},
    {"id": "c1", "name": "Http Request & Timeout"},
    {"id": "c2", "name": "Sparse Matrix & Column"},
]
CONTENT = json.dumps({"clusters": CLUSTERS}, ensure_ascii=False)
JSON_WANTED: dict[str, Any] = {"response_format": {"type": "json_object"}}


def question(path: str, content: str = CONTENT, **options: Any) -> dict[str, Any]:
    """What a client of that path sends."""
    if path == INTERNAL:
        return {"model": "some-model", "prompt": f"Name them.\n\n{content}", **options}
    messages = [{"role": "system", "content": "Name them."}, {"role": "user", "content": content}]
    return {"model": "some-model", "messages": messages, **options}


def ask(llm: EmbeddedLlm, path: str = OPENAI, *, key: str = "sk-test", **options: Any) -> httpx.Response:
    """Ask by plain HTTP."""
    with httpx.Client(timeout=20, headers={"Authorization": f"Bearer {key}"}) as client:
        return client.post(f"{llm.url}{path}", json=question(path, **options))


def said(path: str, body: dict[str, Any]) -> str:
    """The model's words in an answer."""
    if path == OPENAI:
        return str(body["choices"][0]["message"]["content"])
    return str(body["message"]["content"][0]["text"] if path == COHERE else body["text"])


def names_in(text: str) -> list[dict[str, str]]:
    """The names in a text that is JSON, or has a fenced block of it."""
    pure = text.removeprefix("Here are the names:\n```json\n").partition("\n```")[0]
    names: list[dict[str, str]] = json.loads(pure)["names"]
    return names


@pytest.fixture
def llm() -> Iterator[EmbeddedLlm]:
    """A server on a free port."""
    with EmbeddedLlm() as llm:
        yield llm


def test_openai_completion(llm: EmbeddedLlm) -> None:
    """OpenAI's path answers a complete chat completion with estimated tokens and the model that was asked for."""
    answer = ask(llm, OPENAI, **JSON_WANTED)
    body = answer.json()
    assert (answer.status_code, answer.headers["server"]) == (200, "vis-assets-double")
    assert (body["object"], body["model"]) == ("chat.completion", "some-model")
    [choice] = body["choices"]
    assert (choice["index"], choice["finish_reason"], choice["message"]["role"]) == (0, "stop", "assistant")
    assert json.loads(choice["message"]["content"]) == {"names": NAMES}
    prompt, completion = len("Name them.") / 4 + len(CONTENT) / 4, len(choice["message"]["content"]) / 4
    assert body["usage"]["prompt_tokens"] == pytest.approx(prompt, abs=2)
    assert body["usage"]["completion_tokens"] == pytest.approx(completion, abs=1)
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]


def test_cohere_chat(llm: EmbeddedLlm) -> None:
    """Cohere's path answers a list of contents, the finish reason COMPLETE and both counts of tokens."""
    body = ask(llm, COHERE, **JSON_WANTED).json()
    assert body["finish_reason"] == "COMPLETE"
    assert body["message"]["role"] == "assistant"
    [content] = body["message"]["content"]
    assert (content["type"], json.loads(content["text"])) == ("text", {"names": NAMES})
    assert body["usage"]["billed_units"] == body["usage"]["tokens"]
    assert body["usage"]["tokens"]["output_tokens"] == pytest.approx(len(content["text"]) / 4, abs=1)


def test_internal_text(llm: EmbeddedLlm) -> None:
    """Semantic Explorer's path answers a text and nothing else."""
    body = ask(llm, INTERNAL).json()
    assert list(body) == ["text"]
    assert names_in(body["text"]) == NAMES


@pytest.mark.parametrize("path", PATHS)
def test_prose_unless_json_is_demanded(llm: EmbeddedLlm, path: str) -> None:
    """Where nobody demands JSON, words stand around it."""
    text = said(path, ask(llm, path).json())
    assert text.startswith("Here are the names:\n```json\n")
    assert not text.endswith("```")
    assert names_in(text) == NAMES


def test_openai_sdk(llm: EmbeddedLlm) -> None:
    """OpenAI's SDK reads the answer, its tokens, and the code of an error."""
    import openai

    body = question(OPENAI)
    with openai.OpenAI(api_key="sk-test", base_url=llm.openai_url, max_retries=0) as client:
        completion = client.chat.completions.create(**body)
        assert names_in(completion.choices[0].message.content or "") == NAMES
        assert completion.usage is not None
        assert completion.usage.total_tokens > 0
        llm.fail_next(QuotaExhausted(), RejectsParameter("model"), Refused(), Cut())
        with pytest.raises(openai.RateLimitError) as quota:
            client.chat.completions.create(**body)
        with pytest.raises(openai.BadRequestError) as rejected:
            client.chat.completions.create(**body)
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(**body)
        assert client.chat.completions.create(**body).choices[0].finish_reason == "length"
    assert quota.value.code == "insufficient_quota"
    assert (rejected.value.code, rejected.value.param) == ("unsupported_parameter", "model")


def test_cohere_sdk(llm: EmbeddedLlm) -> None:
    """Cohere's SDK reads the answer, its tokens, and the kind of an error."""
    import cohere

    body = question(COHERE)
    client = cohere.ClientV2(api_key="sk-test", base_url=llm.url)
    answer = client.chat(**body)
    assert answer.message.content is not None
    assert names_in(answer.message.content[0].text) == NAMES  # type: ignore[union-attr] # a text, not a thought
    assert answer.usage is not None
    assert answer.usage.tokens is not None
    llm.fail_next(Refused(), UnknownModel(), Cut())
    with pytest.raises(cohere.UnauthorizedError):
        client.chat(**body)
    with pytest.raises(cohere.NotFoundError):
        client.chat(**body)
    assert client.chat(**body).finish_reason == "MAX_TOKENS"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (RateLimited(), 429),
        (QuotaExhausted(), 429),
        (ServerError(), 500),
        (ServerError(503), 503),
        (Refused(), 401),
        (Refused(403), 403),
        (UnknownModel(), 404),
        (RejectsParameter("temperature"), 400),
        (Redirect("http://169.254.169.254/"), 307),
    ],
)
def test_faults_by_status(llm: EmbeddedLlm, path: str, fault: Fault, status: int) -> None:
    """A fault that is an HTTP status is answered with it once, with an error of the provider's shape that echoes."""
    llm.fail_next(fault)
    answer = ask(llm, path, temperature=0)
    assert answer.status_code == status
    if status == 307:
        assert answer.headers["location"] == "http://169.254.169.254/"
    else:
        error = answer.json()
        message = {OPENAI: lambda: error["error"]["message"], COHERE: lambda: error["message"]}
        told = message.get(path, lambda: error["error"])()
        assert "sk-test" in told
        assert "A matrix." in told
    assert ask(llm, path, temperature=0).status_code == 200


def test_codes_of_openai_errors(llm: EmbeddedLlm) -> None:
    """OpenAI's errors have a message, a type, a parameter and a code."""
    llm.fail_next(QuotaExhausted(), RateLimited(), UnknownModel(), RejectsParameter("max_tokens"))
    errors = [ask(llm, max_tokens=500).json()["error"] for _ in range(4)]
    assert [set(error) for error in errors] == [{"message", "type", "param", "code"}] * 4
    codes = ["insufficient_quota", "rate_limit_exceeded", "model_not_found", "unsupported_parameter"]
    assert [error["code"] for error in errors] == codes
    assert [error["param"] for error in errors] == [None, None, None, "max_tokens"]


def test_retry_after(llm: EmbeddedLlm) -> None:
    """Retry-After holds seconds or a date, and is left out where there is nothing to say."""
    llm.fail_next(RateLimited(), RateLimited(1.5), RateLimited(100, as_date=True))
    nothing, seconds, date = [ask(llm).headers.get("retry-after") for _ in range(3)]
    assert (nothing, seconds) == (None, "1.5")
    later = email.utils.parsedate_to_datetime(str(date)).timestamp() - time.time()
    assert 60 < later < 102


def test_parameter_that_is_not_sent_is_not_rejected(llm: EmbeddedLlm) -> None:
    """A request without the unwelcome parameter is answered."""
    llm.fail_always(RejectsParameter("response_format"))
    assert ask(llm, **JSON_WANTED).status_code == 400
    assert ask(llm).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_faults_of_content(llm: EmbeddedLlm, path: str) -> None:
    """Faults of a model that answers are well-formed completions with the wrong words."""
    llm.fail_next(Malformed(), Injected("Hacked"), Partial(2), Cut())
    malformed, injected, partial, cut = [said(path, ask(llm, path).json()) for _ in range(4)]
    with pytest.raises(json.JSONDecodeError):
        json.JSONDecoder().raw_decode(malformed, malformed.index("{"))
    assert names_in(injected) == [{"id": f"c{i}", "name": "Hacked"} for i in range(3)]
    assert names_in(partial) == NAMES[:2]
    assert said(path, ask(llm, path).json()).startswith(cut)


def test_empty_answers(llm: EmbeddedLlm) -> None:
    """A model that says nothing answers null, no content, or an empty text."""
    llm.fail_always(Empty())
    assert ask(llm, OPENAI).json()["choices"][0]["message"]["content"] is None
    assert ask(llm, COHERE).json()["message"]["content"] == []
    assert ask(llm, INTERNAL).json() == {"text": ""}


def test_limit_of_tokens(llm: EmbeddedLlm) -> None:
    """An answer that is longer than the caller allows is cut, and says so."""
    for answer in (ask(llm, OPENAI, max_tokens=5), ask(llm, OPENAI, max_completion_tokens=5)):
        [choice] = answer.json()["choices"]
        assert (choice["finish_reason"], len(choice["message"]["content"])) == ("length", 20)
    assert ask(llm, COHERE, max_tokens=5).json()["finish_reason"] == "MAX_TOKENS"


def test_answers_that_are_no_json(llm: EmbeddedLlm) -> None:
    """A proxy's page, a hung up connection and a long body look as they do on the wire."""
    llm.fail_next(NotJson(), Hangup(), Huge(300_000))
    page = ask(llm)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html")
    with pytest.raises(httpx.RemoteProtocolError):
        ask(llm)
    huge = ask(llm)
    assert "content-length" not in huge.headers
    assert len(huge.content) > 300_000
    assert names_in(said(OPENAI, huge.json())) == NAMES


def test_slow_answer(llm: EmbeddedLlm) -> None:
    """A slow answer is a good one."""
    llm.fail_next(Slow(0.1))
    assert names_in(said(OPENAI, ask(llm).json())) == NAMES


def test_dripping_answer(llm: EmbeddedLlm) -> None:
    """A dripping answer starts with a good status and goes on byte by byte until the caller gives up."""
    llm.fail_next(Drip(0.01))
    with httpx.stream("POST", f"{llm.url}{OPENAI}", json=question(OPENAI)) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_raw()
        assert b"".join(next(pieces) for _ in range(3)).strip() == b""
    assert ask(llm).status_code == 200


@pytest.mark.parametrize("fault", [Slow(3600), Drip(0.01), Drip(3600)])
def test_stop_ends_what_waits(fault: Fault) -> None:
    """A server that stops ends the answers that are under way, and none of them looks complete."""
    with ThreadPoolExecutor(1) as pool:
        with EmbeddedLlm(every=fault) as llm:
            waiting: Future[httpx.Response] = pool.submit(ask, llm)
            deadline = time.monotonic() + 20
            while not llm.requests and time.monotonic() < deadline:
                time.sleep(0.01)
        with pytest.raises(httpx.TransportError):
            waiting.result(timeout=20)


def test_stop_ends_connections_that_are_kept_alive() -> None:
    """A connection that outlives its server is not answered any more."""
    with httpx.Client() as client:
        with EmbeddedLlm() as llm:
            assert client.get(f"{llm.url}/health").status_code == 200
        with pytest.raises(httpx.TransportError):
            client.get(f"{llm.url}/health")


def test_faults_in_their_order() -> None:
    """Each of the next requests takes one fault, then all take the standing one, until it is lifted."""
    with EmbeddedLlm(faults=[ServerError(500), ServerError(502)], every=ServerError(503)) as llm:
        assert [ask(llm).status_code for _ in range(4)] == [500, 502, 503, 503]
        llm.fail_next(ServerError(504))
        assert [ask(llm).status_code for _ in range(2)] == [504, 503]
        llm.fail_always(None)
        assert ask(llm).status_code == 200


def test_requests_are_kept(llm: EmbeddedLlm) -> None:
    """Every question is kept in order of arrival with its path, headers and body."""
    for path in PATHS:
        ask(llm, path)
    kept = llm.requests
    assert [request.path for request in kept] == PATHS
    assert [request.body for request in kept] == [question(path) for path in PATHS]
    assert kept[0].headers["authorization"] == "Bearer sk-test"
    assert "sk-test" not in repr(kept)
    kept.clear()
    assert len(llm.requests) == 3


def test_key() -> None:
    """With a key set, a wrong or missing one is refused and takes no fault."""
    with EmbeddedLlm(api_key="sk-right", faults=[ServerError()]) as llm:
        for path in PATHS:
            assert ask(llm, path, key="sk-wrong").status_code == 401
        assert httpx.post(f"{llm.url}{OPENAI}", json=question(OPENAI)).status_code == 401
        assert ask(llm, key="sk-right").status_code == 500
        assert ask(llm, key="sk-right").status_code == 200


def test_other_requests(llm: EmbeddedLlm) -> None:
    """Health is told; unknown paths, other methods and broken bodies are refused, and one connection survives all."""
    with httpx.Client(base_url=llm.url) as client:
        assert client.get("/health").status_code == 200
        assert client.post("/health", json={}).status_code == 405
        assert client.get("/").status_code == 404
        assert client.post("/v1/embeddings", json={}).status_code == 404
        for path in PATHS:
            refused = client.get(path)
            assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
            assert client.put(path, json=question(path)).status_code == 405
            for body in (b"", b"{", b"[1]", b"\xff"):
                assert client.post(path, content=body).status_code == 400
            for body in (b"{}", b'{"model": "m", "messages": [{}]}', b'{"model": "m", "messages": [1]}'):
                assert client.post(path, content=body).status_code == 400
            assert client.post(path, json=question(path)).status_code == 200
    assert [request.path for request in llm.requests] == [path for path in PATHS for _ in range(4)]


def test_body_of_unknown_length(llm: EmbeddedLlm) -> None:
    """A body in chunks is refused, and its connection ends."""
    answer = httpx.post(f"{llm.url}{OPENAI}", content=iter([b"{", b"}"]))
    assert (answer.status_code, llm.requests) == (400, [])


def test_callers_at_the_same_time(llm: EmbeddedLlm) -> None:
    """Forty callers at once are all answered."""
    with ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(lambda _: ask(llm).status_code, range(40)))
    assert statuses == [200] * 40
    assert len(llm.requests) == 40


def test_port_that_is_taken(llm: EmbeddedLlm) -> None:
    """A port can be asked for, and one that is taken is an error."""
    with pytest.raises(OSError, match="in use"):
        EmbeddedLlm(llm.port)


def test_port_is_free_again() -> None:
    """After the stop, the port and the threads are given back."""
    before = threading.active_count()
    with EmbeddedLlm() as llm:
        assert ask(llm).status_code == 200
    with EmbeddedLlm(llm.port) as again:
        assert ask(again).status_code == 200
    deadline = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_caller_that_goes_away_is_no_news(llm: EmbeddedLlm, capfd: pytest.CaptureFixture[str]) -> None:
    """A caller that leaves in the middle of a long answer, or of its own question, leaves no trace on the console."""
    llm.fail_next(Huge(50_000_000))
    with httpx.stream("POST", f"{llm.url}{OPENAI}", json=question(OPENAI)) as answer:
        assert answer.status_code == 200
    with socket.create_connection(("127.0.0.1", llm.port)) as half:
        half.sendall(f"POST {OPENAI} HTTP/1.1\r\nContent-Length: 100\r\n\r\n{{".encode())
    assert ask(llm).status_code == 200
    assert capfd.readouterr() == ("", "")


def test_question_in_its_surroundings() -> None:
    """The question is found behind instructions that look like one, and inside a message of several parts."""
    example = 'Answer for {"clusters": [...]} like this. '
    assert read_clusters(f"{example}\n\n{CONTENT} Thanks.") == CLUSTERS
    assert read_clusters("Hello?") == []
    assert read_clusters('{"clusters": 3}') == []
    assert read_clusters('{"clusters": [1, {"id": "c0"}]}') == [{"id": "c0"}]


def test_message_of_several_parts(llm: EmbeddedLlm) -> None:
    """A message may be a list of parts."""
    parts = [{"type": "text", "text": "Name these:"}, {"type": "text", "text": CONTENT}]
    body = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    answer = httpx.post(f"{llm.url}{COHERE}", json=body)
    assert names_in(said(COHERE, answer.json())) == NAMES


def test_half_a_character(llm: EmbeddedLlm) -> None:
    """Evidence with half a surrogate pair is answered."""
    content = '{"clusters": [{"id": "c0", "keyphrases": ["bad \\ud83d text"]}]}'
    assert names_in(said(OPENAI, ask(llm, content=content).json())) == [{"id": "c0", "name": "Bad Text"}]


@pytest.mark.parametrize(
    ("cluster", "name"),
    [
        ({"keyphrases": ["graph layout", "layout", "edges"]}, "Graph Layout & Edges"),
        ({"keyphrases": ["one"]}, "One"),
        ({"keyphrases": ["a b c d", "e f g", "h"]}, "A B C D & H"),
        (
            {"keyphrases": ["graph layout", "edges", "nodes"], "avoid": ["EDGES graph layout"]},
            "Graph Layout, Edges & Nodes",
        ),
        ({"keyphrases": ["机器 学习", "神经网络"]}, "机器 学习、神经网络"),
        (
            {"keyphrases": ["odd", "layout", "edges"], "documents": ["Layout of Edges", "edges, layout"]},
            "Layout, Edges & Odd",
        ),
        ({"children": ["Graph Edges", "Graph Nodes"], "keyphrases": ["drawing"]}, "Graph & Drawing"),
        ({"children": ["Graph Edges", "Graph Nodes", "Edges"]}, "Graph, Edges & Nodes"),
        ({"children": ["Vector Search", "Matrix Products"], "keyphrases": ["algebra", "numbers"]}, "Algebra & Numbers"),
        ({"children": ["Vector Search", "Matrix Products"]}, "Vector, Search & Matrix"),
        ({"documents": ["The quick foxes jump", "Foxes are quick"]}, "Quick & Foxes"),
        ({"task": "Name lasers, lasers, optics"}, "Lasers & Optics"),
        (
            {"task": "Please name these:\n<documents>\nOptics of lasers\nLasers\n</documents>\nPlease!"},
            "Lasers & Optics",
        ),
        ({"documents": ["a an 12 of"]}, "An, 12 & Of"),
        ({}, "Unclear"),
        ({"keyphrases": [1, " ", None], "documents": 5}, "Unclear"),
    ],
)
def test_name_of_one_cluster(cluster: dict[str, Any], name: str) -> None:
    """A name is made of the cluster's evidence, the best of it first, and is none of those that shall be avoided."""
    assert name_clusters([{"id": "c0", **cluster}]) == [{"id": "c0", "name": name}]


def test_names_of_one_answer_differ() -> None:
    """Clusters with equal evidence get different names while the evidence lasts."""
    names = name_clusters([{"id": f"c{i}", "keyphrases": ["red", "green", "blue"]} for i in range(7)])
    assert len({named["name"] for named in names}) == 7
    assert [named["id"] for named in names] == [f"c{i}" for i in range(7)]
