import type { SourceNode } from '../config/fields.ts'

/** Plain JavaScript data as the configuration reads a file, for rules that come from elsewhere: they have no place. */
export function plainSource(value: unknown, path: string): SourceNode {
  return {
    path,
    value: value ?? null,
    line: 0,
    column: 0,
    entries: () =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.entries(value).map(([key, member]) => ({
            key,
            line: 0,
            column: 0,
            node: plainSource(member, `${path}.${key}`),
          }))
        : undefined,
    items: () =>
      Array.isArray(value) ? value.map((item: unknown, at) => plainSource(item, `${path}[${at}]`)) : undefined,
  }
}
