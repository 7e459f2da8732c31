import { mailerlite } from "./shared/connectors/mailerlite/mod.ts";
import { consent, defineSync, pair, set } from "./shared/engine/config.ts";

export default defineSync({
  clients: pair({
    local: { table: "clients", id: "id", naturalKey: "email" },
    remote: mailerlite.subscribers({ managedGroups: ["Clients", "VIP"] }),
    fields: {
      email: { local: "email", remote: "email", wins: "manual" },
      firstName: { local: "first_name", remote: "fields.name", wins: "local" },
      lastName: { local: "last_name", remote: "fields.last_name", wins: "local" },
      company: { local: "company", remote: "fields.company", wins: "local" },
      phone: { local: "phone", remote: "fields.phone", wins: "remote" },
      city: { local: "city", remote: "fields.city", wins: "remote", mayBlank: true },
      country: { local: "country", remote: "fields.country", wins: "remote" },
      partnerName: { local: "partner.name", remote: "fields.partner_name", wins: "local" },
      partnerEmail: { local: "partner.email", remote: "fields.partner_email", wins: "local" },
      partnerCompany: { local: "partner.company", remote: "fields.partner_company", wins: "local" },
      consent: consent({ local: "marketing_status", remote: "status" }),
      groups: set({ local: "groups", remote: "groups" }),
    },
    onNewRemote: "create",
    onNewLocal: "create",
    onLocalDelete: "unlink",
    onRemoteMissing: "mark",
    limits: {
      deletes: { percent: 5, floor: 20 },
      unsubscribes: { percent: 10, floor: 50 },
      blanks: { percent: 2, floor: 20 },
    },
  }),
});
