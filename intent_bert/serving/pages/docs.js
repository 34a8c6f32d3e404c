// The page of addresses: reads /openapi.json of this server and writes it as text, never as HTML.
"use strict";

function element(kind, className, ...content) {
  const made = document.createElement(kind);
  made.className = className;
  made.append(...content);
  return made;
}

function curl(path, method, body) {
  const address = `${location.origin}${path.replace("{model}", "MODEL")}`;
  if (method === "get") return `curl ${address}`;
  return `curl ${address} \\\n  -d '${JSON.stringify(body.content["application/json"].example)}'`;
}

function fields(schema, schemas) {
  const named = schema.$ref ? schemas[schema.$ref.split("/").pop()] : schema;
  const list = document.createElement("ul");
  for (const [name, each] of Object.entries(named.properties || {})) {
    const item = element("li", "", element("code", "", name));
    if (each.description) item.append(` ${each.description}`);
    list.append(item);
  }
  return list;
}

function operation(path, method, described, schemas) {
  const summary = element(
    "summary", "", element("span", "method", method.toUpperCase()), element("code", "", path),
    element("span", "soft", described.summary)
  );
  const details = element("details", "operation", summary, element("pre", "", curl(path, method, described.requestBody)));
  const body = described.requestBody && described.requestBody.content["application/json"].schema;
  if (body) details.append(element("p", "soft", "The request holds"), fields(body, schemas));
  return details;
}

async function show() {
  const description = await (await fetch("/openapi.json")).json();
  const groups = new Map();
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, described] of Object.entries(methods)) {
      const tag = described.tags[0];
      if (!groups.has(tag)) groups.set(tag, element("section", "card", element("h2", "", tag)));
      groups.get(tag).append(operation(path, method, described, description.components.schemas));
    }
  }
  const first = groups.values().next().value.querySelector("details");
  first.open = true;
  document.getElementById("operations").append(...groups.values());
}

show();
