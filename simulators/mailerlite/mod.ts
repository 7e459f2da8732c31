/**
 * A stand-in for the MailerLite API (connect.mailerlite.com/api), in memory.
 *
 * @module
 */
export { MailerLiteSimulator } from "./simulator.ts";
export {
  checkSwitches,
  defaultSwitches,
  SWITCHES,
  type Switches,
  type SwitchName,
} from "./switches.ts";
export type { FaultEffect, FaultReport, FaultRule } from "./faults.ts";
export type { RequestReport } from "./recorder.ts";
export type { DeliveryAttempt } from "./webhook_sender.ts";
export type { WebhookKnobs } from "./webhook_table.ts";
export type {
  ControlChange,
  Counts,
  FieldType,
  FieldValue,
  HistoryEntry,
  Limits,
  Seed,
  SeedField,
  SeedGroup,
  SeedResult,
  SeedSubscriber,
  SimulatorOptions,
  Status,
} from "./types.ts";
export { ControlClient } from "./control_client.ts";
export { type ServedMailerLite, serveMailerLite, type ServeOptions } from "./serve.ts";
