// The head of the page: which relay this is, and the settings of the page.

import { NAMES, t } from "./i18n.js";
import { change } from "./store.js";
import { keep } from "./settings.js";
import { html } from "./view.js";

const THEMES = ["auto", "light", "dark"];

export function Header({ s }) {
  const name = s.relay ? s.relay.relay_id : s.config && s.config.relay_id;
  const network = s.relay ? s.relay.network : s.config && s.config.network;
  const isLive = s.socket.status === "open" && s.reachable;
  return html`<header class="top">
    <a class="skip" href="#main">${t("skip")}</a>
    <h1><span class="brand">sdk_relay</span>${name && html` <span class="relay">${name}</span>`}</h1>
    ${network && html`<span class=${`network ${network}`}>${network}</span>`}
    <span class=${`live ${isLive ? "on" : ""}`} role="status">${isLive ? t("live") : t("notLive")}</span>
    <nav aria-label=${t("settings.label")}>
      <a href="/docs">${t("docs")}</a>
      <select aria-label=${t("settings.language")} value=${s.language}
        onChange=${(e) => keep("language", e.currentTarget.value)}>
        ${Object.entries(NAMES).map(([tag, label]) => html`<option value=${tag} lang=${tag} selected=${tag === s.language}>${label}</option>`)}
      </select>
      <select aria-label=${t("settings.theme")} value=${s.theme} onChange=${(e) => keep("theme", e.currentTarget.value)}>
        ${THEMES.map((theme) => html`<option value=${theme} selected=${theme === s.theme}>${t(`settings.${theme}`)}</option>`)}
      </select>
    </nav>
  </header>`;
}

// Asks for a token where the relay asks for one.
export function TokenField({ onToken, hint }) {
  const submit = (event) => {
    event.preventDefault();
    const field = event.currentTarget.elements.token;
    const token = field.value.trim();
    field.value = "";
    if (!token) return;
    change((s) => { s.token = token; s.needsToken = false; });
    onToken();
  };
  return html`<form class="token" onSubmit=${submit}>
    <label>${t("token.label")} <input name="token" type="password" autocomplete="off" required minlength="16" /></label>
    <button type="submit">${t("token.use")}</button>
    <p class="hint">${hint || t("token.hint")}</p>
  </form>`;
}
