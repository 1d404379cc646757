"""The OpenAPI document as one page for people: no script, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from .operations import PREFIX

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
h2 { border-bottom: 1px solid #8886; margin-top: 2.5rem; }
details { border: 1px solid #8886; border-radius: .4rem; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .6rem; background: #8882; }
.method { display: inline-block; font-weight: bold; min-width: 4.5rem; }
table { border-collapse: collapse; margin: .5rem 0; }
td, th { border: 1px solid #8886; padding: .2rem .6rem; text-align: left; vertical-align: top; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } a { color: #8bf; } }
"""

HEADERS: Final = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
)


def page(document: dict[str, Any]) -> bytes:
    """The page of a document."""
    info = document["info"]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{escape(info['description'])}</p>",
        f"<p>Everything is below <code>{PREFIX}</code>;",
        f'<a href="{PREFIX}/openapi.json">openapi.json</a> is this page for programs.</p>',
    ]
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    for tag, told in by_tag.items():
        parts += [f"<h2>{escape(tag)}</h2>", *told]
    parts.append("<h2>Schemas</h2>")
    parts += [_schema(name, schema) for name, schema in document["components"]["schemas"].items()]
    parts.append("</body></html>\n")
    return "\n".join(parts).encode()


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = [
        f"<tr><td><code>{escape(it['name'])}</code></td><td>{it['in']}</td><td>{_kind(it['schema'])}</td></tr>"
        for it in operation["parameters"]
    ]
    parameters = f"<table><tr><th>Parameter</th><th>in</th><th></th></tr>{''.join(rows)}</table>" if rows else ""
    bodies = operation.get("requestBody", {}).get("content", {})
    body = "".join(f"<p>Body <code>{kind}</code>: {_kind(it['schema'])}</p>" for kind, it in bodies.items())
    answers = "".join(
        f"<tr><td>{status}</td><td>{escape(answer['description'])}</td><td>{_contents(answer)}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    return (
        f'<details id="{operation["operationId"]}"><summary><span class="method">{method.upper()}</span> '
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>{parameters}{body}"
        f"<table><tr><th>Answer</th><th></th><th>Body</th></tr>{answers}</table></details>"
    )


def _contents(answer: dict[str, Any]) -> str:
    contents = answer.get("content", {})
    return "<br>".join(f"<code>{kind}</code> {_kind(_inner(it))}" for kind, it in contents.items())


def _inner(content: dict[str, Any]) -> dict[str, Any]:
    """The schema of what a content type holds; of a stream, that of the data of its events."""
    if "itemSchema" not in content:
        schema: dict[str, Any] = content["schema"]
        return schema
    data: dict[str, Any] = content["itemSchema"]["properties"]["data"]["contentSchema"]
    return data


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words, with links to those that have a name."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(it) for it in schema["anyOf"] if it.get("type") != "null")
    if "enum" in schema:
        return escape(", ".join(str(it) for it in schema["enum"]))
    if schema.get("type") == "array":
        return f"array of {_kind(schema.get('items', {}))}"
    told = " ".join(str(schema[key]) for key in ("type", "format", "description") if key in schema)
    return escape(told or "anything")


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = [
        f"<tr><td><code>{escape(member)}</code>{' *' if member in required else ''}</td><td>{_kind(it)}</td></tr>"
        for member, it in schema.get("properties", {}).items()
    ]
    table = f"<table>{''.join(rows)}</table>" if rows else f"<p>{_kind(schema)}</p>"
    description = escape(schema.get("description", ""))
    return f'<details id="{name}"><summary><code>{escape(name)}</code></summary><p>{description}</p>{table}</details>'
