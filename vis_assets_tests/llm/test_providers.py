"""What holds for every provider, through its real client: one suite over all of them."""

import json
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from vis_assets.errors import (
    AnswerUnusable,
    ModelBusy,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    VisAssetsError,
)
from vis_assets.llm import Model, ModelAccess, Question, open_model, registered_providers
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
    RateLimited,
    Redirect,
    Refused,
    ServerError,
    Slow,
    UnknownModel,
)
from vis_assets_tests.llm.wire import KEY, NAMED, QUESTION, Script, access_to, say

pytestmark = [pytest.mark.enable_socket]

KINDS = ("openai", "cohere", "internal")
"""One provider of each wire format."""
CANARIES = {
    "OPENAI_API_KEY": "canary-1",
    "OPENAI_ADMIN_KEY": "canary-2",
    "OPENAI_ORG_ID": "canary-3",
    "OPENAI_PROJECT_ID": "canary-4",
    "OPENAI_WEBHOOK_SECRET": "canary-5",
    "OPENAI_CUSTOM_HEADERS": "X-Canary: canary-6\nAuthorization: Bearer canary-7\nUser-Agent: canary-8",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/canary-9",
    "CO_API_KEY": "canary-10",
    "COHERE_API_KEY": "canary-11",
    "CO_API_URL": "http://127.0.0.1:9/canary-12",
}
FAULTS: list[tuple[Fault, type[VisAssetsError], str]] = [
    (Refused(401), ModelRefused, "llm_config.api_key"),
    (Refused(403), ModelRefused, "llm_config.api_key"),
    (UnknownModel(), ModelRefused, "llm_config.model"),
    (Redirect("http://169.254.169.254/latest"), ModelRefused, "redirect"),
    (RateLimited(), ModelBusy, "HTTP 429"),
    (ServerError(500), ModelUnavailable, "HTTP 500"),
    (ServerError(503), ModelUnavailable, "HTTP 503"),
    (ServerError(529), ModelUnavailable, "HTTP 529"),
    (Hangup(), ModelUnavailable, "broke"),
    (NotJson(), AnswerUnusable, "cannot be used"),
    (Empty(), AnswerUnusable, "no text"),
    (Huge(1_100_000), AnswerUnusable, "longer"),
]
HOSTILE_BODIES = [
    b"null",
    b"[]",
    b'"text"',
    b"7",
    b'{"choices": 7, "message": 7, "text": 7, "usage": 7}',
    b'{"choices": [], "message": {"content": []}, "text": []}',
    b'{"choices": [7], "message": {"content": [7]}, "text": {}}',
    b'{"choices": {"0": 1}, "message": [1], "text": null}',
    b'{"choices": [{"message": []}], "message": {"content": "x"}}',
    b'{"choices": [{"message": {"content": 5}}], "message": {"content": [{"type": "text", "text": 5}]}}',
    b"[" * 200_000,
    b'{"choices":' * 20_000,
    b"\xff\xfe\x00\xd8",
    b'{"id": ' + b"9" * 10_000 + b"}",
    b"",
]


@pytest.fixture
def llm() -> Iterator[EmbeddedLlm]:
    with EmbeddedLlm(api_key=KEY) as server:
        yield server


@pytest.fixture(params=KINDS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(provider: str, llm: EmbeddedLlm) -> Iterator[Model]:
    opened = open_model(access_to(provider, llm))
    yield opened
    opened.close()


def failure_of(model: Model, timeout_seconds: float = 10) -> VisAssetsError:
    with pytest.raises(VisAssetsError) as caught:
        model.complete(QUESTION, timeout_seconds)
    return caught.value


def answered_by(provider: str, *answers: bytes) -> list[object]:
    """Return what a model makes of a server that gives these answers: completions, or our errors."""
    given = iter(answers)
    made: list[object] = []
    with Script(lambda stream, _: stream.sendall(next(given))) as server:
        model = open_model(ModelAccess(provider, "some-model", KEY, server.url))
        for _ in answers:
            try:
                made.append(model.complete(QUESTION, 5))
            except VisAssetsError as error:
                made.append(error)
        model.close()
    return made


def test_a_question_is_answered(model: Model):
    """The text comes back, with token counts of zero or more where the server tells them."""
    completion = model.complete(QUESTION, 10)
    assert NAMED in completion.text
    assert not completion.is_cut
    assert (completion.input_tokens is None) == (completion.output_tokens is None)


def test_the_question_arrives_whole(model: Model, llm: EmbeddedLlm):
    """Model, temperature, instructions and content reach the server as they are."""
    model.complete(QUESTION, 10)
    body = llm.requests[-1].body
    assert body["model"] == "some-model"
    assert body["temperature"] == 0
    said = body.get("prompt") or "\n\n".join(message["content"] for message in body["messages"])
    assert said == f"{QUESTION.instructions}\n\n{QUESTION.content}"
    assert QUESTION.max_output_tokens in (body.get("max_tokens"), body.get("max_completion_tokens"))


@pytest.mark.parametrize(("fault", "kind", "said"), FAULTS, ids=[str(fault) for fault, _, _ in FAULTS])
def test_a_fault_becomes_one_of_our_errors(
    model: Model, llm: EmbeddedLlm, fault: Fault, kind: type[VisAssetsError], said: str
):
    """Each fault of a server becomes the error that says whether asking again can help, and asks once only."""
    llm.fail_next(fault)
    failure = failure_of(model)
    assert type(failure) is kind
    assert said in str(failure)
    assert len(llm.requests) == 1


@pytest.mark.parametrize("fault", [Refused(401), RateLimited(), UnknownModel(), ServerError(500), ServerError(400)])
def test_nothing_of_what_a_server_says_gets_into_a_message(model: Model, llm: EmbeddedLlm, fault: Fault):
    """The double echoes key and documents in its errors, and neither is in the message, the chain or the repr."""
    llm.fail_always(fault)
    failure = failure_of(model)
    told = "".join(traceback.format_exception(failure)) + repr(failure) + repr(model)
    assert KEY not in told
    assert "A private text" not in told
    assert failure.__suppress_context__ or failure.__context__ is None


@pytest.mark.parametrize("fault", [Slow(5), Drip(0.02)])
def test_a_call_ends_by_its_deadline(model: Model, llm: EmbeddedLlm, fault: Fault):
    """A server that is slow, or sends a byte now and then, holds nobody for longer than the call may take."""
    llm.fail_next(fault)
    assert type(failure_of(model, 0.25)) is ModelTimedOut


def test_no_time_asks_nothing(model: Model, llm: EmbeddedLlm):
    """A call without time left times out before anything is sent."""
    assert type(failure_of(model, 0)) is ModelTimedOut
    assert llm.requests == []


@pytest.mark.parametrize(("retry_after", "as_date"), [(7, False), (1.5, False), (7, True)])
def test_how_long_to_wait_is_passed_on(model: Model, llm: EmbeddedLlm, retry_after: float, as_date: bool):
    """Retry-After is heard in seconds and as a date."""
    llm.fail_next(RateLimited(retry_after, as_date))
    failure = failure_of(model)
    assert isinstance(failure, ModelBusy)
    assert failure.retry_after_seconds == pytest.approx(retry_after, abs=2 if as_date else 0)


def test_an_answer_that_was_cut_says_so(model: Model, llm: EmbeddedLlm, provider: str):
    """The end at the longest answer is told, except by the internal service, which knows no such thing."""
    llm.fail_next(Cut())
    assert model.complete(QUESTION, 10).is_cut == (provider != "internal")


@pytest.mark.parametrize("fault", [Malformed(), Injected("Buy now"), Partial(0)])
def test_what_a_model_says_is_left_to_the_caller(model: Model, llm: EmbeddedLlm, fault: Fault):
    """A completion that is well-formed on the wire comes back whatever its text says."""
    llm.fail_next(fault)
    assert model.complete(QUESTION, 10).text


def test_nothing_of_the_environment_reaches_a_server(provider: str, llm: EmbeddedLlm, monkeypatch: pytest.MonkeyPatch):
    """Keys, organisation, project and headers that the SDKs read from the environment are never sent."""
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    model = open_model(access_to(provider, llm))
    model.complete(QUESTION, 10)
    model.close()
    sent = llm.requests[-1]
    assert "canary-" not in (json.dumps(sent.headers) + json.dumps(sent.body) + sent.path).replace(KEY, "")
    assert sent.headers["authorization"] == f"Bearer {KEY}"


def test_no_key_sends_no_key(monkeypatch: pytest.MonkeyPatch):
    """A server that needs no key is told none, whatever the environment holds."""
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    with EmbeddedLlm() as llm:
        for provider in ("openai_compatible", "vllm", "ollama", "internal"):
            model = open_model(access_to(provider, llm, api_key=None))
            model.complete(QUESTION, 10)
            model.close()
        assert not any("authorization" in request.headers for request in llm.requests)


def test_threads_share_a_model(model: Model, llm: EmbeddedLlm):
    """Questions asked at the same time all get their answer, and a slow one costs the others nothing."""
    llm.fail_next(Slow(5))
    began = threading.Event()

    def ask(timeout_seconds: float) -> object:
        began.set()
        try:
            return model.complete(QUESTION, timeout_seconds).text
        except ModelTimedOut:
            return ModelTimedOut

    with ThreadPoolExecutor(5) as pool:
        slow = pool.submit(ask, 0.4)
        began.wait()
        while not llm.requests:
            time.sleep(0.01)
        others = list(pool.map(ask, [10.0] * 8))
        assert slow.result() is ModelTimedOut
    assert all(isinstance(text, str) and NAMED in text for text in others)


def test_a_closed_model_is_unavailable(model: Model):
    """A question after the end is one of our errors, too."""
    model.close()
    assert "closed" in str(failure_of(model))


def test_half_a_character_is_sent_and_returned_whole(provider: str, llm: EmbeddedLlm):
    """Lone surrogates, which JSON can spell and UTF-8 cannot, neither break a question nor get into an answer."""
    model = open_model(access_to(provider, llm))
    model.complete(Question("Name it \ud800.", QUESTION.content, QUESTION.schema, 100), 10)
    model.close()
    text = r'"Half \ud83d"'
    body = f'{{"choices": [{{"message": {{"content": {text}}}}}], "text": {text},'
    body += f'"id": "1", "finish_reason": "COMPLETE", "message": {{"content": [{{"type": "text", "text": {text}}}]}}}}'
    (answer,) = answered_by(provider, say(body.encode()))
    assert getattr(answer, "text", answer) == "Half \ufffd"


@pytest.mark.parametrize("status", ["200 OK", "400 Bad", "429 Busy", "500 Bad", "204 None", "418 Tea"])
def test_no_body_breaks_a_client(provider: str, status: str):
    """Whatever a hostile server sends as JSON, deep, long or of other types, only our errors come out."""
    answers = answered_by(provider, *(say(body, status=status) for body in HOSTILE_BODIES))
    for body, answer in zip(HOSTILE_BODIES, answers, strict=True):
        assert isinstance(answer, ModelRefused | ModelUnavailable | AnswerUnusable), body[:40]
        assert "closed" not in str(answer), body[:40]


@pytest.mark.parametrize("charset", ["base64", "zlib", "rot13", "undefined", "\x01", "x" * 5000])
def test_no_charset_breaks_a_client(provider: str, charset: str):
    """A server cannot have its answer decoded by a codec of its choice."""
    said = [say(b"<html>", f"text/html; charset={charset}", status) for status in ("200 OK", "500 Bad")]
    assert [type(answer) for answer in answered_by(provider, *said)] == [AnswerUnusable, ModelUnavailable]


@pytest.mark.parametrize("counts", ['"many"', "-3", "1e300", "null", "[]"])
def test_token_counts_are_not_taken_on_trust(provider: str, counts: str):
    """A count that is no number of tokens is unknown, and the answer is still good."""
    usage = f'{{"prompt_tokens": {counts}, "completion_tokens": {counts}, "billed_units": '
    usage += f'{{"input_tokens": {counts}, "output_tokens": {counts}}}}}'
    content = '[{"type": "text", "text": "x"}]'
    body = '{"choices": [{"message": {"content": "x"}}], "text": "x", "id": "1", "finish_reason": "COMPLETE",'
    body += f'"message": {{"content": {content}}}, "usage": {usage}}}'
    (answer,) = answered_by(provider, say(body.encode()))
    assert getattr(answer, "text", answer) == "x"
    assert getattr(answer, "input_tokens", 0) is None
    assert getattr(answer, "output_tokens", 0) is None


def test_a_code_that_is_the_key_or_a_text_is_not_told(provider: str):
    """A server that answers with the key, a part of it or a sentence as its error code does not get it told."""
    codes = (KEY, KEY[3:], f"x{KEY}", "a code of words", "x" * 65)
    bodies = [json.dumps({"error": {"code": code, "type": code, "status": code}}).encode() for code in codes]
    answers = answered_by(provider, *(say(body, status="403 No") for body in bodies))
    for code, answer in zip(codes, answers, strict=True):
        assert isinstance(answer, ModelRefused)
        assert code not in str(answer)


def test_every_preset_asks_its_own_client(llm: EmbeddedLlm):
    """Each provider of the registry answers through the real client, wherever it is."""
    for provider in registered_providers():
        model = open_model(access_to(provider, llm))
        assert NAMED in model.complete(QUESTION, 10).text
        model.close()
