// A table of payments, the newest first.

import { btc, ms, short, time } from "./format.js";
import { t } from "./i18n.js";
import { STAGES, timingOf } from "./stages.js";
import { html } from "./view.js";

function place(payment) {
  if (payment.reverted) return html`<span class="tag bad">${t("payments.reverted")}</span>`;
  if (payment.block_height === null) return html`<span class="tag info">${t("payments.mempool")}</span>`;
  return html`<span class="tag good">${t("payments.block", { height: payment.block_height })}</span>`;
}

// The stages as parts of a bar.
function Stages({ timing }) {
  if (!timing) return html`<span class="dim">–</span>`;
  const parts = STAGES.map((name) => timing[`${name}_ms`] || 0);
  const sum = parts.reduce((a, b) => a + b, 0) || 1;
  const said = STAGES.map((name) => `${t(`way.${name}`)} ${ms(timing[`${name}_ms`])}`).join(" · ");
  return html`<span class="stages" role="img" aria-label=${said} title=${said}>
    ${parts.map((part, index) => html`<span class=${`s${index}`} style=${{ width: `${(part / sum) * 100}%` }}></span>`)}
  </span> <span class="num">${ms(timing.total_ms ?? sum)}</span>`;
}

export function Payments({ s, list, caption, plain }) {
  return html`<div class="list" tabindex="0" role="region" aria-label=${caption}><table class="payments">
    <caption class="hidden">${caption}</caption>
    <thead><tr><th scope="col">${t("payments.amount")}</th><th scope="col">${t("payments.where")}</th>
      <th scope="col">${t("payments.transaction")}</th><th scope="col">${t("payments.seen")}</th>
      ${!plain && html`<th scope="col">${t("payments.stages")}</th>`}</tr></thead>
    <tbody>${list.map((payment) => html`<tr key=${`${payment.txid}:${payment.vout}`} class=${payment.reverted ? "reverted" : ""}>
      <td class="num amount">${btc(payment.amount_sats)}${payment.label !== null && payment.label !== undefined
        && html` <span class="dim">${t("payments.label", { label: payment.label })}</span>`}</td>
      <td>${place(payment)}</td>
      <td><code title=${`${payment.txid}:${payment.vout}`}>${short(payment.txid)}:${payment.vout}</code></td>
      <td class="num dim">${time(payment.at || payment.timestamp * 1000)}</td>
      ${!plain && html`<td class="timing"><${Stages} timing=${timingOf(s, payment.id)} /></td>`}
    </tr>`)}</tbody>
  </table></div>`;
}
