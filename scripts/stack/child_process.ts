/**
 * A child process that cannot outlive this one.
 *
 * `SIGKILL`, a crash or a closed terminal leave a parent no chance to tidy up, and a PostgreSQL left behind holds its port and its data folder. So every child is
 * started by a small shell that first puts a watcher aside and then becomes the child (`exec`, so the process id is the child's own). The watcher waits on a pipe
 * whose other end only this process holds: the pipe breaks when this process is gone for whatever reason, and the watcher ends the child.
 */

/** How to start a child. */
export interface ChildOptions {
  /** Program to run. */
  command: string;
  args: string[];
  /** The whole environment of the child; nothing is inherited. */
  env: Record<string, string>;
  cwd?: string;
  /** User to run as; only root may set it. */
  uid?: number;
  gid?: number;
  /** File that receives standard output and standard error; default: nothing is kept. */
  logFile?: string;
  /** What the watcher sends when this process is gone. Default SIGKILL. */
  orphanSignal?: "KILL" | "INT" | "TERM";
}

/** A running child; see {@linkcode startChild}. */
export interface Child {
  /** Process id of the program itself. */
  pid: number;
  /** Settles when the program has ended. */
  exited: Promise<Deno.CommandStatus>;
  /** Sends a signal; a child that has already ended is left alone. */
  kill(signal: Deno.Signal): void;
}

/*
 * $0 orphan signal, $1 log file, $2… the program. A background command of a shell reads /dev/null, hence the copy of the pipe on descriptor 3. The double
 * parentheses hand the watcher over to init, so that the program does not get a child it never started. A line on the pipe is the farewell of a child that ended
 * by itself: its process id may belong to someone else by now and must not be signalled. The watcher ignores the signals that a terminal or a time limit sends to
 * the whole process group: it has to be there when everyone else has gone.
 */
const guard = `exec 3<&0
( ( trap '' INT TERM HUP; read -r farewell <&3 || kill -s "$0" $$ ) >/dev/null 2>&1 & )
log=$1; shift
exec "$@" </dev/null >>"$log" 2>&1 3<&-`;

/** Starts a program that ends with this process at the latest. */
export function startChild(options: ChildOptions): Child {
  if (Deno.build.os === "windows") {
    throw new Error(
      "Cannot start the local stack on Windows: run it inside WSL",
    );
  }
  const child = new Deno.Command("/bin/sh", {
    args: [
      "-c",
      guard,
      options.orphanSignal ?? "KILL",
      options.logFile ?? "/dev/null",
      options.command,
      ...options.args,
    ],
    clearEnv: true,
    env: options.env,
    stdin: "piped",
    stdout: "null",
    stderr: "null",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  }).spawn();

  const lifeline = child.stdin.getWriter();
  let ended = false;
  const exited = child.status.then(async (status) => {
    ended = true;
    // The watcher may have gone with a signal to the whole process group; then the pipe is broken already.
    await lifeline.write(new TextEncoder().encode("\n")).catch(() => {});
    await lifeline.close().catch(() => {});
    return status;
  });
  return {
    pid: child.pid,
    exited,
    kill(signal) {
      if (ended) return;
      try {
        child.kill(signal);
      } catch (error) {
        // Ended between the check and the call.
        if (!(error instanceof TypeError)) throw error;
      }
    },
  };
}

/**
 * Starts a program that ends with another process, not with this one's handle on it: several test files share one server, and the file that started it may be the
 * first to finish.
 *
 * @returns the process id of the program
 */
export async function startDetached(options: Omit<ChildOptions, "orphanSignal">): Promise<number> {
  const { stdout } = await new Deno.Command("/bin/sh", {
    args: [
      "-c",
      `log=$0; "$@" </dev/null >>"$log" 2>&1 & echo $!`,
      options.logFile ?? "/dev/null",
      options.command,
      ...options.args,
    ],
    clearEnv: true,
    env: options.env,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  }).output();
  return Number(new TextDecoder().decode(stdout));
}

/*
 * $0 owner, $1 file whose first line is the process to end, $2 folder to delete. A zombie has an empty command line and counts as gone: in a container nobody may
 * collect it.
 */
const caretaker = `
alive() {
  if [ -d /proc/self ]; then [ -n "$(tr -d '\\0' <"/proc/$1/cmdline" 2>/dev/null)" ]
  else ps -p "$1" >/dev/null; fi
}
{
  trap '' INT TERM HUP
  while alive "$0"; do sleep 0.3; done
  read -r pid <"$1" && kill -s QUIT "$pid" && while alive "$pid"; do sleep 0.1; done
  rm -rf "$2"
} </dev/null >/dev/null 2>&1 &`;

/** Once the process `owner` is gone: ends the process named in `pidFile` and deletes `folder`. */
export async function cleanUpAfter(owner: number, pidFile: string, folder: string): Promise<void> {
  await new Deno.Command("/bin/sh", {
    args: ["-c", caretaker, String(owner), pidFile, folder],
    cwd: "/",
  }).output();
}

/**
 * Whether a process with this id is running (it may belong to another user). A zombie is not: in a container nobody may collect it.
 *
 * Not told by the command line, which is empty for a moment while a process becomes another program.
 */
export async function isAlive(pid: number): Promise<boolean> {
  if (Deno.build.os !== "linux") return (await commandLine(pid)) !== "";
  try {
    // "pid (name) state …", and the name may hold anything.
    const text = await Deno.readTextFile(`/proc/${pid}/stat`);
    return !/^[ZX]/.test(text.slice(text.lastIndexOf(")") + 2));
  } catch (error) {
    // One that ends while its file is read fails the reading in a way of its own.
    const folder = await Deno.stat(`/proc/${pid}`).catch(() => undefined);
    if (folder === undefined) return false;
    throw error;
  }
}

/** The command line of a process, or an empty string when there is no such process or only its zombie. */
export async function commandLine(pid: number): Promise<string> {
  if (Deno.build.os === "linux") {
    const raw = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
    return raw.replaceAll("\0", " ").trim();
  }
  const { stdout } = await new Deno.Command("ps", {
    args: ["-o", "command=", "-p", String(pid)],
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout).trim();
}
