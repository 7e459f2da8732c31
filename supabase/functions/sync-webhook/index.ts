import { denoRuntime } from "../../../shared/http/runtime.ts";
import { syncWebhook } from "../../../shared/http/sync_webhook.ts";
import config from "../../../sync.config.ts";

export default { fetch: syncWebhook(config, denoRuntime("sync-webhook")) };
