const text = (description: string) => ({ description, type: 'string' })
const number = (description: string) => ({ description, type: 'number', minimum: 0 })

/** In the order in which they are explained. Source: bridges.md §18.2. */
const properties: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  id: text('Its name in messages.'),
  enabled: { description: 'Whether it counts.', type: 'boolean', default: true },
  direction: { description: 'Which way; in is the usual one.', enum: ['in', 'out', 'both'], default: 'in' },
  match: text('The addresses that it is for: * in a segment, ** for any segments, {1-8}, {a,b}.'),
  to: text('Where the value goes: $1 to $9 are what the wildcards stand for, $0 is the whole address.'),
  fan: { description: 'Instead of to: one address for each element of an Array.', type: 'array' },
  join: { description: 'Instead of match: addresses whose values become one Array.', type: 'array' },
  waitMs: number('How long a join waits for the others after the first new value. In milliseconds.'),
  aggregate: {
    description: 'One number of the newest ones of all matching addresses: type, staleMs.',
    type: 'object',
  },
  signal: { description: 'What it becomes.', enum: ['keep', 'param', 'event', 'stream', 'gesture'], default: 'keep' },
  when: {
    description: 'Only for values of which this holds: an expression, or a condition such as {greater_than: 0.5}.',
  },
  transform: { description: 'What is done to the value, step by step: [{scale: {toMax: 255}}, toInt].' },
  reverse: { description: 'The same for the way back, where the steps have no inverse.' },
  boolNumeric: { description: 'Bools count as 0 and 1.', type: 'boolean', default: false },
  rateHz: number('The same as rate.'),
  rate: number('Values a second at the most, for each address; the last one is never lost. 0 = no limit.'),
  deadband: number('Smaller changes of the result are not passed on.'),
  ttl: text('Time to live of the param: never, sliding:60s, absolute:5m.'),
  onError: { description: 'What passes without a result.', enum: ['pass', 'drop', 'default'], default: 'pass' },
  default: { description: 'The value for onError: default.' },
  stop: { description: 'Rules behind it do not count for its addresses.', type: 'boolean', default: true },
}

const snakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** What editors know of a rule, in both spellings. The transforms are checked only by the program. */
export const ruleJsonSchema = {
  description: 'A rule for addresses and values on their way.',
  type: 'object',
  additionalProperties: false,
  properties: Object.fromEntries(
    Object.entries(properties).flatMap(([name, member]) => [
      [name, member],
      [snakeCase(name), member],
    ]),
  ),
}
