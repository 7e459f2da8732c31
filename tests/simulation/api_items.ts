/** One call of the API. */
export interface ApiItem {
  readonly method: string;
  readonly path: string;
  readonly body?: { readonly email?: string };
}

/** The calls that a request makes: one, or those of a batch. */
export function itemsOf(method: string, path: string, text: string): ApiItem[] {
  if (path !== "batch") {
    return [{ method, path, ...(text === "" ? {} : { body: JSON.parse(text) }) }];
  }
  const { requests }: { requests: ApiItem[] } = JSON.parse(text);
  return requests.map((item) => ({ ...item, path: item.path.replace(/^\/?api\//, "") }));
}
