// Three relays on one node: the mesh as a graph and as a table, with what GET /relays says.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { faults, until, visit } from "./browser.js";
import { startMesh } from "./scene.js";

describe("mesh", () => {
  let scene;

  before(async () => { scene = await startMesh(); });
  after(async () => { await scene.stop(); });

  test("the graph and the table have each relay, its health, and its round-trip time", async () => {
    const [relay] = scene.relays;
    const page = await visit(relay.url);
    await until("all relays", async () => (await page.locator(".mesh .node").count()) === 3);
    const { relays } = await relay.get("/relays");
    for (const other of relays.filter((one) => one.link !== "own")) {
      const row = page.locator("#mesh tbody tr", { hasText: other.relay_id });
      await until("its health", async () => (await row.locator(".tag").innerText()) === (await relay.get(`/relays/${other.relay_id}`)).health);
    }
    await until("the round-trip times of both links", async () => (await page.locator(".mesh .rtt").count()) === 2);
    assert.equal(await page.locator(".mesh .own").count(), 1);
    assert.match(await page.locator("#mesh .aside").innerText(), /^3 relays: /);

    await scene.relays[2].stop();
    const gone = page.locator("#mesh tbody tr", { hasText: "oslo" });
    await until("the relay that has stopped", async () => {
      // The row may go between two looks: these return what is there, and do not wait for it.
      const healths = await gone.locator(".tag").allInnerTexts();
      return healths.every((health) => !/healthy/.test(health)) || (await gone.allInnerTexts()).some((row) => /gossip/.test(row));
    });
    assert.deepEqual(faults(page), []);
    await page.context().close();
  });
});
