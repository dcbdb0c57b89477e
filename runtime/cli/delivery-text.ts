import { formatValue } from '../../firmware-protocol/wire/values.ts'
import type { Delivery } from '../client/subscription.ts'
import { jsonLine } from './json-line.ts'
import { printable, type Terminal } from './terminal.ts'

/** Addresses beyond it push the values of their line to the right. */
const MAX_ADDRESS_COLUMN = 40

/** Writes deliveries as lines: time, address, value, what it is. The addresses of the longest so far make the column. */
export class DeliveryLines {
  private readonly terminal: Terminal
  private width = 16

  constructor(terminal: Terminal) {
    this.terminal = terminal
  }

  text(delivery: Delivery, at: Date): string {
    const address = printable(delivery.address)
    this.width = Math.min(MAX_ADDRESS_COLUMN, Math.max(this.width, address.length))
    const { terminal } = this
    const time = terminal.paint('dim', timeOfDay(at))
    const kind = terminal.paint('dim', describe(delivery))
    return `${time}  ${address.padEnd(this.width)}  ${terminal.paint('cyan', printable(contents(delivery)))}  ${kind}`
  }
}

/** One object: time, address, signal, type, value, and what else came with it. */
export function deliveryJson(delivery: Delivery, at: Date): string {
  const { address, signal, value, revision, writer, phase, id, samples, rate, timestamp, isInitial } = delivery
  const members = { time: at.toISOString(), address, signal, type: value?.type, revision, writer, phase, id, samples }
  return jsonLine({ ...members, rate, timestamp, initial: isInitial || undefined }, { value })
}

/** What it carries, on one line. */
export function contents({ value, samples, timeline }: Delivery): string {
  if (samples !== undefined) return `[${samples.join(', ')}]`
  if (timeline !== undefined) return `${timeline.keyframes.length} keyframes${timeline.loop ? ', looping' : ''}`
  return value === undefined ? '–' : formatValue(value)
}

function describe({ signal, value, revision, phase, id, isInitial, rate }: Delivery): string {
  const parts: (string | undefined)[] = [
    signal,
    phase === undefined ? undefined : `${phase}${id === undefined ? '' : ` #${id}`}`,
    value?.type,
    rate === undefined ? undefined : `${rate}/s`,
    revision === undefined ? undefined : `r${revision}`,
    isInitial ? 'held' : undefined,
  ]
  return parts.filter((part) => part !== undefined).join(' ')
}

function timeOfDay(date: Date): string {
  const two = (n: number) => String(n).padStart(2, '0')
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return `${time}.${String(date.getMilliseconds()).padStart(3, '0')}`
}
