import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { JsonPath } from '../json-path.ts'
import type { Settings } from '../settings.ts'
import type { Outcome, Step } from '../step.ts'
import { valueText } from '../value-text.ts'
import type { TransformTable } from './transform.ts'

/** Parts of values, and values of parts. Source: bridges.md §18.3. */

const NULL: Value = { type: 'null' }
const PLACEHOLDER = /\{value\}|\{addr\}|\$\d/g
/** A String may be no longer on the wire. */
const MAX_TEXT = 65_535

/** Outcome of one path: nothing found is `missing`. */
function readPath(settings: Settings, missing: Outcome): Step {
  const text = settings.text('path')
  const path = JsonPath.parse(text)
  if (typeof path === 'string') {
    settings.problem(settings.source('path') ?? settings.node, path, 'expected a path such as $.sensors[0].value')
    return { run: (value) => value }
  }
  return {
    run(value) {
      const hits = path.select(value)
      if (hits.length === 0) return missing
      return withoutBytes(hits.length === 1 ? hits[0] : { type: 'array', value: hits })
    },
  }
}

/** JSON has no bytes: they are base64 there. */
function withoutBytes(value: Value): Value {
  switch (value.type) {
    case 'bytes':
      return { type: 'string', value: Buffer.from(value.value).toString('base64') }
    case 'array':
      return { type: 'array', value: value.value.map(withoutBytes) }
    case 'map':
      return { type: 'map', value: value.value.map(([key, member]) => [key, withoutBytes(member)] as const) }
    default:
      return value
  }
}

/** Members of `object` are added to a Map, or replace what it has. */
function readMerge(settings: Settings): Step {
  const node = settings.source('object')
  const added = settings.value(node)
  if (added.type !== 'map') {
    settings.problem(node ?? settings.node, 'object is no map', 'expected object: {key: value}')
    return { run: (value) => value }
  }
  const names = new Set(added.value.map(([key]) => key))
  return {
    run(value) {
      if (value.type !== 'map') return value
      return { type: 'map', value: [...value.value.filter(([key]) => !names.has(key)), ...added.value] }
    },
  }
}

/** Text with `{value}`, `{addr}` and `$1`. */
function readTemplate(settings: Settings): Step {
  const template = settings.text('text')
  return {
    run(value, _state, { address, captures }) {
      const text = template.replace(PLACEHOLDER, (placeholder) => {
        if (placeholder === '{value}') return valueText(value)
        return placeholder === '{addr}' ? address : (captures[Number(placeholder[1])] ?? '')
      })
      return Buffer.byteLength(text) > MAX_TEXT ? 'failed' : { type: 'string', value: text }
    },
  }
}

export const structure: TransformTable = {
  json_path: (settings) => readPath(settings, NULL),
  select: (settings) => readPath(settings, 'failed'),
  merge: readMerge,
  template: readTemplate,
}
