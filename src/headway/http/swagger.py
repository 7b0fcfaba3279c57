"""Swagger UI, served from the package that ships its files: no CDN, works offline.

api/ answers `/` with `index_html` and `ASSET_PREFIX` + name with `asset`.
"""

import html
from importlib.resources import files
from importlib.resources.abc import Traversable

__all__ = ["ASSET_PREFIX", "asset", "index_html"]

ASSET_PREFIX = "/-/docs/"
"""Where the page looks for its assets, beneath where the page itself is."""

_TYPES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
_START = "start.js"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="{assets}favicon-32x32.png">
<link rel="stylesheet" href="{assets}swagger-ui.css">
</head>
<body style="margin: 0">
{live_link}<div id="swagger-ui" data-openapi-url="{openapi_url}"></div>
<noscript>This page needs JavaScript; the API is described by
<a href="{openapi_url}">its OpenAPI document</a>.</noscript>
<script src="{assets}swagger-ui-bundle.js"></script>
<script src="{assets}start.js"></script>
</body>
</html>
"""

# The Swagger UI of swagger-ui-bundle draws OpenAPI 3.0 and refuses 3.1 by its version
# string. What our documents have of 3.1 is translated for the page alone: types with
# "null", `const`, `prefixItems`, bounds that exclude, and `examples`.
_START_JS = """"use strict";
(function () {
  function to30(node) {
    if (Array.isArray(node)) return node.map(to30);
    if (node === null || typeof node !== "object") return node;
    const out = {};
    for (const key of Object.keys(node)) {
      const opaque = ["example", "examples", "default", "enum", "const"];
      out[key] = opaque.includes(key) ? node[key] : to30(node[key]);
    }
    if (Array.isArray(out.type)) {
      if (out.type.includes("null")) out.nullable = true;
      const types = out.type.filter((type) => type !== "null");
      if (types.length === 1) out.type = types[0];
      else {
        delete out.type;
        out.anyOf = types.map((type) => ({ type: type }));
      }
    }
    if (Array.isArray(out.anyOf)) {
      const kept = out.anyOf.filter((one) => one.type !== "null");
      if (kept.length < out.anyOf.length) {
        out.nullable = true;
        delete out.anyOf;
        if (kept.length === 1 && !kept[0].$ref) Object.assign(out, kept[0]);
        else if (kept.length === 1) out.allOf = kept;
        else out.anyOf = kept;
      }
    }
    if ("const" in out && typeof out.const !== "object") {
      out.enum = [out.const];
      delete out.const;
    }
    if (Array.isArray(out.prefixItems)) {
      out.items = out.prefixItems.length ? { anyOf: out.prefixItems } : {};
      delete out.prefixItems;
    }
    for (const [bound, flag] of [
      ["minimum", "exclusiveMinimum"],
      ["maximum", "exclusiveMaximum"],
    ]) {
      if (typeof out[flag] === "number") {
        out[bound] = out[flag];
        out[flag] = true;
      }
    }
    if (out.type === "array" && out.items === undefined) out.items = {};
    if (Array.isArray(out.examples) && out.example === undefined) {
      out.example = out.examples[0];
      delete out.examples;
    }
    return out;
  }

  const element = document.getElementById("swagger-ui");
  const url = new URL(element.dataset.openapiUrl, document.baseURI).href;
  window.ui = SwaggerUIBundle({
    url: url,
    domNode: element,
    deepLinking: true,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis],
    responseInterceptor: function (response) {
      if (response.url !== url || !response.ok) return response;
      const text = response.text || response.data;
      const spec = JSON.parse(text);
      if (!String(spec.openapi).startsWith("3.1")) return response;
      const shown = to30(spec);
      shown.openapi = "3.0.3";
      response.text = response.data = JSON.stringify(shown);
      return response;
    },
  });
})();
"""


_LIVE_LINK = """<p style="margin: 0; padding: 12px 20px; text-align: right;
font-family: sans-serif"><a href="{url}">What the server is doing now</a></p>
"""


def index_html(
    title: str, openapi_url: str = "./docs.json", live_url: str | None = None
) -> bytes:
    """Return the page.

    Args:
        title: Of the page, as plain text.
        openapi_url: Of the OpenAPI document, absolute or relative to the page.
        live_url: Of the live page, likewise; None if there is none.
    """
    link = "" if live_url is None else _LIVE_LINK.format(url=html.escape(live_url))
    return _PAGE.format(
        live_link=link,
        title=html.escape(title),
        openapi_url=html.escape(openapi_url),
        assets="." + ASSET_PREFIX,
    ).encode()


def asset(name: str) -> tuple[str, bytes] | None:
    """Return (content type, bytes) of one of the page's assets, None if it has none.

    The bytes are read from the installed package anew: callers keep them.

    Args:
        name: What follows ASSET_PREFIX in the path.
    """
    if name == _START:
        return "text/javascript; charset=utf-8", _START_JS.encode()
    content_type = _TYPES.get(name)
    if content_type is None:
        return None
    return content_type, _directory().joinpath(name).read_bytes()


def _directory() -> Traversable:
    vendor = files("swagger_ui_bundle").joinpath("vendor")
    # The directory is named for the version of Swagger UI.
    return max(vendor.iterdir(), key=lambda directory: directory.name)
