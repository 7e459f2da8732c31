-- Side A of the example pair: the tables an app already has. A user maps their
-- own tables in sync.config.ts and may drop these; nothing else refers to them.

create function public.set_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

revoke all on function public.set_updated_at() from public, anon, authenticated;

create table public.partners (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  email text,
  company text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- No unique constraint on email: people share addresses and import lists twice,
-- and the sync has to survive that (it quarantines them) instead of hiding it.
create table public.clients (
  id uuid primary key default gen_random_uuid(),
  email text,
  first_name text,
  last_name text,
  company text,
  phone text,
  city text,
  country text,
  partner_id uuid references public.partners (id) on delete set null,
  marketing_status text not null default 'none'
    constraint clients_marketing_status_known check (
      marketing_status in ('subscribed', 'pending', 'none', 'unsubscribed', 'bounced', 'complained')
    ),
  groups text[] not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index clients_partner_id_idx on public.clients (partner_id);

create trigger partners_set_updated_at before update on public.partners
  for each row execute function public.set_updated_at();
create trigger clients_set_updated_at before update on public.clients
  for each row execute function public.set_updated_at();

alter table public.partners enable row level security;
alter table public.clients enable row level security;

revoke all on public.partners, public.clients from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.partners, public.clients to service_role;
