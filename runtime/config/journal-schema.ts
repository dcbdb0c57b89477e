import { patternProblem } from '../../firmware-protocol/wire/address.ts'
import { checkedText, duration, list, object, oneOf, optional, required, text, whole } from './fields.ts'

const DAY_MS = 86_400_000

const pattern = (description: string) =>
  checkedText({
    description,
    fallback: '/**',
    expected: 'an address pattern such as /show/** or /sensors/*/temperature',
    check: patternProblem,
  })

/** What is kept on the disk or card. */
export const journal = object('State and history that survive a power cut.', {
  enabled: oneOf({
    description: 'auto = when there is a folder for it: the one below, that of systemd, or /var/lib/clasp-edge.',
    fallback: 'auto',
    values: ['auto', true, false],
    needsRestart: true,
  }),
  folder: optional(
    text({ description: 'Folder of the database; it is made when missing.', fallback: '', needsRestart: true }),
  ),
  durability: list({
    description: 'What an acknowledged SET means, by address; the first match counts.',
    needsRestart: true,
    of: object('A rule.', {
      pattern: required(pattern('The addresses that it is for.')),
      mode: oneOf({
        description:
          'sync = stored before it is acknowledged; batched = stored within a second; memory = stored at a stop and every checkpoint; auto = batched, but memory while it keeps changing.',
        fallback: 'auto',
        values: ['auto', 'sync', 'batched', 'memory'],
      }),
    }),
  }),
  record: list({
    description:
      'What goes into the history, for REPLAY; the first match counts. Without any rule: params and events, of params that keep changing one value per checkpoint.',
    needsRestart: true,
    of: object('A rule.', {
      pattern: required(pattern('The addresses that it is for.')),
      kinds: list({
        description: 'param, event, stream, gesture, timeline; empty = nothing of these addresses.',
        of: oneOf({
          description: 'A kind of signal.',
          fallback: 'param',
          values: ['param', 'event', 'stream', 'gesture', 'timeline'],
        }),
      }),
      maxRate: optional(
        whole({
          description:
            'Entries per second of one address; 0 = every one. Left out: one per stored value where it keeps changing.',
          fallback: 0,
          min: 0,
          max: 1_000_000,
        }),
      ),
    }),
  }),
  checkpoint: duration({
    description: 'The longest that a value which keeps changing, or is kept in memory, goes unwritten.',
    fallback: 300_000,
    minMs: 1000,
    maxMs: DAY_MS,
    needsRestart: true,
  }),
  writeBudget: whole({
    description:
      'Bytes a day that reach the disk or card; what is not sync or batched by a rule above waits when it is used up. 0 = no limit.',
    unit: 'bytes',
    fallback: 50_000_000,
    min: 0,
    max: 1_000_000_000_000,
    needsRestart: true,
  }),
  retention: object('How much history is kept. The state itself never gives way.', {
    age: duration({
      description: 'The oldest entry; 0s = any.',
      fallback: 7 * DAY_MS,
      minMs: 0,
      maxMs: 3650 * DAY_MS,
      needsRestart: true,
    }),
    entries: whole({
      description: 'Entries; 0 = any number.',
      fallback: 0,
      min: 0,
      max: 1_000_000_000_000,
      needsRestart: true,
    }),
    bytes: whole({
      description: 'Size of the database; 0 = any.',
      unit: 'bytes',
      fallback: 67_108_864,
      min: 0,
      max: 1_000_000_000_000,
      needsRestart: true,
    }),
  }),
})
