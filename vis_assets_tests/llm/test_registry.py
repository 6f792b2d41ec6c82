"""Which providers there are, and what is said before anything is asked."""

import subprocess
import sys
from pathlib import Path

import pytest

import vis_assets.llm
from vis_assets.errors import InvalidJob, ModelRefused
from vis_assets.llm import ModelAccess, open_model, registered_providers

NAMES = {"openai", "groq", "nvidia", "gemini", "ollama", "vllm", "openai_compatible", "cohere", "internal"}
KEY = "sk-canary"


def test_all_providers_are_registered():
    """Every file of the folder that has providers adds them, and none hides another's."""
    assert set(registered_providers()) == NAMES


def test_a_provider_that_costs_has_a_key_and_an_address():
    """Only what runs on one's own machines, or anywhere, does without."""
    for name, provider in registered_providers().items():
        is_public = bool(provider.base_url and provider.base_url.startswith("https://"))
        assert provider.needs_key == is_public, name
        assert provider.key_variable is not None or not provider.needs_key, name
        assert not (provider.is_local and provider.needs_key), name


def test_a_file_in_the_folder_is_a_provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Adding a module with providers and `open_model` is all it takes."""
    (tmp_path / "made_up.py").write_text(
        "from vis_assets.llm.provider import Provider\n"
        "PROVIDERS = {'made_up': Provider('https://made.up', 'm', needs_key=False)}\n"
        "def open_model(access, provider):\n    return access, provider\n"
    )
    monkeypatch.setattr(vis_assets.llm, "__path__", [*vis_assets.llm.__path__, str(tmp_path)])
    vis_assets.llm._modules.cache_clear()
    try:
        assert set(registered_providers()) == NAMES | {"made_up"}
        access = ModelAccess("made_up", "m")
        assert open_model(access) == (access, registered_providers()["made_up"])
    finally:
        vis_assets.llm._modules.cache_clear()


def test_an_unknown_provider_names_the_known_ones():
    """The message holds the field, the value, shortened, and what would do."""
    with pytest.raises(InvalidJob) as caught:
        open_model(ModelAccess("opnai" + "x" * 1000, "m", KEY))
    assert "llm_config.provider is 'opnai" in str(caught.value)
    assert "cohere, gemini, groq" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("provider", ["vllm", "openai_compatible", "internal"])
def test_a_provider_without_an_address_asks_for_one(provider: str):
    """Who has no address of its own must be told."""
    with pytest.raises(InvalidJob, match=r"llm_config\.config\.base_url is missing"):
        open_model(ModelAccess(provider, "m"))


@pytest.mark.parametrize(
    "base_url",
    [
        "models.example/v1",
        "ftp://models.example",
        "file:///etc/passwd",
        "http://",
        "http://:8000",
        "http://user:password@models.example",
        "http://models.example?key=password",
        "http://models.example#password",
        "http://models.example:99999",
        "http://models.example:0",
        "http://models.example:password",
        "http://[::1",
        "http://999.1.1.1",
        "http://models.example/\r\nX: password",
        "http://m\u00f6dels.example",
        "http:\\\\models.example",
    ],
)
@pytest.mark.parametrize("provider", ["openai", "cohere", "internal"])
def test_a_malformed_address_is_refused_without_being_echoed(provider: str, base_url: str):
    """An address that two parsers could read differently is none, and may hold a password."""
    with pytest.raises(InvalidJob, match=r"llm_config\.config\.base_url") as caught:
        open_model(ModelAccess(provider, "m", KEY, base_url))
    assert "password" not in str(caught.value).replace("user, password,", "")


@pytest.mark.parametrize("provider", sorted(NAMES - {"ollama", "vllm", "openai_compatible", "internal"}))
@pytest.mark.parametrize("api_key", [None, ""])
def test_a_provider_that_needs_a_key_says_where_to_put_it(provider: str, api_key: str | None):
    """The message names the job's field and the installation's variable."""
    with pytest.raises(ModelRefused) as caught:
        open_model(ModelAccess(provider, "m", api_key))
    assert "llm_config.api_key" in str(caught.value)
    assert str(registered_providers()[provider].key_variable) in str(caught.value)


@pytest.mark.parametrize("api_key", [f"{KEY}\n", f" {KEY}", f"{KEY} x", f"{KEY}\r\nX: y", f"{KEY}\u2014", KEY * 1000])
def test_a_key_that_no_request_can_carry_is_refused(api_key: str):
    """A line break or a dash of a word processor is found before a client quotes the key in its complaint."""
    with pytest.raises(ModelRefused, match="no request can carry") as caught:
        open_model(ModelAccess("openai", "m", api_key))
    assert KEY not in str(caught.value)


def test_opening_says_nothing_of_the_key_and_needs_no_network():
    """Every provider opens and closes with sockets blocked, and shows no key."""
    for name, provider in registered_providers().items():
        model = open_model(ModelAccess(name, "m", KEY, provider.base_url or "http://127.0.0.1:9"))
        assert KEY not in repr(model) + str(model)
        model.close()


def test_the_list_of_providers_is_light():
    """Neither an SDK nor an HTTP client is loaded for knowing who there is."""
    heavy = ("openai", "cohere", "httpx", "httpx2", "httpcore", "stamina", "pybreaker")
    code = "import sys, vis_assets.llm as llm; llm.registered_providers(); "
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
