"""A server that says exactly what a test wants, byte by byte, and the questions and models of these tests."""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Self

from vis_assets.llm import ModelAccess, Question
from vis_assets.operations.embedded_llm import EmbeddedLlm

KEY = "sk-canary-of-the-job"
SCHEMA = {
    "type": "object",
    "properties": {"names": {"type": "array", "items": {"type": "object"}}},
    "required": ["names"],
    "additionalProperties": False,
}
QUESTION = Question(
    instructions="Name each cluster; answer in JSON.",
    content=json.dumps({"clusters": [{"id": "c0", "keyphrases": ["solar panels"], "documents": ["A private text."]}]}),
    schema=SCHEMA,
    max_output_tokens=300,
)
NAMED = "Solar Panels"


def access_to(provider: str, llm: EmbeddedLlm, api_key: str | None = KEY) -> ModelAccess:
    """Return how the provider's own client reaches the double."""
    base_url = llm.url if provider in ("cohere", "internal") else llm.openai_url
    return ModelAccess(provider, "some-model", api_key, base_url)


class Script:
    """Accepts connections and hands each to the script of the test, once the request's head and body have come."""

    def __init__(
        self,
        speak: Callable[[socket.socket, threading.Event], None],
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._speak = speak
        self._tls = tls
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._serve)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        # Wakes the accept.
        socket.create_connection(self._listener.getsockname()[:2]).close()
        for thread in list(self._threads):
            thread.join(5)
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            connection, _ = self._listener.accept()
            self._start(self._talk, connection)

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        try:
            with self._tls.wrap_socket(connection, server_side=True) if self._tls else connection as stream:
                head, body = hear(stream)
                if head:
                    self.heads.append(head)
                    self.bodies.append(body)
                    self._speak(stream, self._stopping)
        except OSError:
            return  # the client gave up, which is what many of these tests are about


def hear(stream: socket.socket) -> tuple[bytes, bytes]:
    """Read a whole request: what is left unread would reset the connection, and with it the answer."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        part = stream.recv(65_536)
        if not part:
            return b"", b""
        heard += part
    head, _, body = heard.partition(b"\r\n\r\n")
    size = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < size and (part := stream.recv(65_536)):
        body += part
    return head, body


def say(answer: bytes, content_type: str = "application/json", status: str = "200 OK", extra: str = "") -> bytes:
    """Write an HTTP answer that ends the connection."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(answer)}\r\n{extra}"
    return f"{head}Connection: close\r\n\r\n".encode() + answer


def always(answer: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Return a script that gives one answer to everybody."""
    return lambda stream, _: stream.sendall(answer)
