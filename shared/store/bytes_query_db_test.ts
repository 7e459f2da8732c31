import { assert, assertEquals, assertRejects } from "@std/assert";
import { testDatabase } from "../../tests/lib/database.ts";
import { openDatabase } from "./database.ts";

const SIZES = [0, 1, 65_535, 65_536, 1_000_003];

/** Bytes of every value, at places that no smaller number repeats. */
function bytesOf(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (index * 31) ^ (index >> 8));
}

Deno.test("bytes of any size arrive as they are, whatever stands around them", async () => {
  await using database = await testDatabase(import.meta.url);
  await using pool = openDatabase({ url: database.url, name: "bytes-test", max: 1 });
  for (const first of SIZES) {
    for (const second of SIZES) {
      const [one, two] = [bytesOf(first), bytesOf(second)];
      const rows = await pool.query<{ one: Uint8Array; two: Uint8Array }>(
        `select $2::bytea as one, $5::bytea as two, $1::text as text, $3::integer as number,
           $4::text[] as list, $6::text as nothing`,
        ["Zoë 😀", one, -7, ['a"b', "c\\d", "{,}", "", "null", "Zoë"], two, null],
      );
      const [row] = rows;
      assert(row !== undefined);
      assertEquals({ ...row, one: null, two: null }, {
        one: null,
        two: null,
        text: "Zoë 😀",
        number: -7,
        list: ['a"b', "c\\d", "{,}", "", "null", "Zoë"],
        nothing: null,
      });
      // Compared here: a failed comparison of a million numbers takes minutes to print.
      assert(one.length === row.one.length && one.every((byte, index) => byte === row.one[index]));
      assert(two.length === row.two.length && two.every((byte, index) => byte === row.two[index]));
    }
  }
});

Deno.test("statements with bytes wait their turn on one connection", async () => {
  await using database = await testDatabase(import.meta.url);
  await using pool = openDatabase({ url: database.url, name: "bytes-test", max: 1 });
  const sizes = [300_000, 5, 900_000, 65_536, 0];
  const rows = await Promise.all(sizes.flatMap((size) => [
    pool.query<{ n: number }>(`select length($1::bytea) as n`, [bytesOf(size)]),
    pool.query<{ n: number }>(`select $1::integer as n`, [size]),
  ]));
  assertEquals(rows.flat().map(({ n }) => n), sizes.flatMap((size) => [size, size]));
});

Deno.test("a statement with bytes fails as any other does, and the next one works", async () => {
  await using database = await testDatabase(import.meta.url);
  await using pool = openDatabase({ url: database.url, name: "bytes-test", max: 1 });
  const bytes = bytesOf(1_000_000);
  for (
    const [sql, code] of [
      ["selec $1::bytea", "42601"],
      ["select convert_from($1::bytea, 'UTF8')", "22021"],
      ["select $1::bytea, $2::integer", "08P01"],
    ] as const
  ) {
    const error = await assertRejects(() => pool.query(sql, [bytes]));
    assertEquals(Reflect.get(error, "code"), code);
  }
  await assertRejects(() => pool.query(`select $1::bytea, $2`, [bytes, {}]), TypeError);
  assertEquals(await pool.query(`select length($1::bytea) as n`, [bytes]), [{ n: 1_000_000 }]);
});

Deno.test("a pool survives the server closing a connection that bytes are sent over", async () => {
  await using database = await testDatabase(import.meta.url);
  await using pool = openDatabase({ url: database.url, name: "bytes-test", max: 1 });
  await assertRejects(() =>
    pool.query(`select pg_terminate_backend(pg_backend_pid()), $1::bytea`, [bytesOf(1_000_000)])
  );
  assertEquals(await pool.query(`select length($1::bytea) as n`, [bytesOf(9)]), [{ n: 9 }]);
});
