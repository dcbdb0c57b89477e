import { addressProblem } from '../../firmware-protocol/wire/address.ts'
import type { BridgeKind } from '../bridges/bridge.ts'
import type { BridgeEntry } from '../bridges/bridge-entry.ts'
import { bridgeKinds } from '../bridges/bridge-kinds.ts'
import { rules } from '../routes/rule-field.ts'
import { checkedText, type Field, flag, object, required, type SourceNode, text } from './fields.ts'
import { kindList, type Placed } from './kind-list.ts'
import { type Problem, problemAt } from './problem.ts'

const ID = /^[a-z0-9_-]{1,32}$/

const id = (description: string) =>
  checkedText({
    description,
    fallback: '',
    expected: 'up to 32 lower-case letters, digits, _ and -',
    check: (value) => (ID.test(value) ? undefined : `"${value}" is not a name`),
  })

const namespace = (fallback: string) =>
  checkedText({
    description: 'First part of its addresses.',
    fallback,
    expected: `an address without a slash at its end, such as ${fallback}`,
    check: (value) => {
      if (value.includes('*')) return 'it has no wildcards'
      return value.endsWith('/') ? 'it has no slash at its end' : addressProblem(value)
    },
  })

/** Keys that every bridge has; all others are its options. */
const USUAL = ['id', 'kind', 'namespace', 'enabled', 'map'] as const

/** The settings of one kind of bridge, as an object of the configuration. */
function kindField({ kind, description, namespace: usual, options }: BridgeKind): Field<Record<string, unknown>> {
  const kindText = text({ description: 'Its protocol.', fallback: '' })
  const field = object(description, {
    id: required(id('Its name: its state is at /_meta/bridges/<id>.')),
    kind: required({ ...kindText, jsonSchema: { description: 'Its protocol.', const: kind } }),
    namespace: namespace(usual),
    enabled: flag({
      description: 'Whether it is started; /_meta/bridges/<id>/enabled changes it meanwhile.',
      fallback: true,
    }),
    ...options.members,
    map: rules('Rules for addresses and values on their way in and out.'),
  })
  return field as Field<Record<string, unknown>>
}

function readEntry(kindName: string, field: Field<Record<string, unknown>>, node: SourceNode, problems: Problem[]) {
  const kind = bridgeKinds.find((one) => one.kind === kindName) as BridgeKind
  const before = problems.length
  const { id, namespace, enabled, map, ...rest } = field.read(node, problems)
  const options = Object.fromEntries(Object.entries(rest).filter(([key]) => !USUAL.some((usual) => usual === key)))
  const conflict = problems.length === before ? kind.check?.(options) : undefined
  if (Array.isArray(map) && map.length > 0 && kind.takesRules?.(options) === false) {
    const message = `${node.path}: rules below map have no effect here, for its clients name addresses themselves`
    problems.push(problemAt(node, message, 'put them into routes: at the top of the file'))
  }
  if (conflict !== undefined) problems.push(problemAt(node, `${node.path}: ${conflict}`, 'correct the entry'))
  return { id, kind: kind.kind, namespace, enabled, options, map } as BridgeEntry
}

/** Bridges have names of their own, and those of one protocol do not share addresses (bridges.md §2.3). */
function checkShared(entries: readonly Placed<BridgeEntry>[], problems: Problem[]): void {
  for (const [at, { entry, node }] of entries.entries()) {
    for (const { entry: other } of entries.slice(0, at)) {
      if (other.id === entry.id) {
        problems.push(problemAt(node, `${node.path}: ${entry.id} is the name of another bridge`, 'give it another id'))
      } else if (other.kind === entry.kind && isWithin(other.namespace, entry.namespace)) {
        const message = `${node.path}: its addresses below ${entry.namespace} are those of ${other.id} too`
        problems.push(problemAt(node, message, 'give it another namespace'))
      } else if (other.kind === entry.kind && isSamePort(entry.options, other.options)) {
        const { listen } = entry.options as Listening
        problems.push(
          problemAt(node, `${node.path}: port ${listen} is that of ${other.id} too`, 'give it another listen'),
        )
      }
    }
  }
}

/** Options of those that listen at a port of their own; 0 and none: they do not, or at any. */
interface Listening {
  readonly listen?: unknown
  readonly host?: unknown
}

function isSamePort(one: unknown, other: unknown): boolean {
  const [a, b] = [one as Listening, other as Listening]
  return typeof a.listen === 'number' && a.listen > 0 && a.listen === b.listen && a.host === b.host
}

function isWithin(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`)
}

/** Foreign protocols; a reload starts and stops what has changed. */
export const bridges = kindList<BridgeEntry>({
  description: 'Foreign protocols that read and write signals.',
  needsRestart: false,
  noun: 'bridge',
  needed: 'id and kind',
  fields: new Map(bridgeKinds.map((kind) => [kind.kind, kindField(kind)])),
  read: readEntry,
  checkShared,
})
