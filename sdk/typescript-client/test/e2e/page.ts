/** The scenarios in a browser. The page's address says where the server is. */

import { closeAll, SCENARIOS } from "./scenarios.js";

declare global {
  interface Window {
    outcome?: readonly { claim: string; error: string | null }[];
  }
}

const url = new URL(location.href).searchParams.get("server") ?? "";
const outcome: { claim: string; error: string | null }[] = [];
for (const protocol of ["msgpack", "json"] as const) {
  for (const [claim, run] of Object.entries(SCENARIOS)) {
    let error: string | null = null;
    try {
      await run({ url, control: location.origin, protocol });
    } catch (thrown) {
      error = thrown instanceof Error ? `${thrown.message}\n${thrown.stack}` : String(thrown);
    }
    closeAll();
    outcome.push({ claim: `${protocol}: ${claim}`, error });
    document.body.append(`${protocol}: ${claim}: ${error ?? "ok"}`, document.createElement("br"));
  }
}
window.outcome = outcome;
