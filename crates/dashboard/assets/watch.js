// "Paste a descriptor or keys, see the payments": the keys go to this relay over its WebSocket, and nowhere else. They
// are in the memory of this page while the watch runs, and are never stored.

import { btc, number, percent } from "./format.js";
import { t } from "./i18n.js";
import { parseKeys } from "./keys.js";
import { Payments } from "./payments.js";
import { on, send } from "./socket.js";
import { MOST_WATCHED, change, state } from "./store.js";
import { Bar, Copy, Empty, Panel, html } from "./view.js";

// What the relay is asked for, while the user wants it.
let keys;

function ask() {
  if (!keys) return;
  const { scan, spend, labels, from } = keys;
  const sent = send({
    type: "watch", message_id: "dashboard", scan_private_key: scan, spend_public_key: spend,
    ...(labels.length ? { labels } : {}), ...(from === undefined ? {} : { from_height: from }),
  });
  change((s) => { s.watch = { status: sent ? "asking" : "waiting", payments: [] }; });
}

function begin(event) {
  event.preventDefault();
  const { elements } = event.currentTarget;
  const parsed = parseKeys(elements.keys.value);
  const from = elements.from.value.trim();
  if (parsed.error) {
    change((s) => { s.watch = { status: "none", error: parsed.error }; });
    return;
  }
  elements.keys.value = "";
  keys = { ...parsed, from: from ? Number(from) : parsed.from };
  ask();
}

function stop() {
  if (state.watch.id) send({ type: "unwatch", watch_id: state.watch.id });
  keys = undefined;
  change((s) => { s.watch = { status: "none" }; });
}

// A watch ends with its connection: it is asked for again with the next one.
on("open", ask);
on("closed", () => { if (keys) change((s) => { s.watch = { status: "waiting", payments: s.watch.payments || [] }; }); });
on("watch_response", (m) => {
  if (keys) change((s) => { Object.assign(s.watch, { status: "watching", id: m.watch_id, address: m.address, history: m.history, missing: m.missing }); });
});
on("watch_progress", (m) => {
  if (m.watch_id === state.watch.id) change((s) => { Object.assign(s.watch, { progress: m.progress, height: m.height }); });
});
on("error", (m) => {
  if (m.in_reply_to !== "dashboard") return;
  keys = undefined;
  change((s) => { s.watch = { status: "none", refused: m.message }; });
});

function Form({ watch }) {
  return html`<form class="keys" onSubmit=${begin} autocomplete="off">
    <p class="warning">${t("watch.warning", { host: location.host })}</p>
    <label for="watch-keys">${t("watch.keys")}</label>
    <textarea id="watch-keys" name="keys" rows="3" required spellcheck="false" autocapitalize="off" autocomplete="off" aria-describedby="watch-forms"></textarea>
    <p class="hint" id="watch-forms">${t("watch.forms")}</p>
    <label>${t("watch.from")} <input name="from" inputmode="numeric" pattern="[0-9]*" maxlength="9" autocomplete="off" /></label>
    <button type="submit">${t("watch.begin")}</button>
    ${watch.error && html`<p class="error" role="alert">${t(`watch.${watch.error}`)}</p>`}
    ${watch.refused && html`<p class="error" role="alert" lang="en">${watch.refused}</p>`}
  </form>`;
}

function Running({ s }) {
  const { watch } = s;
  const valid = watch.payments.filter((p) => !p.reverted);
  const sum = valid.reduce((total, p) => total + p.amount_sats, 0);
  const full = watch.payments.length === MOST_WATCHED;
  return html`<p class="line">${watch.status === "watching" ? html`${t("watch.address")} <${Copy} text=${watch.address} />`
    : t(watch.status === "asking" ? "watch.asking" : "watch.again")} <button type="button" onClick=${stop}>${t("watch.stop")}</button></p>
    ${watch.progress !== undefined && watch.progress < 1 && html`<${Bar} share=${watch.progress} label=${t("watch.history")} />
      <p class="hint">${t("watch.progress", { progress: percent(watch.progress), height: number(watch.height) })}</p>`}
    ${watch.missing && watch.missing.length > 0 && html`<p class="hint">${t("watch.missing")}</p>`}
    ${watch.payments.length ? html`<p class="line"><strong>${btc(sum)}</strong> ${t("watch.sum", { n: valid.length })}</p>
      ${full && html`<p class="hint">${t("watch.full", { n: MOST_WATCHED })}</p>`}
      <${Payments} s=${s} list=${watch.payments} caption=${t("watch.caption")} plain=${true} />`
      : html`<${Empty}>${t("watch.none")}<//>`}`;
}

export function Watch({ s }) {
  const isSafe = window.isSecureContext;
  return html`<${Panel} id="watch" title=${t("watch.title")} wide=${true}>
    ${!isSafe ? html`<${Empty}>${t("watch.insecure")}<//>` : s.watch.status === "none" ? html`<${Form} watch=${s.watch} />` : html`<${Running} s=${s} />`}
  <//>`;
}
