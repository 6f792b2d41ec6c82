"""The HTTP server of maps, over the real object store."""

import http.client
from urllib.parse import quote, urlsplit

import pytest

from vis_assets_tests.integration.live import Live


def get(live: Live, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Send the path exactly as it is: HTTP libraries would tidy it up."""
    address = urlsplit(live.maps_url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    connection.request(method, path)
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    body = answer.read()
    connection.close()
    return answer.status, headers, body


def test_map_is_served(live: Live) -> None:
    """A finished map opens at `/maps/{owner}/{transform}/{visualization}.html`, its owner's `@` written either way."""
    result = live.application.result(live.sent.second["job_id"])
    name = result["htmlS3Key"].removeprefix("visualizations/")
    page = live.object(result["htmlS3Key"]).body
    for path in (name, quote(name)):
        status, headers, body = get(live, f"/maps/{path}")
        assert (status, body) == (200, page)
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert headers["x-content-type-options"] == "nosniff"
    status, headers, body = get(live, f"/maps/{name}", "HEAD")
    assert (status, int(headers["content-length"]), body) == (200, len(page), b"")


def test_server_says_that_it_is_up(live: Live) -> None:
    """`/health` answers 200."""
    assert get(live, "/health")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/maps/../specs/125/latest.json",
        "/maps/%2e%2e/specs/125/latest.json",
        "/maps/..%2fspecs/125/latest.json",
        "/maps/%252e%252e/specs/125/latest.json",
        "/maps/user@example.com/../../specs/125/latest.json",
        "/maps/..%5cspecs%5c125%5clatest.json",
        "/maps//specs/125/latest.json",
        "/maps/",
        "/maps/..",
        "/specs/125/latest.json",
        "/maps/specs/125/latest.json",
        "/maps/%00",
        "/maps/user@example.com/125/404.html",
        "/",
    ],
)
def test_nothing_else_is_served(live: Live, path: str) -> None:
    """No spelling of a path leads out of the maps: specs, with their sealed secrets, are never served."""
    live.application.result(live.sent.second["job_id"])
    assert live.objects("specs/125/latest.json") == ["specs/125/latest.json"]
    status, _, body = get(live, path)
    assert status == 404
    assert b"sealed" not in body


def test_maps_are_read_only(live: Live) -> None:
    """Writing and deleting are not answered."""
    assert get(live, "/maps/user@example.com/125/1.html", "DELETE")[0] == 501
    assert get(live, "/maps/user@example.com/125/1.html", "PUT")[0] == 501
