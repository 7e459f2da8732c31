import { smartSync } from "../../../shared/http/smart_sync.ts";
import { denoRuntime } from "../../../shared/http/runtime.ts";
import config from "../../../sync.config.ts";

export default { fetch: smartSync(config, denoRuntime("smart-sync")) };
