// The page of the API reference, `GET /docs`: its search, and its requests.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { faults, until, visit } from "./browser.js";
import { standalone } from "./relay.js";

describe("docs", () => {
  let relay;
  let page;

  before(async () => {
    relay = await standalone().start();
    page = await visit(relay.url, { path: "/docs" });
    await page.locator(".entry").first().waitFor();
  });

  after(async () => {
    assert.deepEqual(faults(page), []);
    await page.context().close();
    await relay.stop();
  });

  const search = (text) => page.fill("#search", text);
  const shown = () => page.locator(".entry:visible").evaluateAll((entries) => entries.map((entry) => entry.id));

  test("a field is found, and opened where it stands", async () => {
    await search("amount_sats");
    assert.deepEqual(await shown(), ["http/payAddress"]);
    await page.locator(".field:visible", { hasText: "amount_sats" }).first().waitFor();
  });

  test("a message type is found in the other view, which is said and linked", async () => {
    await search("watch_progress");
    const said = page.locator("#found");
    assert.match(await said.innerText(), /Nothing in the HTTP API has .watch_progress., but \d+ in the WebSocket API/);
    await said.locator("a").click();
    await until("the message", async () => (await shown()).includes("websocket/server.watch_progress"));
    assert.equal(await said.innerText(), "");
    await search("payment_reverted");
    assert.ok((await shown()).length > 0);
  });

  test("who may send a request is written in plain words", async () => {
    const needs = (id) => page.locator(`[id="http/${id}"] .lock`);
    assert.equal(await needs("restart").innerText(), "from the relay's machine or with the administrator's token");
    assert.equal(await needs("getHealth").count(), 0);
  });

  test("nothing found is said", async () => {
    await search("nonsense-word");
    assert.match(await page.locator("#found").innerText(), /Nothing found for .nonsense-word./);
    assert.deepEqual(await shown(), []);
    await search("");
    assert.equal(await page.locator("#found").innerText(), "");
    assert.ok((await shown()).length > 10);
  });

  test("a GET can be tried, with its parameters", async () => {
    await page.goto(`${relay.url}/docs#http/getLogs`);
    const entry = page.locator("[id='http/getLogs']");
    await entry.locator("input[name=search]").fill("listening");
    await entry.locator(".try button").click();
    await entry.locator("text=/logs?search=listening").waitFor();
    assert.match(await entry.locator("div[role=status]").innerText(), /^200 [\s\S]*"message": "listening"/);
    await page.goto(`${relay.url}/docs#http/getBlock`);
    const block = page.locator("[id='http/getBlock']");
    await block.locator("input[name=block_hash]").fill("00");
    await block.locator(".try button").click();
    await block.locator("div[role=status] .status.bad", { hasText: "422" }).waitFor();
    page.faults = page.faults.filter((fault) => !/422/.test(fault));
  });

  test("the pages link each other", async () => {
    await page.click("header a >> text=Dashboard");
    await page.locator("#state").waitFor();
    await page.click(".top nav a");
    await page.locator("#search").waitFor();
  });
});
