"""Estimates against counts, and texts that are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vis_assets.llm.tokens import ELLIPSIS, count_tokens, truncate

# Counted with tiktoken: the ranks of cl100k_base and of o200k_base.
COUNTED = [
    (
        "A circuit breaker stops asking a server that fails again and again. It opens after several failures in a "
        "row, and after a while one request is let through to see whether the server has come back.",
        40,
        40,
    ),
    (
        "def read_prices(path: Path) -> dict[str, Price]:\n    stated = json.loads(path.read_text())\n"
        "    return {name: to_price(entry) for name, entry in stated.items() if name not in IGNORED}\n",
        46,
        47,
    ),
    (
        "Die Lieferung kam drei Tage zu spät und die Verpackung war beschädigt. Nach mehreren Anrufen beim "
        "Kundendienst hat man mir eine Gutschrift versprochen, die bis heute nicht eingetroffen ist.",
        51,
        41,
    ),
    (
        "机器学习模型需要大量数据。医院的病人等了三个小时，最后护士告诉他们医生已经下班了。"  # noqa: RUF001
        "股市今天下跌了百分之二，投资者担心利率会继续上升。",  # noqa: RUF001
        79,
        47,
    ),
    (
        "トピックマップは、コレクションのベクトルを閲覧できる地図に変えます。各クラスタには名前があり、"
        "読者は文書の内容を一目で把握できます。昨日の午後、東京で会議を開きました。",
        89,
        63,
    ),
    (
        "주제 지도는 컬렉션의 벡터를 탐색할 수 있는 지도로 바꿉니다. 각 클러스터에는 이름이 있어서 독자가 "
        "문서의 내용을 한눈에 알 수 있습니다.",
        64,
        46,
    ),
    ("2026-11-22 18:46:00 3.14159 1,250,000 42 0.0005 17.5% 192.168.0.1 +49 30 1234567 EUR 1.299,00", 58, 58),
    (
        "https://www.example.com/path/to/page?id=12345&ref=abc_def#section-2 https://docs.python.org/3/library/re.html",
        31,
        31,
    ),
    ("shipping delay, refund request, damaged packaging, customer service, late delivery", 14, 14),
]

# One visible character each: a letter with two marks, a family, a hand with a skin tone, a lone pair of surrogates.
CLUSTERS = ["e\u0301\u0323", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\ud83d\ude00"]


@pytest.mark.parametrize(("text", "cl100k", "o200k"), COUNTED)
def test_an_estimate_is_near_the_count(text: str, cl100k: int, o200k: int) -> None:
    """An estimate is within 20 % of the geometric mean of what two vocabularies count."""
    assert count_tokens(text) == pytest.approx((cl100k * o200k) ** 0.5, rel=0.2)


def test_nothing_has_no_tokens() -> None:
    """The empty text has no tokens, and is not shortened."""
    assert count_tokens("") == 0
    assert truncate("", 0) == ""


def test_foreign_words_cost_more_than_english_ones() -> None:
    """The same plain word costs more among German function words than among English ones."""
    german = "der die das und ist nicht mit von zu den dem des ein eine auf sich wird"
    english = "the of and to is for that with it on are be this by or not from"
    word = " abhandlungen" * 20
    assert count_tokens(german + word) - count_tokens(german) > count_tokens(english + word) - count_tokens(english)


def test_a_short_text_stays_whole() -> None:
    """A text of no more tokens than allowed is returned as it is."""
    text, tokens, _ = COUNTED[0]
    assert truncate(text, 2 * tokens) == text


@pytest.mark.parametrize("text", [text for text, _, _ in COUNTED])
@pytest.mark.parametrize("tokens", [1, 2, 5, 10, 13])
def test_a_cut_text_is_short_enough_and_a_beginning(text: str, tokens: int) -> None:
    """What is left is a beginning of the text, says that it is cut, and has no more tokens than allowed."""
    cut = truncate(text, tokens)
    assert count_tokens(cut) <= tokens
    assert cut == "" or (cut.endswith(ELLIPSIS) and text.startswith(cut[:-1]))


@pytest.mark.parametrize("text", [COUNTED[0][0], COUNTED[2][0], "поставка опоздала на три дня и упаковка повреждена"])
def test_a_cut_text_ends_where_a_word_does(text: str) -> None:
    """A text with spaces is cut between two words, and uses most of what it may."""
    for tokens in range(6, count_tokens(text)):
        cut = truncate(text, tokens)
        assert not text[len(cut) - 1].isalnum()
        assert count_tokens(cut) >= tokens - 6


def test_a_text_without_spaces_is_cut_all_the_same() -> None:
    """Where no word ends near, a text is cut within what stands there."""
    cut = truncate("x" * 100_000, 20)
    assert cut.endswith(ELLIPSIS)
    assert 10 < count_tokens(cut) <= 20


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_visible_character_is_not_split(cluster: str) -> None:
    """A character of several code points is kept whole or left out whole."""
    for tokens in range(1, 40):
        cut = truncate(cluster * 20, tokens).removesuffix(ELLIPSIS)
        assert cut == cluster * (len(cut) // len(cluster))


def test_only_the_beginning_of_a_long_text_is_looked_at() -> None:
    """What follows far behind the cut changes nothing, and a text of a megabyte is cut."""
    beginning = "the parcel arrived late and the box was damaged. " * 50
    assert truncate(beginning * 400, 100) == truncate(beginning, 100)


@given(st.text(), st.integers(min_value=0, max_value=60))
def test_any_text_can_be_cut(text: str, tokens: int) -> None:
    """Whatever a text holds, what is left of it has no more tokens than allowed and begins as it does."""
    cut = truncate(text, tokens)
    assert count_tokens(cut) <= tokens
    assert cut == text or text.startswith(cut.removesuffix(ELLIPSIS))
