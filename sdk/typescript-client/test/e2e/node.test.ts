/** The scenarios from Node, with the WebSocket of `ws`. Started by tests/e2e/typescript. */

import { afterEach, test } from "node:test";
import { WebSocket } from "ws";
import { closeAll, SCENARIOS } from "./scenarios.js";

const { REIFYDB_URL: url, REIFYDB_CONTROL: control } = process.env;

afterEach(closeAll);

for (const protocol of ["msgpack", "json"] as const) {
  for (const [claim, run] of Object.entries(SCENARIOS)) {
    test(`${protocol}: ${claim}`, { timeout: 20_000 }, async () => {
      if (url === undefined || control === undefined) {
        throw new Error("REIFYDB_URL and REIFYDB_CONTROL say where the server is");
      }
      await run({ url, control, protocol, WebSocket });
    });
  }
}
