/**
 * PostgreSQL refuses to run as root. Containers and CI machines often are root, so the server is handed to an account that exists everywhere: `postgres` where the
 * system has one, else `nobody`. No account is created: starting a local stack must not change the machine's user list.
 */

/** An account to run a child process as. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/**
 * The account that PostgreSQL has to run as, or `undefined` when this process is not root and can run it itself.
 *
 * @throws {Error} when this process is root and no suitable account exists
 */
export async function stepDownAccount(): Promise<Account | undefined> {
  if (Deno.uid() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    const uid = await numericId("-u", name);
    const gid = await numericId("-g", name);
    if (uid !== undefined && gid !== undefined && uid !== 0) {
      return { name, uid, gid };
    }
  }
  throw new Error(
    "Cannot run PostgreSQL as root: this system has neither a 'postgres' nor a 'nobody' account. Create one ('useradd --system postgres') or start as a normal user",
  );
}

/** Whether the account can enter a folder, which needs the execute permission on every folder above it. */
export async function canEnter(
  account: Account,
  folder: string,
): Promise<boolean> {
  const { success } = await new Deno.Command("/bin/sh", {
    args: ["-c", 'cd "$0"', folder],
    cwd: "/",
    uid: account.uid,
    gid: account.gid,
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

async function numericId(
  flag: "-u" | "-g",
  name: string,
): Promise<number | undefined> {
  const { success, stdout } = await new Deno.Command("id", {
    args: [flag, name],
    stderr: "null",
  }).output();
  const id = Number(new TextDecoder().decode(stdout).trim());
  // macOS gives 'nobody' the id -2; the kernel wants it unsigned.
  return success && Number.isInteger(id) ? id >>> 0 : undefined;
}
