import { inspect } from 'node:util'
import type { Client } from '../../runtime/client/client.ts'
import type { Delivery } from '../../runtime/client/subscription.ts'

export const PREFIX = '/dev/proof/'
/** Order of the signals in proof-device.c. */
const SIGNALS = [
  'event',
  ...Array.from({ length: 8 }, (_, i) => `p${i}`),
  'q0',
  'q1',
  'text',
  'wave',
  'seen',
  'order',
  ...Array.from({ length: 4 }, (_, i) => `in${i}`),
  'label',
]
/** Events to the device that may be under way: the router keeps 128. */
export const MOST_ORDERS = 64
const SEAL = 2 ** 28

function mixed(signal: number, n: number): number {
  let x = (Math.imul(n, 0x9e3779b1) + Math.imul(signal + 1, 0x85ebca77)) >>> 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

const seal = (signal: number, n: number) => n * SEAL + (mixed(signal, n) & 0xfffffff)

/** The router's side: a client that checks whatever comes from the device, and keeps the device busy. */
export class Witness {
  readonly wrong: string[] = []
  readonly last = new Map<string, number>()
  events = 0
  missingEvents: [number, number][] = []
  values = 0
  samples = 0
  isSending = false
  sentOrders = 0
  sentValues = 0
  private readonly client: Client
  /** Orders up to here have arrived, or were lost with a link. */
  private settledOrders = 0

  constructor(client: Client) {
    this.client = client
  }

  readonly onDelivery = ({ address, value, samples }: Delivery): void => {
    const name = address.slice(PREFIX.length)
    const signal = SIGNALS.indexOf(name)
    if (signal < 0 || name === 'order' || name === 'label' || name.startsWith('in')) return
    this.values++
    if (name === 'wave') {
      this.onWave(samples ?? [])
      return
    }
    const n = name === 'text' ? this.numberOfText(value) : this.numberOf(signal, value)
    if (n === undefined) {
      this.fault(`${name} = ${inspect(value)}`)
      return
    }
    const last = this.last.get(name) ?? 0
    if (name === 'event') {
      if (n <= last) this.fault(`event ${n} after ${last}`)
      else if (n !== last + 1) this.missingEvents.push([last + 1, n - 1])
      this.events++
    } else if (n < last) this.fault(`${name} went back from ${last} to ${n}`)
    this.last.set(name, Math.max(n, last))
    if (name === 'seen') this.order(n)
  }

  /** A link was lost, and with it what was on its way to the device. */
  relinked(): void {
    this.settledOrders = this.sentOrders
    this.order(this.settledOrders)
  }

  /** Orders up to this number have arrived: others may follow, with params in between. */
  order(arrived: number): void {
    this.settledOrders = Math.max(this.settledOrders, arrived)
    if (!this.isSending) return
    while (this.sentOrders - this.settledOrders < MOST_ORDERS) {
      const n = ++this.sentOrders
      const value = { type: 'i64', value: seal(SIGNALS.indexOf('order'), n) } as const
      this.client.send({ type: 'PUBLISH', address: `${PREFIX}order`, signal: 'event', value })
    }
    this.setParams()
  }

  setParams(): void {
    const n = ++this.sentValues
    for (let i = 0; i < 4; i++) {
      const value = { type: 'i64', value: seal(SIGNALS.indexOf(`in${i}`), n) } as const
      this.client.send({ type: 'SET', address: `${PREFIX}in${i}`, value })
    }
    const text = `${n} ${mixed(SIGNALS.indexOf('label'), n).toString(16)} `.padEnd(180, 'y')
    this.client.send({ type: 'SET', address: `${PREFIX}label`, value: { type: 'string', value: text } })
  }

  private onWave(samples: readonly number[]): void {
    this.samples += samples.length
    for (let i = 0; i < samples.length; i++) {
      const n = samples[i] >>> 12
      const isNext = i === 0 || ((samples[i - 1] >>> 12) + 1) % 2 ** 20 === n
      const isSealed = (samples[i] & 0xfff) === (mixed(SIGNALS.indexOf('wave'), n) & 0xfff)
      if (!isNext || !isSealed) this.fault(`sample ${i} of a block: ${samples[i]} after ${samples[i - 1]}`)
    }
  }

  private numberOf(signal: number, value: Delivery['value']): number | undefined {
    if (value?.type !== 'i64') return undefined
    const n = Math.floor(Number(value.value) / SEAL)
    return seal(signal, n) === Number(value.value) ? n : undefined
  }

  private numberOfText(value: Delivery['value']): number | undefined {
    if (value?.type !== 'string') return undefined
    const [number, check] = value.value.split(' ')
    const isRight = Number.parseInt(check, 16) === mixed(SIGNALS.indexOf('text'), Number(number))
    return isRight && value.value.length === 100 ? Number(number) : undefined
  }

  private fault(text: string): void {
    if (this.wrong.length < 20) this.wrong.push(text)
  }
}
