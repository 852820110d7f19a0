// Shows an OpenAPI document and sends its examples. Everything comes from this server: it works without the internet.
"use strict";

const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};
const byId = (id) => document.getElementById(id);
const headers = () => (byId("key").value ? { authorization: `Bearer ${byId("key").value}` } : {});

let document_ = {};
const resolve = (schema) =>
  schema && schema.$ref ? schema.$ref.slice(2).split("/").reduce((part, key) => part[key], document_) : schema || {};

const typeOf = (schema) => {
  const known = resolve(schema);
  if (known.enum) return known.enum.filter((value) => value !== null).map((value) => JSON.stringify(value)).join(" | ");
  if (known.anyOf) return known.anyOf.map(typeOf).join(" or ");
  const types = [known.type || "any"].flat().join(" or ");
  return known.format ? `${types} (${known.format})` : types;
};

const rulesOf = (schema) => {
  const known = resolve(schema);
  const rules = [];
  if (known.minimum !== undefined) rules.push(`at least ${known.minimum}`);
  if (known.maximum !== undefined) rules.push(`at most ${known.maximum}`);
  if (known.description) rules.push(known.description);
  return rules.join("; ");
};

const fields = (schema) => {
  const known = resolve(schema);
  const required = new Set(known.required || []);
  const rows = Object.entries(known.properties || {}).map(([name, part]) =>
    element("tr", {}, element("td", {}, element("code", {}, name)), element("td", {}, typeOf(part)),
      element("td", {}, required.has(name) ? "yes" : ""), element("td", {}, rulesOf(part))));
  const head = element("tr", {}, ...["field", "type", "required", "rules"].map((text) => element("th", {}, text)));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
};

const show = (output, status, text) => {
  let pretty = text;
  try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { /* metrics are no JSON */ }
  output.replaceChildren(element("h3", { class: status < 400 ? "" : "bad" }, `Answer: ${status}`), element("pre", {}, pretty));
};

const send = async (method, path, body, output) => {
  const options = { method, headers: headers() };
  if (body !== undefined) Object.assign(options, { body, headers: { ...headers(), "content-type": "application/json" } });
  try {
    const answer = await fetch(path.slice(1), options);
    show(output, answer.status, await answer.text());
  } catch (error) {
    output.replaceChildren(element("pre", { class: "bad" }, String(error)));
  }
};

const requestPart = (content, method, path) => {
  const examples = content.examples || {};
  const text = element("textarea", { spellcheck: "false", "aria-label": "body" });
  const output = element("div");
  const choose = (example) => {
    text.value = JSON.stringify(example.value, null, 2);
    text.rows = Math.min(text.value.split("\n").length, 24);
  };
  const buttons = Object.values(examples).map((example) => {
    const button = element("button", { type: "button" }, example.summary);
    button.addEventListener("click", () => choose(example));
    return button;
  });
  if (Object.keys(examples).length) choose(Object.values(examples)[0]);
  const go = element("button", { type: "button", class: "send" }, "Send");
  go.addEventListener("click", () => send(method, path, text.value, output));
  return element("div", {}, element("h3", {}, "Ask"), element("div", { class: "row" }, ...buttons), text,
    element("div", { class: "row" }, go), output);
};

const plainPart = (method, path) => {
  const output = element("div");
  const go = element("button", { type: "button", class: "send" }, "Send");
  go.addEventListener("click", () => send(method, path, undefined, output));
  return element("div", {}, element("div", { class: "row" }, go), output);
};

// Names in a description stand between backticks.
const marked = (text) => text.split("`").map((part, place) => (place % 2 ? element("code", {}, part) : part));

const responses = (operation) => {
  const rows = Object.entries(operation.responses || {}).map(([status, answer]) =>
    element("tr", {}, element("td", {}, element("code", {}, status)), element("td", {}, resolve(answer).description || "")));
  return element("table", {}, element("tbody", {}, ...rows));
};

const card = (path, method, operation, open) => {
  const content = operation.requestBody && operation.requestBody.content["application/json"];
  const inside = element("div", { class: "inside" }, element("p", {}, ...marked(operation.description || "")));
  const row = content && content.schema && (content.schema["x-row"] || content.schema);
  const left = element("div", {}, ...(content ? [element("h3", {}, "Fields"), fields(row)] : []),
    element("h3", {}, "Answers"), responses(operation));
  const right = content ? requestPart(content, method.toUpperCase(), path) : plainPart(method.toUpperCase(), path);
  inside.append(element("div", { class: "columns" }, left, right));
  const summary = element("summary", {}, element("span", { class: `method ${method}` }, method.toUpperCase()),
    element("span", { class: "path" }, path), element("span", { class: "quiet" }, operation.summary || ""));
  const made = element("details", {}, summary, inside);
  made.open = open;
  return made;
};

const render = () => {
  byId("title").textContent = document_.info.title;
  byId("about").textContent = document_.info.description || "";
  const groups = new Map();
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const name = (operation.tags || ["server"])[0];
      const group = groups.get(name) || groups.set(name, []).get(name);
      group.push(card(path, method, operation, groups.size === 1 && group.length === 0));
    }
  }
  byId("operations").replaceChildren(...[...groups].flatMap(([name, cards]) => [element("h2", {}, name), ...cards]));
};

const load = async () => {
  const answer = await fetch("openapi.json", { headers: headers() });
  if (answer.status === 401) {
    byId("ask-key").hidden = false;
    byId("operations").replaceChildren(element("p", {}, "This server wants an API key; it is kept in this page only."));
    return;
  }
  document_ = await answer.json();
  render();
};

byId("key").addEventListener("change", load);
load();
