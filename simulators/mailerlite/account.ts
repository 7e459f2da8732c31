/** The account the simulator plays; the numbers are made up, their form is recorded. */
export const ACCOUNT = {
  id: 83_510,
  userId: 106_223,
  /** The version label of webhook payloads seen in 2026. */
  apiVersion: "2025-05",
  /** The version label on webhook objects (mailerlite-python cassettes, webhooks-create). */
  webhookVersion: "2022-01",
} as const;
