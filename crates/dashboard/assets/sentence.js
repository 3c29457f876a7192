// The first line: the state of the relay in one sentence, and what to do about it.

import { adviceOn } from "./advice.js";
import { duration, ms, number, percent, time } from "./format.js";
import { t } from "./i18n.js";
import { timeLeft } from "./progress.js";
import { html } from "./view.js";

// Failed attempts of the WebSocket while the relay answers otherwise, before the page says so.
const SOCKET_FAILURES = 2;

// `tone` (good, info, warn, bad), `text`, `advice`.
export function sentence(s) {
  if (s.needsToken) return { tone: "warn", text: t("state.token"), advice: t("state.tokenAdvice") };
  if (s.reachable === undefined) return { tone: "info", text: t("state.asking"), advice: "" };
  if (!s.reachable) {
    const since = s.lastAnswer ? t("state.since", { time: time(s.lastAnswer) }) : "";
    return { tone: "bad", text: t("state.unreachable"), advice: `${t("state.unreachableAdvice")} ${since}`.trim() };
  }
  if (!s.health) return { tone: "info", text: t("state.asking"), advice: "" };
  const { status, problems, index } = s.health;
  if (status === "critical") return { tone: "bad", text: t("state.critical", { n: problems.length }), advice: whatToDo(problems) };
  if (status === "degraded") {
    const isBuilding = index && index.state === "building" && problems.length === 1;
    if (isBuilding) return building(s, index);
    return { tone: "warn", text: t("state.degraded", { n: problems.length }), advice: whatToDo(problems) };
  }
  if (s.socket.status !== "open" && s.socket.failures >= SOCKET_FAILURES) {
    return { tone: "warn", text: t("state.socket", { reason: s.socket.reason }), advice: t("state.socketAdvice", { host: location.hostname }) };
  }
  if (index && index.state === "building") return building(s, index);
  const height = s.metrics ? s.metrics.relay_metrics.tip_height : null;
  return { tone: "good", text: t("state.healthy", { height: number(height) }), advice: latency(s) };
}

// About the first problem, which the relay lists first because it matters most.
function whatToDo([first, ...others]) {
  const rest = others.length ? ` ${t("state.others", { n: others.length })}` : "";
  return first ? `${t("problems.do")} ${t(`advice.${adviceOn(first)}`)}${rest}` : "";
}

function building(s, index) {
  const left = timeLeft(s.index, index.target);
  const advice = left === undefined ? t("state.buildingAdvice") : t("state.buildingLeft", { left: duration(left) });
  return { tone: "info", text: t("state.building", { progress: percent(index.progress, 1) }), advice };
}

function latency(s) {
  const all = s.timings ? s.timings.events.map((e) => e.total_ms).filter((v) => v !== null).sort((a, b) => a - b) : [];
  const restart = s.config && s.config.restart_required ? ` ${t("state.restart")}` : "";
  const said = all.length ? t("state.latency", { time: ms(all[Math.floor(all.length / 2)]), n: all.length }) : t("state.nothing");
  return said + restart;
}

const SIGNS = { good: "✓", info: "…", warn: "!", bad: "✕" };

export function Sentence({ s }) {
  const { tone, text, advice } = sentence(s);
  return html`<section class=${`state ${tone}`} id="state" aria-label=${t("state.label")}>
    <span class="sign" aria-hidden="true">${SIGNS[tone]}</span>
    <div role="status"><p class="said">${text}</p>${advice && html`<p class="advice">${advice}</p>`}</div>
  </section>`;
}

// Each problem, in the words of the relay, with what to do.
export function Problems({ s }) {
  const problems = s.reachable && s.health ? s.health.problems : [];
  if (!problems.length) return null;
  return html`<section class="panel wide problems" id="problems" aria-labelledby="problems-title">
    <header><h2 id="problems-title">${t("problems.title")}</h2></header>
    <ul>${problems.map((problem) => html`<li key=${problem}><p lang="en">${problem}</p>
      <p class="advice">${t("problems.do")} ${t(`advice.${adviceOn(problem)}`)}</p></li>`)}</ul>
  </section>`;
}
