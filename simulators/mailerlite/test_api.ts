import { type JsonObject, parseBody } from "./json.ts";
import { MailerLiteSimulator } from "./simulator.ts";
import type { SimulatorOptions } from "./types.ts";

/** An answer, read. */
export interface Read {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: JsonObject;
}

/** 2024-08-13 09:49:51 UTC, when the tapes of mailerlite-nodejs were recorded. */
export const START_MS = Date.UTC(2024, 7, 13, 9, 49, 51);

/** A simulator with a clock that only the test moves, and the shortest way to call it. */
export class TestApi {
  readonly simulator: MailerLiteSimulator;
  /** Latency the simulator was told to wait, ms. */
  readonly slept: number[] = [];
  /** Gets the body and signature of every webhook; what it returns is the receiver's status. */
  receive: (body: string, signature: string) => number | void = () => 200;

  constructor(options: SimulatorOptions = {}) {
    const sleep = (ms: number) => Promise.resolve(void this.slept.push(ms));
    this.simulator = new MailerLiteSimulator({
      now: () => START_MS,
      baseUrl: "https://connect.mailerlite.com",
      sleep,
      deliver: async (input, init) => {
        const request = new Request(input, init);
        const status = this.receive(await request.text(), request.headers.get("signature") ?? "");
        return new Response(null, { status: status ?? 200 });
      },
      ...options,
    });
  }

  request(method: string, path: string, body?: unknown, token = "simulator-token"): Request {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const init = body === undefined
      ? { method, headers }
      : { method, headers, body: JSON.stringify(body) };
    return new Request(`https://connect.mailerlite.com/api/${path}`, init);
  }

  async call(method: string, path: string, body?: unknown, token?: string): Promise<Read> {
    const response = await this.simulator.handle(this.request(method, path, body, token));
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: parseBody(text) };
  }

  /** Calls and returns `data` of the answer. */
  async data(method: string, path: string, body?: unknown): Promise<JsonObject> {
    const { body: answer } = await this.call(method, path, body);
    return answer["data"] as JsonObject;
  }

  /** Creates a group and returns its id. */
  async group(name: string): Promise<string> {
    return String((await this.data("POST", "groups", { name }))["id"]);
  }

  /** Creates a subscriber and returns its id. */
  async subscriber(email: string, rest: JsonObject = {}): Promise<string> {
    return String((await this.data("POST", "subscribers", { email, ...rest }))["id"]);
  }

  /** The addresses of a list. */
  async emails(path: string): Promise<string[]> {
    const rows = (await this.call("GET", path)).body["data"] as JsonObject[];
    return rows.map((row) => String(row["email"]));
  }
}
