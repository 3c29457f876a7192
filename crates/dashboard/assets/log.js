// The newest lines of the log, with filters. Asked for only while they are shown.

import { TokenField } from "./header.js";
import { t } from "./i18n.js";
import { askLog } from "./poll.js";
import { change } from "./store.js";
import { Empty, Panel, html } from "./view.js";

const LEVELS = ["trace", "debug", "info", "warn", "error"];

const FIXED = new Set(["timestamp", "level", "message", "relay_id", "module", "line"]);

function filter(name, value) {
  change((s) => { s.log[name] = value; });
  askLog();
}

function Line({ line }) {
  const fields = Object.entries(line).filter(([name]) => !FIXED.has(name));
  return html`<li class=${line.level}><time datetime=${line.timestamp}>${line.timestamp.slice(11, 19)}</time>
    <span class="level">${line.level}</span> <span class="message">${line.message}</span>
    ${fields.map(([name, value]) => html` <span class="field">${name}=<b>${String(value)}</b></span>`)}
    <span class="dim"> ${line.module}</span></li>`;
}

function Lines({ log }) {
  const { answer, problem } = log;
  if (problem && (problem.status === 401 || problem.status === 403)) {
    return html`<p class="hint" lang="en">${problem.message}</p><${TokenField} onToken=${askLog} hint=${t("token.adminHint")} />`;
  }
  if (problem) return html`<p class="error" lang="en">${problem.message}</p>`;
  if (!answer) return html`<${Empty}>${t("waiting")}<//>`;
  if (!answer.logs.length) return html`<${Empty}>${t("log.empty")}<//>`;
  return html`<div class="log" tabindex="0" role="log" aria-live="off" aria-label=${t("log.lines")} lang="en"><ol>
    ${[...answer.logs].reverse().map((line, at) => html`<${Line} key=${`${line.timestamp}${answer.logs.length - at}`} line=${line} />`)}</ol></div>
    <p class="hint">${t("log.shown", { n: answer.logs.length, total: answer.total })}</p>`;
}

export function Log({ s }) {
  const { log } = s;
  const toggle = () => {
    change((st) => { st.log.open = !st.log.open; });
    if (s.log.open) askLog();
  };
  return html`<${Panel} id="log" title=${t("log.title")} wide=${true} aside=${html`<button type="button" aria-expanded=${String(log.open)}
    aria-controls="log-lines" onClick=${toggle}>${t(log.open ? "log.hide" : "log.show")}</button>`}>
    <div id="log-lines">${log.open ? html`
      <form class="filters" role="search" onSubmit=${(e) => e.preventDefault()}>
        <label>${t("log.level")} <select value=${log.level} onChange=${(e) => filter("level", e.currentTarget.value)}>
          ${LEVELS.map((level) => html`<option value=${level} selected=${level === log.level}>${t(`log.${level}`)}</option>`)}</select></label>
        <label>${t("log.search")} <input type="search" maxlength="256" value=${log.search} onInput=${(e) => filter("search", e.currentTarget.value)} /></label>
      </form>
      <${Lines} log=${log} />` : html`<${Empty}>${t("log.closed")}<//>`}</div>
  <//>`;
}
