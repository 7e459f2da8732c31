/**
 * `webhooks`: what the remote is asked to tell by itself. Speaks to the remote,
 * not to the project.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { ConnectorContext } from "../../shared/connectors/connector.ts";
import { MissingConfigurationError } from "../../shared/connectors/missing_configuration_error.ts";
import { RemoteError } from "../../shared/connectors/remote_error.ts";
import { MailerLiteClient } from "../../shared/connectors/mailerlite/client.ts";
import { subscriberWebhook } from "../../shared/connectors/mailerlite/webhook.ts";
import {
  listWebhooks,
  registerWebhook,
  type Registration,
  removeWebhook,
  type Webhook,
} from "../../shared/connectors/mailerlite/webhook_account.ts";
import type { RateLimiter } from "../../shared/limits/rate_limiter.ts";
import { type Command, type CommandContext, UsageError } from "./command.ts";
import { EXIT_CODE, type ExitCode } from "./exit_code.ts";
import { RefusedError } from "./sync_client.ts";

/** What the command gets from its process. */
export type WebhooksProcess = Pick<ConnectorContext, "env" | "fetch" | "now" | "random">;

const VARIABLE = "MAILERLITE_WEBHOOK_SECRET";

const USAGE = `Register, list and remove the webhooks that tell sync-webhook what changed.

Usage: deno task sync webhooks add <url> [--json]
       deno task sync webhooks list [--json]
       deno task sync webhooks remove <id> [--json]

MAILERLITE_API_KEY (and MAILERLITE_API_URL, where it is not the usual one) must be set.
'add' prints the webhook's secret, which the function needs as ${VARIABLE}. An
address that is registered already is brought up to date; it keeps its secret.

Examples:
  deno task sync webhooks add https://<ref>.supabase.co/functions/v1/sync-webhook
  deno task sync webhooks list
`;

type Task =
  | { readonly name: "add"; readonly url: string }
  | { readonly name: "list" }
  | { readonly name: "remove"; readonly id: string };

function readArguments(args: readonly string[]): { task: Task; json: boolean } {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: true,
      options: { json: { type: "boolean", default: false } },
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(`Cannot read the command line: ${error.message}`);
  }
  const { positionals, values: { json } } = parsed;
  return { task: readTask(positionals), json };
}

function readTask([name, value, ...rest]: readonly string[]): Task {
  if (rest.length === 0) {
    if (name === "list" && value === undefined) return { name };
    if (name === "add" && value !== undefined) return { name, url: readUrl(value) };
    if (name === "remove" && value !== undefined) {
      if (/^\d+$/.test(value)) return { name, id: value };
      throw new UsageError("Cannot use the id: it is not a number such as 'webhooks list' shows");
    }
  }
  throw new UsageError("Cannot tell what to do: say 'add <url>', 'list' or 'remove <id>'");
}

function readUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const local = url !== null && ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  if (url?.protocol === "https:" || (local && url.protocol === "http:")) return url.href;
  throw new UsageError("Cannot use the address: it is not one that begins with https://");
}

/** A limiter for one person's few requests: it waits only when the remote says so. */
function obedientLimiter({ now }: WebhooksProcess, { sleep }: CommandContext): RateLimiter {
  let freeAt = 0;
  return {
    async take() {
      const wait = freeAt - now();
      if (wait > 0) await sleep(wait);
      return { settle: (seen) => void (freeAt = now() + (seen?.retryAfterMs ?? 0)) };
    },
  };
}

function openClient(process: WebhooksProcess, context: CommandContext): MailerLiteClient {
  return new MailerLiteClient({
    ...process,
    sleep: context.sleep,
    limiter: obedientLimiter(process, context),
    signal: new AbortController().signal,
  });
}

async function add(
  client: MailerLiteClient,
  { print, tell }: CommandContext,
  url: string,
  json: boolean,
): Promise<void> {
  const done = await registerWebhook(client, url, subscriberWebhook.events);
  const { webhook, outcome, doubles } = done;
  print(json ? JSON.stringify({ outcome, ...webhook }) : added(done));
  for (const id of doubles) {
    tell(`The same address has another webhook: deno task sync webhooks remove ${id}`);
  }
  if (webhook.blocked) tell(`Webhook ${webhook.id} is blocked: MailerLite sends it nothing`);
}

function added({ webhook: { id, url, secret }, outcome }: Registration): string {
  const what = outcome === "created" ? "Registered" : "Brought up to date";
  return `${what} webhook ${id} for ${url}

${VARIABLE}=${secret}

Set it where the function runs:
  npx supabase secrets set ${VARIABLE}=${secret}
or, for the local stack:
  ${VARIABLE}=${secret} deno task start
If it is set already, write the new secret beside the old one, with a comma between them.`;
}

function withoutSecret({ secret: _, ...rest }: Webhook): Omit<Webhook, "secret"> {
  return rest;
}

function describe(webhook: Webhook): string {
  const { id, url, events, enabled, blocked, lastFiredAt, lastResponse } = webhook;
  const response = lastFiredAt === null
    ? "never called"
    : `${lastResponse ?? "no answer"} at ${lastFiredAt} UTC`;
  return [
    `${id}  ${url}`,
    `  enabled        ${blocked ? "blocked by MailerLite" : enabled ? "yes" : "no"}`,
    `  last response  ${response}`,
    `  events         ${events.join(", ")}`,
  ].join("\n");
}

async function list(
  client: MailerLiteClient,
  { print }: CommandContext,
  json: boolean,
): Promise<void> {
  const webhooks = await listWebhooks(client);
  if (json) print(JSON.stringify(webhooks.map(withoutSecret)));
  else print(webhooks.length === 0 ? "No webhooks" : webhooks.map(describe).join("\n\n"));
}

async function remove(
  client: MailerLiteClient,
  { print }: CommandContext,
  id: string,
  json: boolean,
): Promise<void> {
  await removeWebhook(client, id);
  print(json ? JSON.stringify({ outcome: "removed", id }) : `Removed webhook ${id}`);
}

/** A failure of the remote as the CLI tells it. */
function refusal(error: unknown): unknown {
  if (error instanceof MissingConfigurationError) {
    return new RefusedError(error.message, error.code, `Set ${error.variable} and try again`);
  }
  if (!(error instanceof RemoteError)) return error;
  const hint = error.kind === "auth"
    ? "Check MAILERLITE_API_KEY: the key dies with the user it belongs to"
    : error.kind === "rejected"
    ? null
    : "Try again: an address that was registered meanwhile is not registered twice";
  return new RefusedError(error.message, error.code, hint);
}

/** Makes `webhooks`. */
export function webhooksCommand(process: WebhooksProcess): Command {
  return {
    name: "webhooks",
    summary: "register, list and remove the remote's webhooks",
    usage: USAGE,
    read(args) {
      const { task, json } = readArguments(args);
      return async (context): Promise<ExitCode> => {
        try {
          const client = openClient(process, context);
          switch (task.name) {
            case "add":
              await add(client, context, task.url, json);
              break;
            case "list":
              await list(client, context, json);
              break;
            case "remove":
              await remove(client, context, task.id, json);
              break;
          }
          return EXIT_CODE.ok;
        } catch (error) {
          throw refusal(error);
        }
      };
    },
  };
}
