// The webhooks: what waits for each endpoint, and why. Only an administrator may read them; without any there is no panel.

import { duration, number } from "./format.js";
import { t } from "./i18n.js";
import { Panel, html } from "./view.js";

const TONES = { active: "good", failing: "warn", disabled: "bad" };

function Row({ hook, now }) {
  const failure = hook.state === "failing" && hook.recent_failures[0];
  const reason = hook.disabled ? hook.disabled.reason : failure && failure.error;
  const last = hook.last_delivery === null ? "–" : t("ago", { time: duration(Math.max(0, now - hook.last_delivery)) });
  return html`<tr><td><strong>${hook.name}</strong><br /><span class="dim">${hook.url}</span></td>
    <td><span class=${`tag ${TONES[hook.state]}`}>${t(`webhooks.${hook.state}`)}</span>${reason && html`<br /><span class="dim" lang="en">${reason}</span>`}</td>
    <td class="num">${number(hook.lag)}</td><td class="num">${number(hook.deliveries)}</td>
    <td class="num">${number(hook.failures)}</td><td class="num">${last}</td></tr>`;
}

export function Webhooks({ s }) {
  if (!s.webhooks || !s.webhooks.webhooks.length) return null;
  const columns = ["endpoint", "state", "lag", "deliveries", "failures", "last"];
  return html`<${Panel} id="webhooks" title=${t("webhooks.title")} wide=${true}>
    <div class="scroll" tabindex="0" role="region" aria-label=${t("webhooks.table")}><table>
      <caption class="hidden">${t("webhooks.table")}</caption>
      <thead><tr>${columns.map((name) => html`<th scope="col">${t(`webhooks.${name}`)}</th>`)}</tr></thead>
      <tbody>${s.webhooks.webhooks.map((hook) => html`<${Row} key=${hook.name} hook=${hook} now=${s.webhooks.timestamp} />`)}</tbody>
    </table></div>
  <//>`;
}
