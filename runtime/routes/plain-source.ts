import type { SourceNode } from '../config/fields.ts'

/**
 * Plain JavaScript data as the configuration reads a file, for rules that come from elsewhere. All of it is at the one
 * place that is given; 0: at none.
 */
export function plainSource(
  value: unknown,
  path: string,
  { line, column }: Pick<SourceNode, 'line' | 'column'> = { line: 0, column: 0 },
): SourceNode {
  const at = { line, column }
  return {
    path,
    value: value ?? null,
    ...at,
    entries: () =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.entries(value).map(([key, member]) => ({
            key,
            ...at,
            node: plainSource(member, `${path}.${key}`, at),
          }))
        : undefined,
    items: () =>
      Array.isArray(value) ? value.map((item: unknown, i) => plainSource(item, `${path}[${i}]`, at)) : undefined,
  }
}
