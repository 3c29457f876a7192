"use strict";
// Shows the two documents. Everything is made of nodes and text: nothing of a document is ever read as markup.

const DEEPEST = 6;
const documents = {};

function node(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Text whose `words` are code.
function told(text) {
  return (text || "").split("`").map((part, at) => (at % 2 ? node("code", {}, part) : part));
}

function paragraphs(text) {
  return (text || "").split("\n\n").filter(Boolean).map((part) => node("p", {}, ...told(part)));
}

function follow(of, schema) {
  for (let steps = 0; schema && schema.$ref && steps < 10; steps++) {
    const found = schema.$ref.slice(2).split("/").reduce((at, key) => (at || {})[key], of);
    const { $ref, ...beside } = schema;
    schema = { ...found, ...beside, $name: $ref.split("/").pop() };
  }
  return schema || {};
}

// One object out of the parts of `allOf`; null out of the choices of `oneOf`.
function plain(of, given) {
  let schema = follow(of, given);
  if (schema.allOf) {
    const { allOf, ...rest } = schema;
    const parts = allOf.map((part) => plain(of, part));
    const choice = parts.find((part) => part.oneOf);
    schema = { ...Object.assign({}, ...parts, rest) };
    schema.properties = Object.assign({}, ...byWord(parts).map((part) => part.properties || {}));
    schema.required = parts.flatMap((part) => part.required || []);
    if (choice) schema.oneOf = choice.oneOf;
  }
  const choices = schema.oneOf || schema.anyOf;
  if (choices) {
    const others = choices.filter((choice) => choice.type !== "null");
    if (others.length < choices.length && others.length === 1) {
      const { oneOf, anyOf, ...rest } = schema;
      return { ...plain(of, others[0]), ...rest, $nullable: true };
    }
  }
  return schema;
}

// The part with the field `type` first, as on the wire.
function byWord(parts) {
  const first = (part) => (part.properties && part.properties.type && part.properties.type.enum ? 0 : 1);
  return [...parts].sort((a, b) => first(a) - first(b));
}

function typeOf(of, given) {
  const schema = plain(of, given);
  const types = [].concat(schema.type || (schema.properties ? "object" : schema.oneOf ? "one of" : "any"));
  let name = types.filter((type) => type !== "null").join(" or ");
  if (name === "array") name = "array of " + typeOf(of, schema.items);
  else if (schema.enum && schema.enum.length > 1) name = schema.enum.map((word) => JSON.stringify(word)).join(" | ");
  else if (schema.enum) name = JSON.stringify(schema.enum[0]);
  else if (schema.const !== undefined) name = JSON.stringify(schema.const);
  return types.includes("null") || schema.$nullable ? name + " or null" : name;
}

function bounds(schema) {
  const said = [];
  if (schema.minimum !== undefined && schema.maximum !== undefined) said.push(schema.minimum + " to " + schema.maximum);
  else if (schema.maximum !== undefined) said.push("at most " + schema.maximum);
  else if (schema.minimum) said.push("at least " + schema.minimum);
  if (schema.maxItems !== undefined) said.push("at most " + schema.maxItems + " items");
  if (schema.default !== undefined && schema.default !== null) said.push("default " + JSON.stringify(schema.default));
  if (schema.pattern) said.push("matches " + schema.pattern);
  return said.join(", ");
}

// What is below a schema, or null when there is nothing.
function inside(of, given, depth) {
  const schema = plain(of, given);
  if (depth > DEEPEST) return null;
  if (schema.items) return inside(of, schema.items, depth);
  const parts = [];
  const properties = Object.entries(schema.properties || {});
  if (properties.length) {
    const required = schema.required || [];
    parts.push(node("ul", { class: "fields" }, ...properties.map(([name, of_it]) => {
      return field(of, name, of_it, required.includes(name), depth);
    })));
  }
  const choices = (schema.oneOf || schema.anyOf || []).filter((choice) => choice.type !== "null");
  for (const choice of choices) {
    const below = inside(of, choice, depth + 1);
    const resolved = plain(of, choice);
    const label = wordOf(resolved) || resolved.$name || typeOf(of, choice);
    parts.push(below ? node("details", { class: "inner" }, node("summary", {}, label, ...about(resolved)), below)
      : node("div", { class: "kind" }, label, ...about(resolved)));
  }
  return parts.length ? node("div", {}, ...parts) : null;
}

function about(schema) {
  return schema.description ? [": ", ...told(schema.description.split("\n")[0])] : [];
}

function wordOf(schema) {
  const tag = Object.values(schema.properties || {}).find((property) => property.enum && property.enum.length === 1);
  return tag && tag.enum[0];
}

function field(of, name, given, required, depth) {
  const schema = plain(of, given);
  const below = inside(of, given, depth + 1);
  const limits = bounds(schema);
  const inner = below && node("details", { class: "inner" }, node("summary", {}, "fields"), below);
  return node("li", {},
    node("span", { class: "field" }, name), " ", node("span", { class: "kind" }, typeOf(of, given)), " ",
    required ? null : node("span", { class: "optional" }, "optional"),
    ...paragraphs(given.description || schema.description),
    limits ? node("p", { class: "kind" }, limits) : null,
    inner);
}

// JSON with its parts in colours.
function json(value) {
  const text = JSON.stringify(value, null, 2);
  const pre = node("pre", { tabindex: "0" });
  const parts = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
  let at = 0;
  for (const match of text.matchAll(parts)) {
    pre.append(text.slice(at, match.index));
    const kind = match[2] ? "key" : match[1] ? "string" : "other";
    pre.append(node("span", { class: kind }, match[1] || match[0]), match[2] || "");
    at = match.index + match[0].length;
  }
  pre.append(text.slice(at));
  return pre;
}

function exampleOf(of, content) {
  if (content.example !== undefined) return content.example;
  const schema = plain(of, content.schema);
  return schema.examples ? schema.examples[0] : schema.example;
}

function shown(example) {
  return typeof example === "string" ? node("pre", { tabindex: "0" }, example) : json(example);
}

function contents(of, all) {
  return Object.entries(all || {}).flatMap(([type, content]) => {
    const example = exampleOf(of, content);
    const fields = inside(of, content.schema, 0);
    return [
      node("div", { class: "kind" }, type),
      example === undefined ? null : shown(example),
      fields && node("details", { class: "inner" }, node("summary", {}, "fields"), fields),
    ];
  });
}

function curl(of, method, path, operation) {
  const body = operation.requestBody && Object.values(operation.requestBody.content)[0];
  const example = body && exampleOf(of, body);
  const filled = (operation.parameters || []).filter((p) => p.in === "path")
    .reduce((at, p) => at.replace("{" + p.name + "}", p.example || p.name), path);
  const words = ["curl"];
  if (method !== "get") words.push("-X " + method.toUpperCase());
  const tokens = operation.security || [];
  if (tokens.length && !tokens.some((one) => !Object.keys(one).length)) words.push("-H 'Authorization: Bearer TOKEN'");
  if (example !== undefined) words.push("-H 'Content-Type: application/json'", "-d '" + JSON.stringify(example) + "'");
  words.push(location.origin + filled);
  return node("pre", { tabindex: "0" }, words.join(" "));
}

// Who may send a request, by the schemes of its `security`; one without a scheme stands for the relay's own machine.
const NEEDS = { readToken: "with the read token", adminToken: "with the administrator's token" };
const LOCAL = "from the relay's machine";

function operation(of, method, path, op) {
  const parameters = op.parameters || [];
  const body = op.requestBody;
  const needs = (op.security || []).map((one) => Object.keys(one)[0]).map((scheme) => (scheme ? NEEDS[scheme] || scheme : LOCAL));
  const inner = node("div", {}, ...paragraphs(op.description), node("h3", {}, "Request"), curl(of, method, path, op));
  if (parameters.length) {
    inner.append(node("h3", {}, "Parameters"), node("ul", { class: "fields" }, ...parameters.map((p) => {
      return field(of, p.name + " (" + p.in + ")", { ...p.schema, description: p.description }, p.required, 0);
    })));
  }
  if (body) {
    const left_out = body.required ? "" : " (may be left out)";
    inner.append(node("h3", {}, "Body" + left_out), ...contents(of, body.content).filter(Boolean));
  }
  inner.append(node("h3", {}, "Answers"), ...Object.entries(op.responses).map(([status, response], at) => {
    const given = contents(of, response.content).filter(Boolean);
    const line = [node("span", { class: status < "400" ? "status" : "status bad" }, status), " ", ...told(response.description)];
    return node("details", { class: "response", open: at === 0 ? "" : null }, node("summary", {}, ...line), node("div", {}, ...given));
  }));
  const summary = node("summary", {},
    node("span", { class: "method " + method }, method.toUpperCase()), node("span", { class: "name" }, path),
    node("span", { class: "summary" }, ...told(op.summary)),
    needs.length ? node("span", { class: "lock", title: "Who may send this request" }, needs.join(" or ")) : null);
  if (method === "get") inner.append(...tryIt(path, op));
  return entry("http/" + op.operationId, summary, inner, [method, op.operationId]);
}

function message(of, who, name, given) {
  const fields = inside(of, given.payload, 0);
  const examples = (given.examples || []).flatMap((example) => [node("h3", {}, "Example ", node("code", {}, example.name)), json(example.payload)]);
  const summary = node("summary", {}, node("span", { class: "name" }, given.name), node("span", { class: "summary" }, ...told(given.summary)));
  const inner = node("div", {}, ...examples, node("h3", {}, "Fields"), fields);
  return entry("websocket/" + name, summary, inner, []);
}

// Everything that the entry says can be searched for: names of fields and values, statuses, descriptions.
function entry(id, summary, inner, words) {
  const made = node("details", { class: "entry", id }, summary, inner);
  made.words = [made.textContent, ...words].join(" ").toLowerCase();
  return made;
}

function httpView(of) {
  const view = node("section", { id: "http" }, node("div", { class: "about" }, ...paragraphs(of.info.description)));
  const all = Object.entries(of.paths).flatMap(([path, item]) => Object.entries(item).map(([method, op]) => ({ method, path, op })));
  const groups = (of.tags || []).map((tag) => ({
    title: tag.name, about: tag.description,
    entries: all.filter((one) => (one.op.tags || [])[0] === tag.name).map((one) => ({
      link: [node("span", { class: "method " + one.method }, one.method.toUpperCase()), " ", one.path],
      entry: operation(of, one.method, one.path, one.op),
    })),
  }));
  return fill(view, groups);
}

function websocketView(of) {
  const addresses = Object.values(of.servers).map((server) => {
    return node("p", {}, ...told("`" + server.protocol + "://" + location.hostname + ":" + server.host.split(":").pop() + (server.pathname || "/") + "` " + server.description));
  });
  const view = node("section", { id: "websocket" }, node("div", { class: "about" }, ...paragraphs(of.info.description), ...addresses));
  const said = (who) => Object.entries(of.components.messages).filter(([name]) => name.startsWith(who + ".")).map(([name, given]) => ({
    link: [given.name], entry: message(of, who, name, given),
  }));
  return fill(view, [
    { title: "Client messages", about: "Text frames with one JSON object each.", entries: said("client") },
    { title: "Relay messages", about: "Ignore fields that you do not know.", entries: said("server") },
  ]);
}

// Puts groups into a view, and remembers what its contents are.
function fill(view, groups) {
  view.listing = [];
  for (const { title, about, entries } of groups.filter((one) => one.entries.length)) {
    const name = node("strong", {}, title);
    const group = node("section", { class: "group" }, node("h2", {}, title), node("p", {}, ...told(about)), ...entries.map((one) => one.entry));
    group.link = name;
    for (const one of entries) one.entry.link = node("a", { href: "#" + one.entry.id }, ...one.link);
    view.append(group);
    view.listing.push(name, ...entries.map((one) => one.entry.link));
  }
  return view;
}

// Shows the view that the address names, and opens the entry that it names.
function show() {
  const [view, entry] = decodeURIComponent(location.hash.slice(1)).split("/");
  const name = documents[view] ? view : "http";
  queueMicrotask(search);
  for (const [key, section] of Object.entries(documents)) section.hidden = key !== name;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.getAttribute("href") === "#" + name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.getElementById("contents").replaceChildren(...documents[name].listing);
  const target = entry && document.getElementById(name + "/" + entry);
  if (target) {
    target.open = true;
    target.scrollIntoView();
  }
}

// Leaves the entries that have the wanted word, in both views, and the groups that still have entries.
function search() {
  const wanted = document.getElementById("search").value.trim().toLowerCase();
  const found = {};
  for (const [name, view] of Object.entries(documents)) {
    const entries = [...view.querySelectorAll(".entry")];
    for (const entry of entries) entry.hidden = entry.link.hidden = !entry.words.includes(wanted);
    for (const group of view.querySelectorAll(".group")) {
      group.hidden = group.link.hidden = [...group.querySelectorAll(".entry")].every((entry) => entry.hidden);
    }
    found[name] = entries.filter((entry) => !entry.hidden);
    if (wanted.length >= LEAST_LETTERS) found[name].slice(0, MOST_OPENED).forEach((entry) => reveal(entry, wanted));
  }
  for (const link of document.querySelectorAll("#views a")) {
    const name = link.getAttribute("href").slice(1);
    link.dataset.found = wanted ? " (" + found[name].length + ")" : "";
  }
  result(wanted, found);
}

// A word this short is in nearly every entry.
const LEAST_LETTERS = 3;
// Entries that are opened at the fields that have the word; more are not read at once.
const MOST_OPENED = 20;

// Opens the entry where one of its fields, types or values has the word.
function reveal(entry, wanted) {
  for (const found of entry.querySelectorAll(".field, .kind")) {
    if (!found.textContent.toLowerCase().includes(wanted)) continue;
    for (let at = found; at && at !== entry.parentElement; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
    }
  }
}

// Says how much was found, and where, if it is not in this view.
function result(wanted, found) {
  const here = Object.keys(documents).find((name) => !documents[name].hidden);
  const there = here === "http" ? "websocket" : "http";
  const said = document.getElementById("found");
  const titles = { http: "the HTTP API", websocket: "the WebSocket API" };
  const link = node("a", { href: "#" + there }, found[there].length + " in " + titles[there]);
  if (!wanted || found[here].length) said.replaceChildren();
  else if (found[there].length) said.replaceChildren("Nothing in " + titles[here] + " has “" + wanted + "”, but ", link, ".");
  else said.replaceChildren("Nothing found for “" + wanted + "”. The search looks at paths, messages, fields, values and descriptions.");
}

async function get(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(path + ": " + response.status);
  return response.json();
}

async function start() {
  const main = document.getElementById("main");
  try {
    const [http, websocket] = await Promise.all([get("/openapi.json"), get("/asyncapi.json")]);
    document.getElementById("version").textContent = "API " + http.info.version;
    documents.http = httpView(http);
    documents.websocket = websocketView(websocket);
    main.replaceChildren(node("p", { id: "found", role: "status" }), documents.http, documents.websocket);
    addEventListener("hashchange", show);
    document.getElementById("search").addEventListener("input", search);
    show();
  } catch (error) {
    document.getElementById("state").textContent = "Cannot load the documents. " + error.message;
  }
}
