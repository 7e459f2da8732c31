import type { TestApi } from "./test_api.ts";
import type { Switches, SwitchName } from "./switches.ts";

/** Shows what the simulator does under one setting. */
export type SwitchCase = (api: TestApi) => Promise<void>;

/** A case for every setting of every switch; the compiler asks for those that are missing. */
export type SwitchCases = { [K in SwitchName]: { [S in Switches[K]]: SwitchCase } };
