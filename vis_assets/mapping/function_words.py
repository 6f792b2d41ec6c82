"""Words that say nothing of a text's topic, by language; and which languages' words to leave out of given texts."""
# ruff: noqa: RUF001 - words of many alphabets are what this module is about

from collections.abc import Mapping

_ENGLISH = """
a about above after again all also am an and any are aren as at be because been before being below between both
but by can cannot could couldn did didn do does doesn doing don down during each either else etc ever every few
for from further get given gets had hadn has hasn have haven having he her here hers herself him himself his how
however if in into is isn it its itself just let ll may me might more most must mustn my myself neither no nor not
of off on once one only or other otherwise our ours ourselves out over own per rather re same shall shan she should
shouldn so some such than that the their theirs them themselves then there therefore these they this those though
through thus to too under until up upon us use used uses using ve very via was wasn we weren were what when where
whether which while who whom whose why will with within without won would wouldn yet you your yours yourself
yourselves http https www com org html
"""
ENGLISH = frozenset(_ENGLISH.split())
"""Left out of all texts."""
_WORDS = {
    "German": """
aber alle als also am an ander auch auf aus bei beim bin bis bist da dabei damit dann das dass dem den denn der des die
dies diese diesem diesen dieser dieses doch dort du durch ein eine einem einen einer eines er es etwas für gegen hat
hatte hatten haben hier ich ihm ihn ihr ihre ihrem ihren ihrer im immer in ist ja jede jedem jeden jeder jedes jetzt
kann kein keine können könnte man mehr mein meine mich mir mit muss müssen nach nicht noch nun nur ob oder ohne schon
sehr sein seine seinem seinen seiner sich sie sind so soll sollte sondern über um und uns unser unter viel viele vom von
vor war waren was weil wenn wer werden wie wieder will wir wird wurde wurden zu zum zur zwischen
""",
    "French": """
à ai après au aussi autre aux avait avant avec avez avons c car ce ceci cela ces cet cette chaque ci comme d dans de des
deux donc dont du elle elles en encore entre es est et étaient était été être eux fait faut hors il ils j je jusqu l la
le les leur leurs lui m ma mais me même mes moi moins mon n ne ni nos notre nous on ont ou où par pas peu peut peuvent
plus pour qu quand que quel quelle qui quoi s sa sans se sera ses si soit son sont sous sur t ta te tes toi ton tous
tout toute toutes très tu un une vers vos votre vous y
""",
    "Spanish": """
a al algo algunos ante antes aquel así aún cada como con contra cual cuando de del desde donde dos el él ella ellas
ellos en entre era eran es esa ese eso esta está están estar estas este esto estos fue fueron ha había han hasta hay la
las le les lo los más me mi mientras mucho muy nada ni no nos nosotros o otra otras otro otros para pero poco por porque
puede pueden que quien se sea según ser si sí sido sin sobre son su sus también tan tanto te tiene tienen todo todos tu
un una unas uno unos va y ya yo
""",
    "Portuguese": """
a à ao aos as às até com como da das de dela dele depois do dos e é ela elas ele eles em entre era essa esse esta está
estão este eu foi foram há isso isto já lhe mais mas me mesmo meu minha muito na nas não nem no nos nós num numa o os ou
para pela pelas pelo pelos pode por porque qual quando que quem se sem ser será seu seus só sua suas são também te tem
têm um uma você
""",
    "Italian": """
a ad agli ai al alla alle allo anche ancora avere c che chi ci come con contro così cui da dai dal dalla dalle degli dei
del della delle dello di dopo dove e è ed era erano fra gli ha hanno i il in io l la le lei lo loro lui ma mi mio molto
ne negli nei nel nella nelle no noi non nostro o ogni per perché più può qual quando quella quelle quello questa queste
questi questo se sei senza si sia sono su sua sue sugli sui sul sulla suo suoi ti tra tu tutti tutto un una uno vi voi
""",
    "Dutch": """
aan al alle als altijd ben bij daar dan dat de der deze die dit doen door dus een en er ge geen haar had heb hebben
heeft hem het hier hij hoe hun iets ik in is ja je kan kon kunnen maar me meer men met mij mijn moet na naar niet niets
nog nu
of om omdat onder ons ook op over te tegen toch toen tot u uit uw van veel voor want waren was wat we wel werd wezen wie
wij worden wordt zal ze zei zelf zich zij zijn zo zonder zou
""",
    "Russian": """
а без более был была были было быть в вам вас весь во вот все всё всего всех вы где да для до его её ее ей ему если есть
ещё еще же за и из или им их к как какой когда кто ли мне может можно мой мы на над надо нас не него нее ней нет ни них
но ну о об он она они оно от очень по под после потом потому при про с сам свою себя со так также такой там тем то того
тоже той только том тот тут ты у уже хорошо хотя чего чем через что чтобы эта эти это этого этой этом этот я
""",
    "Arabic": """
أن إن إلى أو أي التي الذي الذين اللذين بعد بين تلك ثم حتى حيث دون ذلك ضد على عن عند غير في قد قبل كان كانت كل كما كيف لا
لكن لم لن له لها ليس ما مع من منذ منها منه نحو هذا هذه هل هم هو هي هناك و وقد ولا وهو وهي ومن وفي يكون يمكن سوف لأن
""",
    "Korean": """
있다 있는 있습니다 없다 없는 하는 하고 한다 합니다 했다 된다 되는 됩니다 이다 입니다 또한 그리고 하지만 그러나 대한 위한
위해 통해 매우 가장 모든 다른 같은 이러한 그런 우리 그것 이것 때에는 것은 것이 것을 것으로 있다고 없다고
""",
}
BY_LANGUAGE = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_FEWEST_WORDS = 4  # different ones; a few are chance
_SPOKEN_SHARE = 0.05  # of all words: a language's own texts have 25 to 50%, those of another one below 2%


def silent_words(counts: Mapping[str, int]) -> frozenset[str]:
    """Find the words to leave out: those of English, and of the languages that texts are evidently written in.

    A function word of one language is a noun of another ("war", "die"), so a language's words go only where a good part
    of all words are its function words.

    Args:
        counts: how often each word occurs, in lower case.
    """
    total = sum(counts.values())
    return ENGLISH.union(*(words for words in BY_LANGUAGE.values() if _is_spoken(words, counts, total)))


def _is_spoken(words: frozenset[str], counts: Mapping[str, int], total: int) -> bool:
    found = [counts[word] for word in words - ENGLISH if word in counts]
    return len(found) >= _FEWEST_WORDS and sum(found) > _SPOKEN_SHARE * total
