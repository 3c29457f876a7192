// Progress of the tweak index and of the history that the user asked for, with the time left.

import { duration, number, percent } from "./format.js";
import { t } from "./i18n.js";
import { Bar, Empty, Panel, html } from "./view.js";

// Shorter than this, a rate says nothing about the rest.
const LEAST_SECONDS = 4;

// Seconds left at the rate of the samples `{at, height}`; undefined while there is none.
export function timeLeft(samples, target) {
  const [first, newest] = [samples[0], samples[samples.length - 1]];
  if (!first || target === null) return undefined;
  const seconds = (newest.at - first.at) / 1000;
  const blocks = newest.height - first.height;
  if (seconds < LEAST_SECONDS || blocks <= 0) return undefined;
  return Math.max(0, target - newest.height) * (seconds / blocks);
}

export function Index({ s }) {
  const index = s.health && s.health.index;
  if (!s.health) return html`<${Panel} id="index" title=${t("index.title")}><${Empty}>${t("waiting")}<//><//>`;
  if (!index) return html`<${Panel} id="index" title=${t("index.title")}><${Empty}>${t("index.off")}<//><//>`;
  const isDone = index.state === "current";
  const left = isDone ? undefined : timeLeft(s.index, index.target);
  return html`<${Panel} id="index" title=${t("index.title")}
    aside=${html`<span class=${`tag ${isDone ? "good" : index.state === "failing" ? "bad" : "info"}`}>${t(`index.${index.state}`)}</span>`}>
    <${Bar} share=${index.progress} label=${t("index.title")} />
    <p class="line"><strong>${percent(index.progress, 1)}</strong> <span>${t("index.range", {
      first: number(index.first_height), height: number(index.height), target: number(index.target),
    })}</span></p>
    <p class="hint">${isDone ? t("index.done") : left === undefined ? t("index.measuring") : t("index.left", { left: duration(left) })}</p>
    ${index.error && html`<p class="error" lang="en">${index.error}</p>`}
  <//>`;
}
