
// "Try it": the GET requests of the page, sent to the relay that serves it.

// Longer answers are cut: the page is no viewer of files.
const MOST_SHOWN = 20000;
// A stream has no end, and an upgrade no answer.
const STREAMS = ["/events", "/ws"];

// For all entries; in the memory of the page only.
let token = "";

// The form of an operation, or nothing where there is no answer to show.
function tryIt(path, op) {
  if (STREAMS.includes(path)) return [];
  const fields = (op.parameters || []).filter((p) => p.in === "path" || p.in === "query").map((p) => {
    const example = p.example ?? (p.schema || {}).example;
    return node("label", {}, node("span", { class: "field" }, p.name), " ", node("input", {
      name: p.name, "data-in": p.in, required: p.in === "path" ? "" : null, autocomplete: "off", placeholder: example === undefined ? "" : String(example),
    }));
  });
  const secret = (op.security || []).length ? node("label", {}, "Token ", node("input", { type: "password", "data-in": "token", autocomplete: "off" })) : null;
  const answer = node("div", { role: "status" });
  const form = node("form", { class: "try" }, ...fields, ...(secret ? [secret] : []), node("button", { type: "submit" }, "Send"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(path, form, answer);
  });
  return [node("h3", {}, "Try it"), form, answer];
}

async function send(path, form, answer) {
  const query = new URLSearchParams();
  for (const input of form.querySelectorAll("input")) {
    const value = input.value.trim();
    if (input.dataset.in === "path") path = path.replace("{" + input.name + "}", encodeURIComponent(value));
    else if (input.dataset.in === "token") token = value || token;
    else if (value) query.set(input.name, value);
  }
  const address = path + (query.size ? "?" + query : "");
  const began = performance.now();
  try {
    const response = await fetch(address, { cache: "no-store", headers: token ? { Authorization: "Bearer " + token } : {} });
    const text = await response.text();
    const type = response.headers.get("content-type") || "";
    const took = Math.round(performance.now() - began) + " ms";
    const isWhole = text.length <= MOST_SHOWN;
    const body = /json/.test(type) && isWhole ? json(JSON.parse(text)) : node("pre", { tabindex: "0" }, text.slice(0, MOST_SHOWN));
    answer.replaceChildren(
      node("p", {}, node("span", { class: response.ok ? "status" : "status bad" }, String(response.status)), " ", address, " ",
        node("span", { class: "kind" }, type + ", " + took)),
      body, isWhole ? "" : node("p", { class: "kind" }, "The first " + MOST_SHOWN + " of " + text.length + " characters."));
  } catch (error) {
    answer.replaceChildren(node("p", { class: "status bad" }, "The relay did not answer: " + error.message));
  }
}

start();
