// Clients and their lag: counts only, as no figure may show what a client watches.

import { duration, number } from "./format.js";
import { t } from "./i18n.js";
import { Empty, Figure, Panel, html } from "./view.js";

export function Clients({ s }) {
  if (!s.metrics) return html`<${Panel} id="clients" title=${t("clients.title")}><${Empty}>${t("waiting")}<//><//>`;
  const { system_metrics: system, relay_metrics: relay } = s.metrics;
  const others = Math.max(0, system.active_connections - (s.socket.status === "open" ? 1 : 0));
  const behind = s.timings ? s.timings.clients_behind : null;
  return html`<${Panel} id="clients" title=${t("clients.title")}>
    <dl class="figures">
      <${Figure} name=${t("clients.connected")} value=${number(system.active_connections)} />
      <${Figure} name=${t("clients.behind")} value=${number(behind)} title=${t("clients.behindAbout")} tone=${behind ? "warn" : ""} />
      <${Figure} name=${t("clients.cut")} value=${number(relay.slow_clients_cut)} title=${t("clients.cutAbout")} />
      <${Figure} name=${t("clients.sent")} value=${number(relay.notifications_sent)} />
      ${relay.watches !== undefined && html`<${Figure} name=${t("clients.watches")} value=${number(relay.watches)} title=${t("clients.watchesAbout")} />`}
      <${Figure} name=${t("clients.uptime")} value=${duration(system.uptime)} />
    </dl>
    ${!others && html`<${Empty}>${t("clients.empty", { url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws` })}<//>`}
  <//>`;
}
