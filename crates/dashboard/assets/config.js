// The configuration as `GET /config` shows it: without secrets.

import { t } from "./i18n.js";
import { Copy, Empty, Panel, html } from "./view.js";

// `{a: {b: 1}}` as `[["a.b", 1]]`.
function rows(value, prefix = "") {
  return Object.entries(value).flatMap(([key, inner]) => (
    inner !== null && typeof inner === "object" ? rows(inner, `${prefix}${key}.`) : [[prefix + key, inner]]
  ));
}

function Value({ name, value, isUnused }) {
  if (isUnused) return html`<span class="dim">${t("config.unused")}</span>`;
  if (value === "") return html`<span class="dim">${t("config.unset")}</span>`;
  if (name === "silent_payment_address") return html`<${Copy} text=${value} />`;
  if (name.startsWith("sync.")) return html`<code>${value}</code> s`;
  return html`<code>${String(value)}</code>`;
}

export function Config({ s }) {
  if (!s.config) return html`<${Panel} id="config" title=${t("config.title")}><${Empty}>${t("waiting")}<//><//>`;
  const { timestamp, ...shown } = s.config;
  // The development chain takes the place of the node.
  const isUnused = (name) => shown.standalone && name.startsWith("bitcoin_core.");
  return html`<${Panel} id="config" title=${t("config.title")} hint=${t("config.hint")}>
    <dl class="pairs">${rows(shown).map(([name, value]) => html`<div key=${name}>
      <dt><code>${name}</code></dt><dd><${Value} name=${name} value=${value} isUnused=${isUnused(name)} /></dd></div>`)}</dl>
  <//>`;
}
