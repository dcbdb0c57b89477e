import type { Value } from '../../../firmware-protocol/wire/value.ts'

/** One step of a path: a key, an index (negative from the end), or all (`*`). */
export type PathStep = { readonly key: string } | { readonly index: number } | '*'

const STEP = /\.([A-Za-z_][\w-]*)|\.?\[(-?\d{1,9})\]|\.?\[(?:'([^']*)'|"([^"]*)")\]|\.(\*)|\[(\*)\]/y

/** `$.a['b'][0][*]`: the part of JSON path (RFC 9535) without filters, slices and descent. A text says what is wrong. */
export function parseJsonPath(text: string): readonly PathStep[] | string {
  const path = text.startsWith('$') ? text.slice(1) : text.startsWith('[') ? text : `.${text}`
  const steps: PathStep[] = []
  for (let at = 0; at < path.length; at = STEP.lastIndex) {
    STEP.lastIndex = at
    const match = STEP.exec(path)
    if (match === null) return `"${path.slice(at)}" is not understood in the path ${text}`
    const [, name, index, single, double] = match
    const key = name ?? single ?? double
    if (key !== undefined) steps.push({ key })
    else steps.push(index === undefined ? '*' : { index: Number(index) })
  }
  return steps
}

/** The part of a value; a list of all that fit when the path has a wildcard; undefined: there is none. */
export function selectPath(value: Value, steps: readonly PathStep[]): Value | undefined {
  let found: Value[] = [value]
  for (const step of steps) found = found.flatMap((one) => children(one, step))
  return steps.includes('*') ? { type: 'array', value: found } : found[0]
}

function children(value: Value, step: PathStep): Value[] {
  if (step === '*') {
    if (value.type === 'array') return [...value.value]
    return value.type === 'map' ? value.value.map(([, item]) => item) : []
  }
  if ('index' in step) {
    const item = value.type === 'array' ? value.value.at(step.index) : undefined
    return item === undefined ? [] : [item]
  }
  // Of duplicate keys the last one counts.
  const item = value.type === 'map' ? value.value.findLast(([key]) => key === step.key) : undefined
  return item === undefined ? [] : [item[1]]
}
