"use strict";
// The Swagger UI of swagger-ui-bundle draws OpenAPI 3.0 and refuses 3.1 by its version
// string. What our documents have of 3.1 is translated for the page alone: types with
// "null", `const`, `prefixItems`, bounds that exclude, and `examples`.
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
