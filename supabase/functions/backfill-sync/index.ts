import { backfillSync } from "../../../shared/http/backfill_sync.ts";
import { denoRuntime } from "../../../shared/http/runtime.ts";
import config from "../../../sync.config.ts";

export default { fetch: backfillSync(config, denoRuntime("backfill-sync")) };
