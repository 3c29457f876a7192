// Each panel shows what the API says, live, without an error in the console and without a violation of the policy.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { faults, said, until, visit } from "./browser.js";
import { standalone } from "./relay.js";

const digits = (text) => Number(text.replace(/[^0-9]/g, ""));

describe("panels", () => {
  let relay;
  let page;

  before(async () => {
    relay = await standalone().start();
    page = await visit(relay.url);
  });

  after(async () => {
    assert.deepEqual(faults(page), []);
    await page.context().close();
    await relay.stop();
  });

  test("the first line says that all is well, at the height of the relay", async () => {
    await until("a healthy sentence", async () => /All is well/.test(await said(page)));
    const { relay_metrics: { tip_height: height } } = await relay.get("/metrics");
    assert.equal(digits((await said(page)).split("block")[1]), height);
    assert.equal(await page.locator(".live").innerText(), "live");
  });

  test("an empty panel says how to fill it", async () => {
    const empty = page.locator("#way .empty");
    await empty.locator("code").waitFor();
    await page.locator("#mesh .empty").waitFor();
    assert.match(await empty.innerText(), /Press .Pay./);
    const { silent_payment_address: address } = await relay.get("/config");
    assert.equal(await empty.locator("code").getAttribute("title"), address);
    assert.match(await page.locator("#mesh .empty").innerText(), /This relay is alone/);
    assert.match(await page.locator("#clients .empty").innerText(), new RegExp(`ws://127.0.0.1:${relay.http}/ws`));
  });

  test("a payment appears with the time of each stage, then its block", async () => {
    await page.fill("#dev input[name=amount]", "0.0021");
    await page.click("#dev button[type=submit]");
    const row = page.locator("#way tbody tr").first();
    await row.waitFor();
    assert.match(await row.locator(".amount").innerText(), /0\.0021.BTC/);
    assert.equal(await row.locator(".tag").innerText(), "mempool");
    const timing = await until("its times", async () => {
      const { events } = await relay.get("/timings");
      const found = events.find((event) => event.notification_types.includes("payment_detected"));
      return found && found.total_ms !== null && found;
    });
    const sum = timing.node_ms + timing.detect_ms + timing.log_ms + timing.client_ms;
    assert.ok(Math.abs(sum - timing.total_ms) < 0.05, JSON.stringify(timing));
    await until("the stages", async () => (await row.locator(".stages").count()) === 1);
    for (const name of ["Node", "Detection", "Log", "Clients"]) assert.match(await row.locator(".stages").getAttribute("aria-label"), new RegExp(name));
    await until("the newest event above", async () => !/–/.test(await page.locator(".stage.s3 .time").innerText()));

    await page.click("text=Mine a block");
    await until("its block", async () => /^block/.test(await row.locator(".tag").innerText()));
    const block = page.locator(".block").nth(1);
    const { relay_metrics: { tip_height: height } } = await relay.get("/metrics");
    assert.equal(digits(await block.locator("strong").innerText()), height);
    assert.match(await block.innerText(), /2 transactions/);
    assert.match(await page.locator("#dev .note").innerText(), /Mined block/);
  });

  test("a refusal of the relay is shown in its words", async () => {
    await page.fill("#dev input[name=amount]", "0.00000001");
    await page.click("#dev button[type=submit]");
    await until("the reason", async () => /dust/.test(await page.locator("#dev .note").innerText()));
    await page.fill("#dev input[name=amount]", "0.001");
    // The browser itself reports the status of the answer.
    page.faults = page.faults.filter((fault) => !/422/.test(fault));
  });

  test("charts and figures are those of the API", async () => {
    await until("two samples", async () => (await page.locator("#activity canvas").count()) === 1);
    assert.match(await page.locator("#activity .chart").getAttribute("aria-label"), /tx\/s/);
    assert.match(await page.locator("#memory .chart").getAttribute("aria-label"), /MB/);
    const { histogram } = await relay.get("/timings");
    assert.equal(await page.locator(".histogram li").count(), histogram.counts.length);
    const total = histogram.counts.reduce((a, b) => a + b, 0);
    await until("the number of events", async () => new RegExp(`^${total} events?`).test(await page.locator("#latency .aside").innerText()));
    await until("the state of the index", async () => /up to date/.test(await page.locator("#index .tag").innerText()));
    const metrics = await relay.get("/metrics");
    const figure = (name) => page.locator("#clients .figure", { hasText: name }).locator("dd").first();
    await until("the connections", async () => digits(await figure("connections").innerText()) === metrics.system_metrics.active_connections);
    // A local program is an administrator: it sees the count of watches.
    assert.equal(await figure("watches").innerText(), "0");
    assert.equal(await page.locator("#webhooks").count(), 0, "there are none");
  });

  test("the configuration is what GET /config shows", async () => {
    const config = await relay.get("/config");
    const text = await page.locator("#config").innerText();
    for (const value of [config.relay_id, config.network, config.ws_url, String(config.sync.health_interval), config.silent_payment_address]) {
      assert.ok(text.includes(value), value);
    }
    assert.match(await page.locator("#config dl > div", { hasText: "blindbit.url" }).innerText(), /not set/);
    // The relay of this test is standalone.
    assert.match(await page.locator("#config dl > div", { hasText: "bitcoin_core.url" }).innerText(), /unused: standalone/);
    assert.ok(!text.includes(config.bitcoin_core.url), config.bitcoin_core.url);
  });

  test("the log is asked for when it is opened, and filtered", async () => {
    await page.click("#log header button");
    await until("lines", async () => (await page.locator("#log .log li").count()) > 1);
    await page.fill("#log input[type=search]", "listening");
    await until("the filter", async () => (await page.locator("#log .log li").count()) === 1);
    assert.match(await page.locator("#log .log li").innerText(), /listening/);
    await page.selectOption("#log select", "error");
    await until("the level", async () => /No line matches/.test(await page.locator("#log").innerText()));
    await page.click("#log header button");
    assert.equal(await page.locator("#log .log").count(), 0);
  });

  test("a page that is opened later shows what happened before", async () => {
    const later = await visit(relay.url);
    await later.locator("#way tbody tr").first().waitFor();
    assert.ok((await later.locator(".block").count()) > 1);
    assert.deepEqual(faults(later), []);
    await later.context().close();
  });
});
