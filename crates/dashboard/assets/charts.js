// Charts of the last minutes, and the histogram of latencies.

import { Chart } from "./chart.js";
import { bytes, ms, number } from "./format.js";
import { t } from "./i18n.js";
import { Empty, Panel, html } from "./view.js";

const last = (s, name) => (s.samples.length ? s.samples[s.samples.length - 1][name] : null);
const columns = (s, ...names) => [
  s.samples.map((one) => one.at / 1000), ...names.map((name) => s.samples.map((one) => one[name] ?? null)),
];

// A chart needs two points; until then the panel says what it waits for.
function Plot({ s, names, series, unit, label }) {
  if (s.samples.length < 2) return html`<${Empty}>${t("waiting")}<//>`;
  return html`<${Chart} data=${columns(s, ...names)} series=${series} unit=${unit} label=${label} theme=${s.theme} language=${s.language} />`;
}

export function Activity({ s }) {
  const rate = t("charts.rateValue", { rate: number(last(s, "rate"), 1) });
  const mempool = t("charts.mempoolValue", { n: last(s, "mempool") ?? 0 });
  return html`<${Panel} id="activity" title=${t("charts.activity")} aside=${html`<span class="key k1">${rate}</span> <span class="key k2">${mempool}</span>`}>
    <${Plot} s=${s} names=${["rate", "mempool"]} label=${`${t("charts.activity")}: ${rate}, ${mempool}`} unit=${(v) => number(v, 1)}
      series=${[{ scale: "rate", colour: "--accent", fill: "--accent-soft", format: (v) => `${number(v, 1)}/s` },
        { scale: "mempool", colour: "--second", format: (v) => number(v) }]} />
  <//>`;
}

export function Memory({ s }) {
  const memory = bytes(last(s, "memory"));
  const cpu = t("charts.cpuValue", { cpu: number(last(s, "cpu"), 1) });
  return html`<${Panel} id="memory" title=${t("charts.memory")} aside=${html`<span class="key k1">${memory}</span> <span class="key k2">${cpu}</span>`}>
    <${Plot} s=${s} names=${["memory", "cpu"]} label=${`${t("charts.memory")}: ${memory}, ${cpu}`} unit=${bytes}
      series=${[{ scale: "memory", colour: "--accent", fill: "--accent-soft", format: bytes },
        { scale: "cpu", colour: "--second", format: (v) => `${number(v, 1)}\u00a0%` }]} />
  <//>`;
}

// The value below which this share of the events is: the bound of its bucket.
export function quantile({ bounds_ms: bounds, counts }, share) {
  const total = counts.reduce((a, b) => a + b, 0);
  let seen = 0;
  for (let at = 0; at < counts.length; at++) {
    seen += counts[at];
    if (total && seen >= total * share) return at < bounds.length ? bounds[at] : Infinity;
  }
  return undefined;
}

export function Latency({ s }) {
  const histogram = s.timings && s.timings.histogram;
  const total = histogram ? histogram.counts.reduce((a, b) => a + b, 0) : 0;
  if (!total) return html`<${Panel} id="latency" title=${t("charts.latency")}><${Empty}>${t("charts.latencyEmpty")}<//><//>`;
  const { bounds_ms: bounds, counts } = histogram;
  const most = Math.max(...counts);
  const within = (share) => { const v = quantile(histogram, share); return v === Infinity ? `> ${ms(bounds[bounds.length - 1])}` : `≤ ${ms(v)}`; };
  const said = t("charts.latencyValue", { half: within(0.5), most: within(0.99), n: total });
  const name = (at) => (at < bounds.length ? `≤ ${ms(bounds[at])}` : `> ${ms(bounds[at - 1])}`);
  // The axis has room for the number alone; seconds have their unit, and so has the axis.
  const bound = (at) => (at === bounds.length ? "…" : bounds[at] < 1000 ? number(bounds[at]) : `${number(bounds[at] / 1000)}s`);
  return html`<${Panel} id="latency" title=${t("charts.latency")} aside=${said}>
    <div role="img" aria-label=${`${t("charts.latency")}: ${said}`}><ol class="histogram" aria-hidden="true">
      ${counts.map((count, at) => html`<li title=${`${name(at)}: ${number(count)}`}><span class="count">${count ? number(count) : ""}</span>
        <span class="column" style=${{ height: `${(count / most) * 100}%` }}></span><span class="bound">${bound(at)}</span></li>`)}
    </ol></div>
    <p class="hint">${t("charts.latencyHint")}</p>
  <//>`;
}
