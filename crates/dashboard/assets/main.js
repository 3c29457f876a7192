// The page: its parts in their order, and their start.

import { Blocks } from "./blocks.js";
import { Activity, Latency, Memory } from "./charts.js";
import { Clients } from "./clients.js";
import { Config } from "./config.js";
import { Header, TokenField } from "./header.js";
import { t } from "./i18n.js";
import { Log } from "./log.js";
import { Mesh } from "./mesh.js";
import { poll } from "./poll.js";
import { render } from "./preact.js";
import { Index } from "./progress.js";
import { Problems, Sentence } from "./sentence.js";
import { restore } from "./settings.js";
import { connect, reconnect } from "./socket.js";
import { change, onChange } from "./store.js";
import { html } from "./view.js";
import { Watch } from "./watch.js";
import { Way } from "./way.js";
import { Webhooks } from "./webhooks.js";

// Ages and times left change without an event.
const REDRAW_MS = 1000;

function useToken() {
  poll();
  reconnect();
}

function App({ s }) {
  const version = s.health && s.health.software_version;
  return html`<${Header} s=${s} />
    <main id="main" tabindex="-1">
      <${Sentence} s=${s} />
      ${s.needsToken && html`<${TokenField} onToken=${useToken} />`}
      <${Problems} s=${s} />
      <${Way} s=${s} />
      <${Blocks} s=${s} />
      <div class="grid"><${Activity} s=${s} /><${Latency} s=${s} /><${Memory} s=${s} /></div>
      <div class="grid two"><${Index} s=${s} /><${Clients} s=${s} /></div>
      <${Webhooks} s=${s} />
      <${Mesh} s=${s} />
      <${Watch} s=${s} />
      <${Config} s=${s} />
      <${Log} s=${s} />
    </main>
    <footer>sdk_relay ${version} · <a href="/docs">${t("docs")}</a> · <a href="/metrics">${t("metrics")}</a> · <a href="/health">${t("health")}</a></footer>`;
}

const root = document.getElementById("app");
root.replaceChildren();
onChange((s) => render(html`<${App} s=${s} />`, root));
restore();
poll();
connect();
setInterval(() => change(() => {}), REDRAW_MS);
