/** An error of the gateway itself, in the form the functions use, so that a client needs one way to read errors. */
export function problem(
  status: number,
  code: string,
  message: string,
  extra: { hint?: string; header?: string } = {},
): Response {
  return Response.json(
    { code, message, hint: extra.hint ?? null, details: null },
    {
      status,
      headers: {
        "access-control-allow-origin": "*",
        // The name of the hosted platform's error header.
        ...(extra.header === undefined ? {} : { "sb-error-code": extra.header }),
        ...(status === 503 ? { "retry-after": "1" } : {}),
      },
    },
  );
}
