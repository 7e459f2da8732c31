import { phpJson } from "./php_json.ts";
/**
 * Answers and error bodies, each as documented or recorded.
 *
 * @module
 */

/** An answer before rate headers are added; `body` is serialised JSON, null when there is none. */
export interface Answer {
  readonly status: number;
  readonly body: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Messages by the dotted path of the input they are about. */
export type FieldErrors = Record<string, string[]>;

/** An answer with a body. */
export function answer(status: number, body: string): Answer {
  return { status, body };
}

/** 204; the recordings show neither a body nor a content type. */
export const NO_CONTENT: Answer = { status: 204, body: null };

/** `{"message": …}` alone. */
export function message(status: number, text: string, headers?: Record<string, string>): Answer {
  const body = phpJson({ message: text });
  return headers === undefined ? { status, body } : { status, body, headers };
}

/**
 * 422. The message repeats the first error and counts the rest, as live answers
 * do (mailerlite-java, testScheduleCampaign: "(and 1 more error)"), not the
 * docs' fixed sentence.
 */
export function unprocessable(errors: FieldErrors, extra?: Record<string, string>): Answer {
  const all = Object.values(errors).flat();
  const [first = "The given data was invalid."] = all;
  const more = all.length - 1;
  const text = more < 1 ? first : `${first} (and ${more} more ${more === 1 ? "error" : "errors"})`;
  return answer(422, phpJson({ message: text, errors, ...extra }));
}

/** The models named in 404 messages (mailerlite-python cassettes, *-delete; mailerlite-ruby fixtures). */
const MODELS = {
  subscriber: "App\\Models\\Subscriber\\Subscriber",
  group: "App\\Models\\Group\\Group",
  field: "App\\Models\\Field",
  webhook: "App\\Models\\Webhook",
  import: "App\\Models\\Subscriber\\SubscriberImport",
} as const;

/** 404 for a record; only subscribers are answered without the id. */
export function notFound(model: keyof typeof MODELS, id: string): Answer {
  const ending = model === "subscriber" ? "." : ` ${id}`;
  return message(404, `No query results for model [${MODELS[model]}]${ending}`);
}

/** 404 for a path (mailerlite-python cassettes, batches-request). */
export function routeNotFound(path: string): Answer {
  return message(404, `The route api/${path} could not be found.`);
}

/** 401 (MailerLite docs, Getting started; mailerlite-python, groups-import-subscribers). */
export const UNAUTHENTICATED: Answer = message(401, "Unauthenticated.");

/** The path exists under other methods; the body is Laravel's, the API's is not published. */
export function methodNotAllowed(
  method: string,
  path: string,
  allowed: readonly string[],
  html: boolean,
): Answer {
  const headers = { allow: allowed.join(", ") };
  if (html) {
    return {
      status: 405,
      body: "<!doctype html><title>Method Not Allowed</title>",
      headers: { ...headers, "content-type": "text/html; charset=UTF-8" },
    };
  }
  const supported = allowed.join(", ");
  return message(
    405,
    `The ${method} method is not supported for route api/${path}. Supported methods: ${supported}.`,
    headers,
  );
}
