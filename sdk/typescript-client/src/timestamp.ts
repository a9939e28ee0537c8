/** Points in time with microseconds. */

const THOUSAND = 1000n;

/**
 * A `Date` that keeps the microseconds which a `Date` has no room for.
 *
 * What is read and written back is the same to the microsecond. As a `Date` it is rounded down to the
 * millisecond. Moments beyond a `Date`'s range (the year 275,760) are invalid dates with exact `micros`.
 */
export class Timestamp extends Date {
  /** Microseconds beyond the millisecond, 0 to 999. */
  readonly submillis: number;
  readonly #beyond: bigint;

  /** @param micros Since 1970 UTC. */
  constructor(micros: bigint) {
    const rest = ((micros % THOUSAND) + THOUSAND) % THOUSAND;
    super(Number((micros - rest) / THOUSAND));
    this.submillis = Number(rest);
    this.#beyond = micros;
  }

  /**
   * Of a date, or of text as RFC 3339 has it, with up to six digits behind the second's point.
   *
   * @throws RangeError There is no such moment.
   */
  static of(moment: Date | string): Timestamp {
    if (moment instanceof Date) {
      return new Timestamp(microsOf(moment));
    }
    const digits = /\.(\d{4,6})\d*(?:Z|[+-]\d\d:\d\d)$/i.exec(moment)?.[1] ?? "";
    const millis = Date.parse(digits ? moment.replace(/(\.\d{3})\d+/, "$1") : moment);
    if (Number.isNaN(millis)) {
      throw new RangeError(`${JSON.stringify(moment.slice(0, 60))} is no moment`);
    }
    return new Timestamp(BigInt(millis) * THOUSAND + BigInt(digits.slice(3).padEnd(3, "0")));
  }

  /** Microseconds since 1970 UTC, exactly. */
  get micros(): bigint {
    const millis = this.getTime();
    return Number.isNaN(millis) ? this.#beyond : BigInt(millis) * THOUSAND + BigInt(this.submillis);
  }

  /** As `Date`'s, with six digits behind the point. */
  override toISOString(): string {
    return super.toISOString().replace("Z", `${String(this.submillis).padStart(3, "0")}Z`);
  }
}

/**
 * Microseconds since 1970 UTC.
 *
 * @throws RangeError The date is invalid.
 */
export function microsOf(moment: Date): bigint {
  return moment instanceof Timestamp ? moment.micros : BigInt(moment.getTime()) * THOUSAND;
}
