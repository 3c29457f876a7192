// The way of a payment: from the node through detection and the log to the clients, with the time of each stage.

import { Dev } from "./dev.js";
import { ms, short } from "./format.js";
import { t } from "./i18n.js";
import { Payments } from "./payments.js";
import { STAGES } from "./stages.js";
import { Copy, Empty, Panel, html } from "./view.js";

// Drawn here: not every system has a font with such signs.
const ICONS = {
  node: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.5",
  detect: "M10.5 4a6.5 6.5 0 1 1 0 13a6.5 6.5 0 0 1 0-13zM15.5 15.5L20.5 20.5",
  log: "M5 6h14M5 12h14M5 18h9",
  client: "M4 12h9M9.5 8l4 4l-4 4M16 5h4v14h-4",
};

// How the node signals changes, where the relay says so; otherwise what the stage is.
const SOURCES = { zmq: "way.zmq", "zmq without sequence": "way.zmqPartly", polling: "way.polling", embedded: "way.embedded" };

function Stage({ name, index, timing, source }) {
  const value = timing && timing[`${name}_ms`];
  return html`<li class=${`stage s${index}`}>
    <svg class="icon" viewBox="-6 -6 36 36" aria-hidden="true"><path d=${ICONS[name]} /></svg>
    <span class="name">${t(`way.${name}`)}</span>
    <span class="time">${value === null || value === undefined ? "–" : ms(value)}</span>
    <span class="about">${source ? t(source) : t(`way.${name}About`)}</span>
  </li>`;
}

export function Way({ s }) {
  const timing = s.timings && s.timings.events[s.timings.events.length - 1];
  const total = timing && timing.total_ms;
  const said = timing && t("way.newest", {
    what: timing.notification_types.map((type) => t(`event.${type}`)).join(", "), id: timing.last_event_id,
    total: total === null ? "–" : ms(total),
  });
  return html`<${Panel} id="way" title=${t("way.title")} wide=${true} aside=${said}>
    <ol class=${`way ${timing ? "" : "idle"}`}>
      ${STAGES.map((name, index) => html`<${Stage} name=${name} index=${index} timing=${timing}
        source=${name === "node" && s.health && SOURCES[s.health.event_source]} />`)}
      ${s.newest && html`<li class="pulse" key=${s.newest.id} aria-hidden="true"></li>`}
    </ol>
    ${timing && timing.client_ms === null && html`<p class="hint">${t("way.noClient")}</p>`}
    ${s.config && s.config.dev_mode && html`<${Dev} s=${s} />`}
    ${s.payments.length ? html`<${Payments} s=${s} list=${s.payments} caption=${t("payments.caption")} />`
      : html`<${Empty}>${s.config ? html`${t(s.config.dev_mode ? "payments.emptyDev" : "payments.empty")} <${Copy}
        text=${s.config.silent_payment_address} shown=${short(s.config.silent_payment_address, 14)} />` : t("waiting")}<//>`}
  <//>`;
}
