/** Any value JSON can carry. */
export type Json = null | boolean | number | string | Json[] | {
  [key: string]: Json;
};

/** A flat record: field path to value. */
export type Doc = { [path: string]: Json };
