// What all panels are made of.

import htm from "./htm.js";
import { h } from "./preact.js";
import { t } from "./i18n.js";

export const html = htm.bind(h);

export function Panel({ id, title, aside, hint, children, wide }) {
  return html`<section class=${`panel ${wide ? "wide" : ""}`} id=${id} aria-labelledby=${`${id}-title`}>
    <header><h2 id=${`${id}-title`}>${title}</h2>${aside && html`<div class="aside">${aside}</div>`}</header>
    ${hint && html`<p class="hint">${hint}</p>`}
    ${children}
  </section>`;
}

export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

// A figure with its unit and its name.
export function Figure({ name, value, title, tone }) {
  return html`<div class=${`figure ${tone || ""}`} title=${title}><dd>${value}</dd><dt>${name}</dt></div>`;
}

export function Bar({ share, label }) {
  return html`<div class="bar" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100"
    aria-valuenow=${Math.floor(share * 100)}><span style=${{ width: `${Math.min(100, share * 100)}%` }}></span></div>`;
}

// Text that the clipboard can take where the browser allows it.
export function Copy({ text, shown }) {
  const copy = navigator.clipboard && (() => { navigator.clipboard.writeText(text).catch(() => {}); });
  return html`<span class="copy"><code title=${text}>${shown || text}</code>${copy && html`<button type="button" class="small"
    onClick=${copy}>${t("copy")}</button>`}</span>`;
}
