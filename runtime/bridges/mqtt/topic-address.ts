import { escapeLevel } from '../foreign-address.ts'

/**
 * The router's pattern for a topic filter: `+` is `*`, `#` is `**`, both of which match `sensors` where the filter is
 * `sensors/#`. Source: bridges.md §9.1.
 */
export function patternOfFilter(namespace: string, filter: string): string {
  const levels = filter.split('/').map((level) => (level === '+' ? '*' : level === '#' ? '**' : escapeLevel(level)))
  return `${namespace}/${levels.join('/')}`
}
