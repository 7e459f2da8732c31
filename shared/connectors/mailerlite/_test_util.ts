import type { ConnectorContext } from "../connector.ts";
import type { RateLimiter, RateObservation } from "../../limits/rate_limiter.ts";

/** One permit that was taken, and what it was settled with. */
export interface TakenPermit {
  readonly bucket: string;
  settled: (RateObservation | null)[];
}

/** A limiter that lets everything pass and keeps a record of it. */
export class RecordingLimiter implements RateLimiter {
  readonly taken: TakenPermit[] = [];

  take(bucket: string) {
    const permit: TakenPermit = { bucket, settled: [] };
    this.taken.push(permit);
    return Promise.resolve({
      settle: (observation: RateObservation | null) => {
        permit.settled.push(observation);
      },
    });
  }

  /** Permits taken from a budget. */
  count(bucket: string): number {
    return this.taken.filter((permit) => permit.bucket === bucket).length;
  }
}

/** One request as the scripted fetch saw it. */
export interface SentRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body: unknown;
  readonly redirect: RequestRedirect;
}

/** What a scripted fetch answers: a response, or an error to fail with. */
export type Script = (
  request: SentRequest,
  number: number,
  signal: AbortSignal,
) => Response | Error | Promise<Response>;

/** A connector context whose clock stands still but for the waits, which take no time. */
export interface TestContext extends ConnectorContext {
  readonly sent: SentRequest[];
  readonly slept: number[];
  readonly limiter: RecordingLimiter;
  /** Makes the caller stop. */
  readonly stop: AbortController;
  /** The timeouts asked for, in ms. */
  readonly timeouts: number[];
}

/** Makes a context around a scripted fetch. */
export function testContext(
  script: Script,
  overrides: Partial<ConnectorContext> = {},
): TestContext {
  const sent: SentRequest[] = [];
  const slept: number[] = [];
  const timeouts: number[] = [];
  const stop = new AbortController();
  const env = new Map([
    ["MAILERLITE_API_KEY", "test-token"],
    ["MAILERLITE_API_URL", "https://mailerlite.test/api"],
  ]);
  let now = Date.UTC(2026, 10, 20);
  const scripted: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const text = await request.text();
    const seen: SentRequest = {
      method: request.method,
      url: new URL(request.url),
      headers: request.headers,
      body: text === "" ? null : JSON.parse(text),
      redirect: request.redirect,
    };
    sent.push(seen);
    const answer = await script(seen, sent.length, request.signal);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return {
    fetch: scripted,
    env: (name) => env.get(name),
    now: () => now,
    sleep: (ms) => {
      slept.push(ms);
      now += ms;
      return Promise.resolve();
    },
    random: () => 0.5,
    signal: stop.signal,
    timeout: (ms) => {
      timeouts.push(ms);
      return new AbortController().signal;
    },
    sent,
    slept,
    timeouts,
    stop,
    ...overrides,
    limiter: new RecordingLimiter(),
  };
}

/** A JSON answer. */
export function json(
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): Response {
  return new Response(status === 204 ? null : JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}

/** A subscriber as the API writes it (MailerLite docs, Subscribers). */
export function subscriber(
  id: string,
  over: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    id,
    email: `person-${id}@example.test`,
    status: "active",
    source: "api",
    sent: 0,
    opens_count: 0,
    clicks_count: 0,
    open_rate: 0,
    click_rate: 0,
    ip_address: null,
    subscribed_at: "2026-01-01 00:00:00",
    unsubscribed_at: null,
    created_at: "2026-01-01 00:00:00",
    updated_at: "2026-01-01 00:00:00",
    fields: { name: "A", last_name: null, city: null },
    groups: [],
    opted_in_at: null,
    optin_ip: null,
    ...over,
  };
}
