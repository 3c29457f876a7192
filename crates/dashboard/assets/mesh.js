// The mesh as a graph: this relay in the middle, others by their round-trip time, with their health.

import { duration, ms, number } from "./format.js";
import { t } from "./i18n.js";
import { Empty, Panel, html } from "./view.js";

// More names than these cannot be read around a circle; the table has all that the relay lists.
const MOST_NODES = 16;
const WIDTH = 420;
// Two others stand left and right.
const heightOf = (others) => (others.length <= 2 ? 130 : 300);
// Round-trip times at the inner and at the outer ring, in milliseconds.
const NEAR_MS = 1;
const FAR_MS = 500;
const SIGNS = { healthy: "✓", warning: "!", critical: "✕" };

// Share of the way to the outer ring: logarithmic, as times are; without a link outermost.
function distance(latency) {
  if (latency === null) return 1;
  const share = Math.log(Math.max(latency, NEAR_MS) / NEAR_MS) / Math.log(FAR_MS / NEAR_MS);
  return 0.58 + 0.28 * Math.min(1, share);
}

function Node({ relay, x, y, height, isOwn }) {
  const health = relay.health || "unknown";
  const left = x < WIDTH / 2 - 40;
  const right = x > WIDTH / 2 + 40;
  const anchor = left ? "start" : right ? "end" : "middle";
  const at = left ? Math.max(4, x - 14) : right ? Math.min(WIDTH - 4, x + 14) : x;
  // Above the upper ones and below the others, where no line passes.
  const below = isOwn ? 33 : y < height / 3 ? -17 : 26;
  return html`<g class=${`node ${health} ${isOwn ? "own" : ""}`}>
    <circle cx=${x} cy=${y} r=${isOwn ? 16 : 11} />
    <text class="sign" x=${x} y=${y + 4} text-anchor="middle">${SIGNS[health] || "?"}</text>
    <text class="name" x=${at} y=${y + below} text-anchor=${anchor}>${relay.relay_id.slice(0, 18)}</text>
  </g>`;
}

function Graph({ own, others }) {
  const height = heightOf(others);
  const [cx, cy] = [WIDTH / 2, height / 2 - 8];
  const shown = others.slice(0, MOST_NODES).map((relay, at, { length }) => {
    const angle = ((at + 0.5) / length) * 2 * Math.PI - (length === 1 ? Math.PI : Math.PI / 2);
    const far = distance(relay.latency);
    return { relay, x: cx + Math.cos(angle) * far * (cx - 26), y: cy + Math.sin(angle) * far * (cy - 18) };
  });
  return html`<svg class="mesh" viewBox=${`0 0 ${WIDTH} ${height}`} role="img"
    aria-label=${t("mesh.graph", { n: others.length })}>
    ${shown.map(({ relay, x, y }) => html`<line class=${relay.link} x1=${cx} y1=${cy} x2=${x} y2=${y} />`)}
    ${shown.map(({ relay, x, y }) => relay.latency !== null && html`<text class="rtt" x=${cx + (x - cx) * 0.56 + (Math.abs(x - cx) < 40 ? 24 : 0)} y=${cy + (y - cy) * 0.56 - (Math.abs(x - cx) < 40 ? -4 : 7)}
      text-anchor="middle">${ms(relay.latency)}</text>`)}
    ${shown.map(({ relay, x, y }) => html`<${Node} relay=${relay} x=${x} y=${y} height=${height} />`)}
    <${Node} relay=${own} x=${cx} y=${cy} height=${height} isOwn=${true} />
  </svg>`;
}

function Row({ relay, now }) {
  const tone = { healthy: "good", warning: "warn", critical: "bad" }[relay.health] || "info";
  return html`<tr><td><strong>${relay.relay_id}</strong><br /><span class="dim">${relay.url || t("mesh.noAddress")}</span></td>
    <td><span class=${`tag ${tone}`}>${t(`mesh.${relay.health || "unknown"}`)}</span></td>
    <td>${t(`mesh.${relay.link}`)}</td><td class="num">${ms(relay.latency)}</td>
    <td class="num">${number(relay.last_block)}</td>
    <td class="num">${t("ago", { time: duration(Math.max(0, now - relay.last_seen)) })}</td></tr>`;
}

export function Mesh({ s }) {
  if (!s.relays) return html`<${Panel} id="mesh" title=${t("mesh.title")}><${Empty}>${t("waiting")}<//><//>`;
  const own = s.relays.relays.find((r) => r.link === "own");
  const others = s.relays.relays.filter((r) => r.link !== "own");
  const said = t("mesh.said", { n: s.relays.total, healthy: number(s.relays.healthy), warning: number(s.relays.warning), critical: number(s.relays.critical) });
  return html`<${Panel} id="mesh" title=${t("mesh.title")} aside=${said} wide=${true}>
    ${others.length > MOST_NODES && html`<p class="hint">${t("mesh.more", { n: MOST_NODES })}</p>`}
    ${own && html`<div class="meshview"><${Graph} own=${own} others=${others} />
    ${others.length ? html`<div class="scroll" tabindex="0" role="region" aria-label=${t("mesh.table")}><table>
      <caption class="hidden">${t("mesh.table")}</caption>
      <thead><tr><th scope="col">${t("mesh.relay")}</th><th scope="col">${t("mesh.health")}</th><th scope="col">${t("mesh.link")}</th>
        <th scope="col">${t("mesh.rtt")}</th><th scope="col">${t("mesh.block")}</th><th scope="col">${t("mesh.seen")}</th></tr></thead>
      <tbody>${others.map((relay) => html`<${Row} key=${relay.relay_id} relay=${relay} now=${s.relays.timestamp} />`)}</tbody>
    </table></div>` : html`<${Empty}>${t("mesh.empty")} <code>mesh.peers = ["wss://b.example.com:8090"]</code><//>`}</div>`}
  <//>`;
}
