import { npmPackageFolder } from "../../scripts/stack/npm_package.ts";

/** The Deno that the hosted runtime is compatible with (supabase/edge-runtime 1.74.0, deno/Cargo.toml). */
export const HOSTED_DENO_VERSION = "2.1.4";

/** What a run of the older Deno printed. */
export interface HostedOutput {
  readonly success: boolean;
  /** Standard output and standard error. */
  readonly text: string;
}

/** Path of the older Deno's executable, fetched the first time. */
export async function hostedDeno(): Promise<string> {
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  const platform = Deno.build.os === "darwin" ? `darwin-${arch}` : `linux-${arch}-glibc`;
  return `${await npmPackageFolder(`@deno/${platform}`, HOSTED_DENO_VERSION)}/deno`;
}

/**
 * Runs the older Deno to its end, with nothing of this process's environment but the place of its
 * cache.
 */
export async function runHostedDeno(args: readonly string[], cwd: string): Promise<HostedOutput> {
  const kept = ["HOME", "PATH", "DENO_DIR", "XDG_CACHE_HOME", "NPM_CONFIG_REGISTRY"];
  const { success, stdout, stderr } = await new Deno.Command(await hostedDeno(), {
    args: [...args],
    cwd,
    clearEnv: true,
    env: {
      ...Object.fromEntries(kept.flatMap((name) => {
        const value = Deno.env.get(name);
        return value === undefined ? [] : [[name, value]];
      })),
      NO_COLOR: "1",
      DENO_NO_UPDATE_CHECK: "1",
      // By default it trusts its own list of authorities only.
      DENO_TLS_CA_STORE: "system",
    },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { success, text: decoder.decode(stdout) + decoder.decode(stderr) };
}
