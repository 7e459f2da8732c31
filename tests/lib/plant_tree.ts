/** Writes files into a temporary folder that is deleted when disposed of. */
export async function plantTree(
  files: Record<string, string>,
): Promise<{ root: string } & AsyncDisposable> {
  const root = await Deno.makeTempDir();
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${root}/${path}`, text);
  }
  return { root, [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }) };
}
