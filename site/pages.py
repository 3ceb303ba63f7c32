"""Markdown, notebooks and docstrings as HTML of the site: mathematics as MathML, code with colours."""

from __future__ import annotations

import base64
import io
import json
import re
from html import escape
from urllib.parse import quote

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from PIL import Image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

DOORS = (
    ("learn.html", "Learn"),
    ("use.html", "Use"),
    ("reference.html", "Look up"),
    ("glossary.html", "Glossary"),
)
SIGN = re.compile(r"(<mo[^>]*>[=(·,+←≈]</mo>)<mo>−</mo>")  # a minus that is not between two numbers
PRIME = re.compile(r"<msup>(<mi>\w</mi>)(?:<mrow>)?<(m[io])>′</\2>(?:</mrow>)?</msup>")
COLOURS = 128  # of a plot
FORMATTER = HtmlFormatter(nowrap=True, classprefix="c-")
STYLED = "k|kn|ow|kc|s1|s2|sd|sa|c1|go|mi|mf"  # by site.css
UNSTYLED = re.compile(rf'<span class="c-(?!(?:{STYLED})")\w*">([^<]*)</span>')


def code(text, language):
    """A block of code; of languages that nobody knows, plain."""
    try:
        inside = UNSTYLED.sub(r"\1", highlight(text, get_lexer_by_name(language), FORMATTER))
    except ClassNotFound:
        inside = escape(text)
    return f"<pre tabindex=\"0\"><code>{inside}</code></pre>\n"


def math(text, options):
    """MathML without what a page of HTML need not be told."""
    made = convert(text, display="block" if options.get("display_mode") else "inline")
    for needless in (' xmlns="http://www.w3.org/1998/Math/MathML"', ' display="inline"'):
        made = made.replace(needless, "", 1)
    made = re.sub(r"&#x(0*[0-9A-F]{2,5});", lambda code: escape(chr(int(code[1], 16))), made)
    made = SIGN.sub(r'\1<mo form="prefix">−</mo>', made)
    return PRIME.sub(r'\1<mo lspace="0" rspace="0">′</mo>', made)


def slug(text):
    return re.sub(r"[^\w]+", "-", re.sub(r"<[^>]+>|`", "", text).lower()).strip("-")


def markdown():
    """The converter: links to .md and .ipynb lead to their pages, headings have anchors."""
    made = MarkdownIt("commonmark", {"html": True, "highlight": None}).enable("table")
    made.use(deflist_plugin)
    made.use(dollarmath_plugin, renderer=math, allow_digits=True, double_inline=True)

    def fence(renderer, tokens, i, options, env):
        info = tokens[i].info.strip()
        return "" if info.startswith("{") else code(tokens[i].content, info or "text")

    def heading(renderer, tokens, i, options, env):
        return f'<{tokens[i].tag} id="{slug(tokens[i + 1].content)}">'

    def link(renderer, tokens, i, options, env):
        href = str(tokens[i].attrs.get("href", ""))
        if "://" not in href:
            name, hash_, anchor = href.partition("#")
            if name and not name.endswith((".md", ".ipynb", ".html", ".pdf")):
                env.setdefault("files", set()).add(name)
            tokens[i].attrs["href"] = page_of(name) + hash_ + anchor
        return renderer.renderToken(tokens, i, options, env)

    def image(renderer, tokens, i, options, env):
        name = str(tokens[i].attrs["src"]).rsplit("/", 1)[-1]
        env.setdefault("images", set()).add(name)
        alt = escape(renderer.renderInlineAsText(tokens[i].children or [], options, env), quote=True)
        return f'<img src="{name}" alt="{alt}" loading="lazy">'

    for name, rule in (("fence", fence), ("heading_open", heading), ("link_open", link), ("image", image)):
        made.add_render_rule(name, rule)
    return made


def page_of(path):
    """Where the site has what a page of the docs links to."""
    name = path.rsplit("/", 1)[-1]
    for suffix in (".md", ".ipynb"):
        if name.endswith(suffix):
            stem = name.removesuffix(suffix)
            index = "reference.html" if "api/" in path else "use.html"
            return {"index": index, "tutorial": "learn.html"}.get(stem, f"{stem}.html")
    return name


def of_notebook(path, live, keep):
    """A notebook as HTML: its text, its code, what it showed; the page of play after its first text, where
    `live` names a state. `keep(name, bytes)` has the pictures written beside it."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts, made, pictures = [], markdown(), Pictures(path.stem, keep)
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(made.render(source))
            if live is not None:
                parts.append(embedded(live))
                live = None
        else:
            outputs = [] if "widget" in cell["metadata"].get("tags", ()) else cell["outputs"]  # live above
            parts.append(code(source, "python") + "".join(pictures.shown(each) for each in outputs))
    return "".join(parts)


def embedded(state):
    return f'<div class="live" data-backprop-lesson="{escape(state, quote=True)}"></div>\n'


def without_outputs(path):
    """A notebook as students take it: nothing run yet, no pictures in it."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def open_in(name, repository):
    """Where a chapter can be run: its notebook, and the services that take it from GitHub."""
    links = [(name, "this chapter as a notebook")]
    if repository:
        at = f"{quote(repository)}/blob/HEAD/examples/{name}"
        path = quote(f"examples/{name}", safe="")
        links += [
            (f"https://colab.research.google.com/github/{at}", "open in Colab"),
            (f"https://mybinder.org/v2/gh/{quote(repository)}/HEAD?labpath={path}", "open in Binder"),
        ]
    said = " · ".join(f'<a href="{escape(url, quote=True)}">{text}</a>' for url, text in links)
    install = f"%pip install git+https://github.com/{repository}" if repository else ""
    in_colab = f"; in Colab run <code>{escape(install)}</code> first" if install else ""
    return f'<p class="open">To run it yourself: {said}{in_colab}.</p>\n'


class Pictures:
    """The pictures of one notebook, each a file of its own."""

    def __init__(self, stem, keep):
        self.stem, self.keep, self.count = stem, keep, 0

    def shown(self, output):
        """What a cell showed, its best form."""
        if output["output_type"] == "stream":
            return f'<pre class="out" tabindex="0">{escape("".join(output["text"]))}</pre>\n'
        told = output.get("data", {})
        data = {kind: "".join(text) for kind, text in told.items() if isinstance(text, (str, list))}
        for kind, made in (("image/svg+xml", str.encode), ("image/png", in_colours)):
            if kind in data:
                return self.picture(made(data[kind]), kind[6:9], data.get("text/plain", "a plot"))
        if "text/html" in data:
            return f'<div class="out">{data["text/html"]}</div>\n'
        if "text/latex" in data:
            return f'<div class="out">{markdown().render(data["text/latex"])}</div>\n'
        text = escape(data.get("text/plain", ""))
        return f'<pre class="out" tabindex="0">{text}</pre>\n' if data else ""

    def picture(self, content, kind, said):
        self.count += 1
        name = f"{self.stem[:2]}-{self.count}.{kind}"
        self.keep(name, content)
        return f'<img class="out" alt="{escape(said[:200], quote=True)}" src="{name}" loading="lazy">\n'


def in_colours(encoded):
    """A PNG in as few colours as do for a plot, a third of its size."""
    picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA")
    few, made = picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE), io.BytesIO()
    few.save(made, "PNG", optimize=True)
    return made.getvalue()


def whole(title, body, *, live=False, wide=False):
    """A page of the site around its body."""
    links = "".join(f'<a href="{url}">{name}</a>' for url, name in DOORS)
    script = '<script type="module" src="play.js"></script>\n' if live else ""
    width = ' class="wide"' if wide else ""
    style = '<link rel="stylesheet" href="widget.css">\n' if live else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · backprop</title>
<link rel="icon" href="data:,">
{style}<link rel="stylesheet" href="site.css">
</head>
<body>
<a class="skip" href="#main">Skip to the text</a>
<header><a class="home" href="index.html">backprop</a><nav aria-label="site">{links}</nav>
<form role="search" class="search"><label>Search <input type="search" id="search" autocomplete="off"></label>
<ul id="found" aria-live="polite"></ul></form></header>
<main id="main"{width}>
{body}</main>
<script type="module" src="search.js"></script>
{script}</body>
</html>
"""


def text_of(body):
    """The words of a page, for the search."""
    plain = re.sub(r"<(script|style|math|svg|pre)\b.*?</\1>|<[^>]+>", " ", body, flags=re.DOTALL)
    return " ".join(plain.split())
