import { enterpriseSync } from "../../../shared/http/enterprise_sync.ts";
import { denoRuntime } from "../../../shared/http/runtime.ts";
import config from "../../../sync.config.ts";

export default { fetch: enterpriseSync(config, denoRuntime("enterprise-sync")) };
