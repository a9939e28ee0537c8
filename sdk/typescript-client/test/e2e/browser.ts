/** Opens the page of scenarios in headless Chromium and prints what became of them as JSON. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [page, executablePath] = process.argv.slice(2);
if (page === undefined || executablePath === undefined) {
  throw new Error("usage: browser.js PAGE CHROMIUM");
}
const profile = await mkdtemp(join(tmpdir(), "reifydb-chromium-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const tab = await context.newPage();
  tab.on("console", (message) => console.error(message.text()));
  tab.on("pageerror", (error) => console.error(String(error)));
  await tab.goto(page);
  await tab.waitForFunction(() => window.outcome !== undefined, undefined, { timeout: 60_000 });
  console.log(JSON.stringify(await tab.evaluate(() => window.outcome)));
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}

declare global {
  interface Window {
    outcome?: readonly { claim: string; error: string | null }[];
  }
}
