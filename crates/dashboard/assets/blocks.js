// The strip of blocks: what waits in the mempool, then the newest blocks.

import { bytes, duration, number, short } from "./format.js";
import { t } from "./i18n.js";
import { Empty, Panel, html } from "./view.js";

// The largest block of the strip is full; others are filled by their share of it, up to the limit of the network.
const FULL_BYTES = 1500000;

function Block({ block, now, most }) {
  const fill = Math.max(6, (block.size / most) * 100);
  const age = Math.max(0, Math.floor(now / 1000 - block.time));
  return html`<li class=${`block ${block.gone ? "gone" : ""} ${block.at ? "new" : ""}`} title=${block.hash}>
    <span class="fill" style=${{ height: `${fill}%` }} aria-hidden="true"></span>
    <strong>${number(block.height)}</strong>
    <span>${t("blocks.transactions", { n: block.transactions })}</span>
    <span>${bytes(block.size)}</span>
    <span class="age">${block.gone ? t("blocks.gone") : t("ago", { time: duration(age) })}</span>
    <code>${short(block.hash, 4)}</code>
  </li>`;
}

export function Blocks({ s }) {
  const waiting = s.metrics && s.metrics.bitcoin_metrics.mempool_size;
  const now = Date.now();
  const largest = Math.max(...s.blocks.map((b) => b.size), 1);
  const most = largest > FULL_BYTES / 20 ? FULL_BYTES : largest;
  return html`<${Panel} id="blocks" title=${t("blocks.title")} wide=${true}>
    <div class="scroll strip" tabindex="0" role="region" aria-label=${t("blocks.strip")}><ol class="blocks">
      <li class="block pending"><strong>${t("blocks.next")}</strong>
        <span>${waiting === null || waiting === undefined ? "–" : t("blocks.transactions", { n: waiting })}</span>
        <span class="age">${t("blocks.mempool")}</span></li>
      ${s.blocks.map((block) => html`<${Block} key=${block.hash} block=${block} now=${now} most=${most} />`)}
    </ol></div>
    ${!s.blocks.length && html`<${Empty}>${t(s.config && s.config.dev_mode ? "blocks.emptyDev" : "blocks.empty")}<//>`}
  <//>`;
}
