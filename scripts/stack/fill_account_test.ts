import { assertEquals } from "@std/assert";
import config from "../../sync.config.ts";
import { wantedAccount } from "./fill_account.ts";

Deno.test("wantedAccount() names the managed groups, and the fields that an account has not by itself", () => {
  assertEquals(wantedAccount(config), {
    groups: ["Clients", "VIP"],
    fields: ["partner_name", "partner_email", "partner_company"],
  });
});
