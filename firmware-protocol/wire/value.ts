/**
 * A CLASP value with its wire type, so that integers, floats and their widths survive a round trip.
 *
 * | type | value |
 * |---|---|
 * | null | – |
 * | bool | boolean |
 * | i8 i16 i32 | number |
 * | i64 | number up to ±(2^53−1), bigint beyond |
 * | f32 f64 | number |
 * | string | string, unpaired surrogates become U+FFFD on the wire |
 * | bytes | Uint8Array, at most 65 535 |
 * | array | list of values |
 * | map | list of [key, value] in wire order; of duplicate keys the last one counts |
 *
 * Source: wire reference §5.
 */
export type Value =
  | { readonly type: 'null' }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'i8' | 'i16' | 'i32'; readonly value: number }
  | { readonly type: 'i64'; readonly value: number | bigint }
  | { readonly type: 'f32' | 'f64'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'bytes'; readonly value: Uint8Array }
  | { readonly type: 'array'; readonly value: readonly Value[] }
  | { readonly type: 'map'; readonly value: readonly (readonly [string, Value])[] }
