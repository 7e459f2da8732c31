/**
 * The part of Supabase's Management API that `supabase functions deploy --use-api` talks to
 * (Supabase docs, Management API, Deploy a function): it takes the files in and keeps them.
 */

/** What was uploaded for one function. */
export interface Upload {
  readonly slug: string;
  /** Text by path, in the order of the upload. */
  readonly files: ReadonlyMap<string, string>;
  /** As sent: entry point, import map, whether the platform checks tokens. */
  readonly metadata: unknown;
  readonly token: string | null;
}

/** A running fake; see {@linkcode startFakeManagementApi}. */
export interface FakeManagementApi extends AsyncDisposable {
  /** Origin. */
  readonly url: string;
  /** What came in so far. */
  readonly uploads: readonly Upload[];
  /** Requests that this fake knows nothing of, as `METHOD /path`. */
  readonly strange: readonly string[];
}

const PROJECT = /^\/v1\/projects\/[a-z]{20}/;

/** Starts the fake on a free port of this machine. */
export function startFakeManagementApi(): FakeManagementApi {
  const uploads: Upload[] = [];
  const strange: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (
    request,
  ) => {
    const url = new URL(request.url);
    const call = `${request.method} ${url.pathname.replace(PROJECT, "")}`;
    const slug = url.searchParams.get("slug");
    if (call === "POST /functions/deploy" && slug !== null) {
      const upload = await readUpload(request, slug);
      uploads.push(upload);
      return Response.json(functionRow(slug), { status: 201 });
    }
    const body = await request.text();
    // The functions there are, and those that were uploaded one by one, published together.
    if (call === "GET /functions") return Response.json([]);
    if (call === "PUT /functions") {
      const rows: { slug: string }[] = JSON.parse(body);
      return Response.json({ functions: rows.map((row) => functionRow(row.slug)) });
    }
    // Asked for the sake of the closing message.
    if (call === "GET ") return Response.json({ message: "Not here" }, { status: 404 });
    strange.push(call);
    return Response.json({ message: "Not here" }, { status: 404 });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    uploads,
    strange,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function readUpload(request: Request, slug: string): Promise<Upload> {
  const form = await request.formData();
  const files = new Map<string, string>();
  for (const part of form.getAll("file")) {
    if (typeof part !== "string") files.set(part.name, await part.text());
  }
  const metadata = form.get("metadata");
  return {
    slug,
    files,
    metadata: JSON.parse(
      metadata === null ? "null" : typeof metadata === "string" ? metadata : await metadata.text(),
    ),
    token: request.headers.get("authorization"),
  };
}

function functionRow(slug: string) {
  return {
    id: crypto.randomUUID(),
    slug,
    name: slug,
    version: 1,
    status: "ACTIVE",
    verify_jwt: false,
    import_map: true,
    entrypoint_path: `supabase/functions/${slug}/index.ts`,
    created_at: 1,
    updated_at: 1,
  };
}
