"""The reference of the site, of the docstrings: a table, and a page for each name and for each method."""

from __future__ import annotations

import inspect
import re
import textwrap
from html import escape

from pages import code

import backprop as bp

CLASSES = ("Network", "Layer", "Population", "History", "Activation", "Loss")
HEADING = re.compile(r"\n([A-Z][\w ]+)\n-{3,}\n")


def inline(text):
    """``code`` and `names` of a docstring."""
    text = re.sub(r"``(.+?)``", r"<code>\1</code>", escape(text, quote=False), flags=re.DOTALL)
    return re.sub(r"`(\w[\w.]*)`", r"<code>\1</code>", text)


def docstring(text):
    """A docstring as HTML: its paragraphs, and its sections as lists."""
    parts = HEADING.split("\n" + inspect.cleandoc(text or ""))
    made = [paragraphs(parts[0])]
    for title, content in zip(parts[1::2], parts[2::2], strict=True):
        made.append(f"<h2>{title}</h2>\n")
        if title == "Examples":
            made.append(code(textwrap.dedent(content).strip("\n"), "pycon"))
        else:
            made.append(entries(content))
    return "".join(made)


def paragraphs(text):
    made = []
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        if part.strip().startswith(">>>"):
            made.append(code(textwrap.dedent(part), "pycon"))
        elif part.strip():
            made.append(f"<p>{inline(' '.join(part.split()))}</p>\n")
    return "".join(made)


def entries(content):
    """Names with what is said of them, as a list; text that has none, as paragraphs."""
    groups = re.split(r"\n(?=\S)", content.strip("\n"))
    if not any("\n " in group for group in groups):
        return paragraphs(content)
    items = []
    for group in groups:
        name, _, told = group.partition("\n")
        plain = escape(name.replace("`", ""))
        items.append(f"<dt><code>{plain}</code></dt><dd>{paragraphs(textwrap.dedent(told))}</dd>")
    return f"<dl>{''.join(items)}</dl>\n"


def signature(value):
    try:
        text = str(inspect.signature(value)).replace("self, ", "").replace("(self)", "()")
        return re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)  # annotations without quotes
    except (TypeError, ValueError):
        text = getattr(value, "__text_signature__", None) or "(…)"
        return text.replace("$self, ", "").replace("$self", "")


def source(value):
    try:
        text = textwrap.dedent(inspect.getsource(value))
    except (TypeError, OSError):
        return "<p>Written in C: <code>csrc/python</code>.</p>\n"
    return f"<details><summary>source</summary>{code(text, 'python')}</details>\n"


def first_line(value):
    return inline(" ".join((inspect.getdoc(value) or "").split("\n\n")[0].split()))


def table(head, rows):
    """Names, each with a link, and what they are."""
    names = "".join(
        f'<tr><td><a href="{page}.html"><code>{name}</code></a></td><td>{first_line(value)}</td></tr>'
        for page, name, value in rows
    )
    return f"<table><thead><tr><th>name</th><th>{head}</th></tr></thead><tbody>{names}</tbody></table>\n"


def methods_of(cls):
    """The public methods and properties of a class, by name."""
    for name, value in inspect.getmembers(cls):
        public = name == "__call__" or not name.startswith("_")
        if public and (callable(value) or isinstance(value, property)):
            yield name, value


def pages():
    """(file, title, body) of every page."""
    for name in bp.__all__:
        value = getattr(bp, name)
        body = f"<h1><code>{name}</code></h1>\n"
        if callable(value):
            body += f"<p class=\"signature\"><code>bp.{name}{escape(signature(value))}</code></p>\n"
        body += docstring(value.__doc__)
        if inspect.isclass(value):
            body += table_of(name, value)
            yield from method_pages(name, value)
        elif inspect.ismodule(value):
            functions = [(each, getattr(value, each)) for each in getattr(value, "__all__", [])]
            functions = functions or [
                pair for pair in inspect.getmembers(value, inspect.isfunction)
                if not pair[0].startswith("_") and pair[1].__module__ == value.__name__
            ]  # fmt: skip
            body += "".join(
                f'<h2 id="{each}"><code>{name}.{each}{escape(signature(function))}</code></h2>\n'
                + docstring(function.__doc__).replace("<h2>", "<h3>").replace("</h2>", "</h3>")
                for each, function in functions
            )
        else:
            body += source(value)
        yield f"{name}.html", name, body
    intro = "<h1>Look up</h1>\n<p>Everything that <code>import backprop as bp</code> gives.</p>\n"
    rows = ((each, each, getattr(bp, each)) for each in bp.__all__)
    yield "reference.html", "Look up", intro + table("what it is", rows)


def table_of(name, cls):
    rows = [(f"{name}.{each}", each, value) for each, value in methods_of(cls)]
    if not rows or name not in CLASSES:
        return ""
    return "<h2>Methods and attributes</h2>\n" + table("what it does", rows)


def method_pages(name, cls):
    if name not in CLASSES:
        return
    for each, value in methods_of(cls):
        title, shown = f"{name}.{each}", "" if isinstance(value, property) else signature(value)
        body = f'<p><a href="{name}.html">{name}</a></p>\n<h1><code>{title}</code></h1>\n'
        if shown:
            body += f'<p class="signature"><code>{title}{escape(shown)}</code></p>\n'
        told = value.fget if isinstance(value, property) else value
        yield f"{title}.html", title, body + docstring(value.__doc__) + source(told)
