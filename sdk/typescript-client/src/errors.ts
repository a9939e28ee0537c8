/**
 * What goes wrong: one class, told apart by `code`.
 *
 * The server's codes are those of docs/errors.md. The client adds `connection_failed`,
 * `connection_lost`, `offline` and `protocol`, and uses `closed`, `limit` and `wrong_type` as the server does.
 */

/** What the server says of an error: RFC 9457 problem details, and facts besides. */
export interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly status?: number;
  readonly hint?: string;
  readonly retryable?: boolean;
  readonly [fact: string]: unknown;
}

/** Every error that a client rejects or throws with. */
export class ReifyDBError extends Error {
  override readonly name = "ReifyDBError";
  /** Stable; for programs. */
  readonly code: string;
  /** What would be right; may be empty. */
  readonly hint: string;
  /** HTTP's status; 0 for errors of the client's own. */
  readonly status: number;
  /** Nothing has happened, and the same request may be served later. */
  readonly retryable: boolean;
  /** All that the problem says: `abort_code`, `abort_message`, `limit`, `value`, `index`, … */
  readonly facts: Problem;

  constructor(problem: Problem) {
    const hint = problem.hint ?? "";
    super(hint ? `${problem.detail} (${hint})` : problem.detail);
    this.code = problem.code;
    this.hint = hint;
    this.status = problem.status ?? 0;
    this.retryable = problem.retryable === true;
    this.facts = problem;
  }
}

/** An error of the client's own. */
export function refuse(code: string, detail: string, facts: Record<string, unknown> = {}): ReifyDBError {
  return new ReifyDBError({ ...facts, code, detail });
}

/** The error for what stands where a problem must stand. */
export function errorOf(problem: unknown): ReifyDBError {
  if (typeof problem !== "object" || problem === null) {
    return refuse("protocol", "the server sent an error that is none");
  }
  const { code, detail, ...facts } = problem as Record<string, unknown>;
  for (const [name, fact] of Object.entries(facts)) {
    if (typeof fact === "bigint" && Number.isSafeInteger(Number(fact))) {
      facts[name] = Number(fact);
    }
  }
  return new ReifyDBError({ ...facts, code: String(code ?? "error"), detail: String(detail ?? "") });
}
