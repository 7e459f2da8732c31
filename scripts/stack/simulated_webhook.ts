/** The webhook of a stack at its simulator. */
import { MailerLiteClient } from "../../shared/connectors/mailerlite/client.ts";
import { subscriberWebhook } from "../../shared/connectors/mailerlite/webhook.ts";
import { registerWebhook } from "../../shared/connectors/mailerlite/webhook_account.ts";
import { ControlClient } from "../../simulators/mailerlite/control_client.ts";
import type { SimulatorProcess } from "./simulator.ts";

/** How long the simulator collects events, in ms: MailerLite takes a minute, and somebody is watching. */
const BATCH_DELAY_MS = 250;

/**
 * Has the simulator tell an address of every change.
 *
 * @returns the secret its requests are signed with
 */
export async function registerSimulatedWebhook(
  simulator: SimulatorProcess,
  address: string,
): Promise<string> {
  const env: Record<string, string> = {
    MAILERLITE_API_KEY: simulator.token,
    MAILERLITE_API_URL: simulator.apiUrl,
  };
  const client = new MailerLiteClient({
    env: (name) => env[name],
    fetch: (input, init) => fetch(input, init),
    now: () => Date.now(),
    random: () => Math.random(),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    limiter: { take: () => Promise.resolve({ settle() {} }) },
    signal: new AbortController().signal,
  });
  const { webhook } = await registerWebhook(client, address, subscriberWebhook.events);
  await new ControlClient(simulator.url).setWebhookKnobs({ batchDelayMs: BATCH_DELAY_MS });
  return webhook.secret;
}
