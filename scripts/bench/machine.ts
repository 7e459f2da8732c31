/** The machine a measurement was taken on, in one line. */
export async function describeMachine(postgresVersion: string): Promise<string> {
  const info = await Deno.readTextFile("/proc/cpuinfo").catch(() => "");
  const model = /^model name\s*:\s*(.+)$/m.exec(info)?.[1] ?? Deno.build.arch;
  return [
    `${navigator.hardwareConcurrency} cores, ${model}`,
    `${Deno.build.os}`,
    `Deno ${Deno.version.deno} (V8 ${Deno.version.v8})`,
    `PostgreSQL ${postgresVersion}, not durable`,
  ].join("; ");
}
