import type { AnyDeviceKind } from '../../devices/device.ts'
import { type DeviceEntry, OWN_SIGNAL } from '../../devices/device-entry.ts'
import { hexAddress } from '../../devices/i2c/bus.ts'
import { deviceKinds } from '../../devices/index.ts'
import { isLineName } from '../../devices/io/line-name.ts'
import type { OptionSpec } from '../../devices/options.ts'
import { addressProblem } from '../../firmware-protocol/wire/address.ts'
import {
  checkedText,
  decimal,
  duration,
  type Field,
  flag,
  list,
  object,
  oneOf,
  optional,
  required,
  type SourceNode,
  text,
  whole,
} from './fields.ts'
import { kindList } from './kind-list.ts'
import { type Problem, problemAt, shown } from './problem.ts'
import { checkShared } from './shared-hardware.ts'

const NAME = /^[a-z0-9_-]{1,32}$/
const BUS = /^(\d{1,3}|\/\S+)$/
const PORT = /^(\/\S+|usb:[0-9a-fA-F]{4}:[0-9a-fA-F]{4}(:\S+)?)$/
const HOUR_MS = 3_600_000
const LIMIT = 1e12

const name = (description: string) =>
  checkedText({
    description,
    fallback: '',
    expected: 'up to 32 lower-case letters, digits, _ and -',
    check: (value) => (NAME.test(value) ? undefined : `"${value}" is not a name`),
  })

const line = (description: string) =>
  checkedText({
    description: `${description} A name (GPIO17), chip and offset (gpiochip0:17), or a pin of the header (pin 11).`,
    fallback: '',
    expected: 'a line such as GPIO17, gpiochip0:17 or pin 11',
    check: (value) => (isLineName(value) ? undefined : `"${value}" names no line`),
  })

const description = optional(text({ description: 'What clients show as its description.', fallback: '' }))

const address = ({ namespace, options }: AnyDeviceKind) =>
  optional(
    checkedText({
      description: `Its address; /${namespace}/<name> when left out.`,
      fallback: '',
      expected: `an address such as /garden/pump${'chipAddress' in options ? '; that of the chip is chipAddress' : ''}`,
      check: (value) => (value.includes('*') ? 'an address has no wildcards' : addressProblem(value)),
    }),
  )

/** What every device can be told. */
const usual = {
  name: required(name('Its name, which is part of its address.')),
  kind: required(
    text({
      description: `What it is: ${deviceKinds.map(({ kind }) => kind).join(', ')}.`,
      fallback: '',
    }),
  ),
  description,
  simulate: optional(
    flag({
      description: 'Make it up instead of using hardware; as the simulate of the router when left out.',
      fallback: false,
    }),
  ),
}

const signalSettings = {
  median: optional(whole({ description: 'The middle one of so many readings counts.', fallback: 1, min: 1, max: 99 })),
  gain: optional(decimal({ description: 'Readings are multiplied by it.', fallback: 1, min: -LIMIT, max: LIMIT })),
  offset: optional(decimal({ description: 'Is added to readings then.', fallback: 0, min: -LIMIT, max: LIMIT })),
  deadband: optional(
    decimal({
      description: 'Smaller changes are not told. In the unit of the signal.',
      fallback: 0,
      min: 0,
      max: LIMIT,
    }),
  ),
  heartbeat: optional(
    duration({
      description: 'An unchanged value is told again after so long; 0s = never.',
      fallback: 0,
      minMs: 0,
      maxMs: 24 * HOUR_MS,
    }),
  ),
  maxRate: optional(decimal({ description: 'Messages a second; 0 = no limit.', fallback: 0, min: 0, max: 1000 })),
}

/** Also as a bare number, which people write for it. */
const bus = (description: string, fallback: string): Field<string> => {
  const expected = 'a number such as 1, or a path such as /dev/i2c-1'
  const read = checkedText({
    description,
    fallback,
    expected,
    check: (value) => (BUS.test(value) ? undefined : `"${value}" names no bus`),
  })
  return {
    ...read,
    jsonSchema: { description, default: fallback, type: ['integer', 'string'] },
    read(node, problems) {
      const isNumber = Number.isInteger(node.value) && Number(node.value) >= 0
      return isNumber ? String(node.value) : read.read(node, problems)
    },
  }
}

const port = (description: string) =>
  checkedText({
    description: `${description} A path (/dev/ttyUSB0) or usb:VENDOR:PRODUCT[:SERIAL].`,
    fallback: '',
    expected: 'a port such as /dev/ttyUSB0 or usb:0403:6001',
    check: (value) => (PORT.test(value) ? undefined : `"${value}" names no serial port`),
  })

/** One of the addresses that a chip can have; JSON knows no hexadecimal numbers, so the text says them. */
const chip = (description: string, fallback: number, addresses: readonly number[]): Field<number> => {
  const allowed = addresses.length > 8 ? addressRanges(addresses) : addresses.map(hexAddress).join(', ')
  const whole = `${description} One of ${allowed}.`
  return {
    kind: 'leaf',
    description: whole,
    fallback,
    needsRestart: false,
    expected: allowed,
    jsonSchema: { description: whole, default: fallback, enum: [...addresses] },
    read(node, problems) {
      if (addresses.includes(node.value as number)) return node.value as number
      const given = typeof node.value === 'number' ? hexAddress(node.value) : shown(node.value)
      const meant = Number(`0x${node.value}`)
      const hint = addresses.includes(meant) ? `did you mean ${hexAddress(meant)}? ` : ''
      const problem = `${node.path}: the chip cannot have the address ${given}`
      problems.push(problemAt(node, problem, `${hint}expected ${allowed}`))
      return fallback
    },
  }
}

function addressRanges(addresses: readonly number[]): string {
  const isContiguous = addresses.every((address, at) => address === addresses[0] + at)
  const last = addresses[addresses.length - 1]
  return isContiguous ? `${hexAddress(addresses[0])}…${hexAddress(last)}` : addresses.map(hexAddress).join(', ')
}

function optionField(spec: OptionSpec): Field<unknown> {
  const field = plainField(spec)
  if (spec.isRequired) return required(field)
  return spec.fallback === undefined ? optional(field) : field
}

function plainField({
  type,
  description,
  fallback,
  min = -LIMIT,
  max = LIMIT,
  unit,
  values = [],
  addresses = [],
  columns = {},
}: OptionSpec): Field<unknown> {
  const numeric = { description, fallback: typeof fallback === 'number' ? fallback : 0, min, max }
  const textual = typeof fallback === 'string' ? fallback : ''
  switch (type) {
    case 'flag':
      return flag({ description, fallback: fallback === true })
    case 'whole':
      return whole({ ...numeric, unit })
    case 'number':
      return decimal({ ...numeric, unit })
    case 'duration':
      return duration({ description, fallback: numeric.fallback, minMs: Math.max(0, min), maxMs: max })
    case 'choice':
      return oneOf({ description, fallback: textual, values })
    case 'line':
      return line(description)
    case 'name':
      return name(description)
    case 'text':
      return text({ description, fallback: textual })
    case 'bus':
      return bus(description, textual)
    case 'chip':
      return chip(description, numeric.fallback, addresses)
    case 'port':
      return port(description)
    case 'table': {
      const fields = Object.entries(columns).map(([key, column]) => [key, optionField(column)] as const)
      return list({ description, of: object(description, Object.fromEntries(fields)) })
    }
  }
}

/** The settings of one kind of device, as an object of the configuration. */
function kindField(kind: AnyDeviceKind): Field<Record<string, unknown>> {
  const options = Object.entries(kind.options).map(([key, spec]) => [key, optionField(spec)] as const)
  const signals = Object.fromEntries(
    signalKeys(kind).map((key) => [key, object('How a signal is told.', signalSettings)] as const),
  )
  const members: Record<string, Field<unknown>> = {
    name: usual.name,
    kind: { ...usual.kind, jsonSchema: { description: usual.kind.description, const: kind.kind } },
    address: address(kind),
    description: usual.description,
    simulate: usual.simulate,
    ...(kind.sampleMs !== undefined && {
      every: duration({
        description: 'Time between readings.',
        fallback: kind.sampleMs,
        minMs: 10,
        maxMs: 24 * HOUR_MS,
      }),
    }),
    ...Object.fromEntries(options),
    signals: object('How its readings are filtered and told, by signal.', signals),
  }
  return object(kind.description, members) as Field<Record<string, unknown>>
}

/** Those that there are with the default options. */
function signalKeys(kind: AnyDeviceKind): string[] {
  const fallbacks = Object.fromEntries(Object.entries(kind.options).map(([key, spec]) => [key, spec.fallback]))
  const specs = Object.entries(kind.signals(fallbacks))
  return specs.filter(([, { type }]) => type === 'param').map(([key]) => (key === '' ? OWN_SIGNAL : key))
}

function readEntry(kindName: string, field: Field<Record<string, unknown>>, node: SourceNode, problems: Problem[]) {
  const kind = deviceKinds.find((one) => one.kind === kindName) as AnyDeviceKind
  const before = problems.length
  const values = field.read(node, problems)
  const { name, address, description, simulate, every, signals } = values
  const options = Object.fromEntries(Object.keys(kind.options).map((key) => [key, values[key]]))
  const conflict = problems.length === before ? kind.check?.(options) : undefined
  if (conflict !== undefined)
    problems.push(problemAt(node, `${node.path}: ${conflict}`, 'change the settings of this device'))
  return { name, kind: kind.kind, address, description, simulate, every, options, signals } as DeviceEntry
}

/** Hardware that is wired to the board. */
export const devices = kindList<DeviceEntry>({
  description: 'Devices that are wired to this board.',
  needsRestart: true,
  noun: 'device',
  needed: 'name and kind',
  fields: new Map(deviceKinds.map((kind) => [kind.kind, kindField(kind)])),
  read: readEntry,
  checkShared,
})
