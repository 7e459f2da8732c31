import type { Connector } from "./connector.ts";

/** A connector with the choices a pair made for it. */
export interface RemoteEndpoint {
  readonly connector: Connector;
  /** Names the pair may add and remove, by the path of the set. Every other name is left alone. */
  readonly managed: Readonly<Record<string, readonly string[]>>;
  /** Whether a managed name that the remote does not know yet may be made there. */
  readonly createMissing: boolean;
}
