import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Faults, Line } from '../line/line.ts'
import { until } from '../until.ts'
import { ProofDevice, type ProofState, type ProofStats } from './proof-device.ts'
import { MOST_ORDERS, PREFIX, Witness } from './proof-witness.ts'
import { portFolder, Runtime } from './runtime-fixture.ts'

export interface NoiseRun {
  seed: number
  /** To be carried by the line, both ways together. */
  bytes: number
  faults: Faults
  /**
   * Spread over the run: the line carries nothing until the link is lost, or nothing one way for a moment, so that what
   * arrived is sent again because its acknowledgement did not. Default: none.
   */
  interruptions?: ('both' | 'a->b' | 'b->a')[]
  withinMs: number
}

export interface NoiseReport {
  seconds: number
  carried: { up: number; down: number }
  /** Bytes that were flipped, dropped, doubled or inserted. */
  damaged: number
  badFrames: { router: number; device: number }
  resent: { router: number; device: number }
  events: { received: number; missing: number }
  orders: { received: number; missing: number }
  values: number
  samples: number
  /** Links lost and made again. */
  losses: number
  /** Values that nobody has sent. */
  wrong: string[]
}

/** What a device may have sent and not got acknowledged when its link dies: window and ring. */
const MOST_LOST_EVENTS = 8 * 24 + 8
/** Longer than a frame waits for its acknowledgement (60 ms), shorter than the link waits for a sign of life. */
const MUTE_MS = 150

/**
 * Device and router exchange as much as a bad line carries; then both stop, and everything that must have arrived is looked
 * for on the other side. The line stays bad until the end.
 */
export async function noiseRun(t: TestContext, run: NoiseRun): Promise<NoiseReport> {
  const { seed, bytes, faults, interruptions = [], withinMs } = run
  const folder = portFolder(t)
  const line = await Line.open({ a: join(folder, 'device'), b: join(folder, 'router'), seed }, t)
  const runtime = await Runtime.start(t, { serial: [{ port: line.b }], keepalive: 200 })
  const client = await runtime.client()
  const witness = new Witness(client)
  await client.subscribe([`${PREFIX}*`], witness.onDelivery)
  const device = await ProofDevice.start(line.a, seed, t)
  await runtime.online()
  const startedAt = performance.now()
  await line.setFaults('both', faults)
  device.onState = ({ state }) => {
    if (state === 'running') witness.relinked()
  }
  witness.isSending = true
  witness.order(0)
  await device.command('go')
  for (const [i, way] of interruptions.entries()) {
    await carried(line, (bytes * (i + 1)) / (interruptions.length + 1), withinMs)
    if (way === 'both') await blackOut(line, device, faults)
    else await muteFor(MUTE_MS, line, way, faults)
  }
  await carried(line, bytes, withinMs)
  const seconds = (performance.now() - startedAt) / 1000
  witness.isSending = false
  const sent = await device.command('stop')
  const received = await settled(device, witness, sent)
  const stats = await line.stats()
  const [report] = (await runtime.report()).devices
  const lost = lossesOf(device)
  for (const [first, last] of witness.missingEvents) {
    const isExcused = lost.some(({ emitted }) => last <= emitted && first > emitted - MOST_LOST_EVENTS)
    if (!isExcused) witness.wrong.push(`events ${first} to ${last} are missing`)
  }
  if (received.skipped > lost.length * MOST_ORDERS) witness.wrong.push(`${received.skipped} orders are missing`)
  const ways = [stats['a->b'], stats['b->a']]
  return {
    seconds,
    carried: { up: ways[0].carried, down: ways[1].carried },
    damaged: ways.reduce((sum, way) => sum + way.flipped + way.dropped + way.duplicated + way.inserted, 0),
    badFrames: {
      router: report.counters.crcErrors + report.counters.malformed + report.counters.oversize,
      device: received.bad,
    },
    resent: { router: report.counters.retransmissions, device: received.resent },
    events: { received: witness.events, missing: received.emitted - witness.events },
    orders: { received: received.orders, missing: received.skipped },
    values: witness.values,
    samples: witness.samples,
    losses: lost.length,
    wrong: witness.wrong,
  }
}

async function carried(line: Line, bytes: number, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const stats = await line.stats()
    if (stats['a->b'].carried + stats['b->a'].carried >= bytes) return
    if (performance.now() > deadline) throw new Error(`no ${bytes} bytes within ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function blackOut(line: Line, device: ProofDevice, faults: Faults): Promise<void> {
  const from = device.states.length
  const became = (state: ProofState['state']) => device.states.slice(from).some((one) => one.state === state)
  await line.setFaults('both', { drop: 1 })
  await until(() => became('announcing'), 'loss of the link')
  await line.setFaults('both', faults)
  await until(() => became('running'), 'link after the loss')
}

async function muteFor(ms: number, line: Line, way: 'a->b' | 'b->a', faults: Faults): Promise<void> {
  await line.setFaults(way, { drop: 1 })
  await new Promise((resolve) => setTimeout(resolve, ms))
  await line.setFaults(way, faults)
}

/** Each side has what the other sent last. */
async function settled(device: ProofDevice, witness: Witness, sent: ProofStats): Promise<ProofStats> {
  const { last } = witness
  await until(() => last.get('event') === sent.emitted, `event ${sent.emitted}`)
  await until(() => [0, 1, 2, 3, 4, 5, 6, 7].every((i) => last.get(`p${i}`) === sent.round), 'the last params')
  await until(() => last.get('text') === sent.text, 'the last text')
  const deadline = performance.now() + 15_000
  for (;;) {
    const now = await device.command('stats')
    const { sentValues, sentOrders } = witness
    if ([...now.ins, now.label].every((n) => n === sentValues) && now.lastOrder === sentOrders) {
      const { wrong, back, repeated } = now
      if (wrong + back + repeated > 0) {
        witness.wrong.push(`to the device: ${wrong} wrong, ${back} back, ${repeated} repeated`)
      }
      return now
    }
    if (performance.now() > deadline) {
      assert.fail(`the device has ${JSON.stringify(now)}, the router sent ${sentOrders} and ${sentValues}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Times that the device was linked no longer, and how far it was. */
function lossesOf(device: ProofDevice): ProofState[] {
  return device.states.filter(({ state }) => state === 'announcing')
}

/** One line for a person. */
export function told(report: NoiseReport): string {
  const { seconds, carried, damaged, badFrames, resent, events, orders, values, samples, losses } = report
  const rate = Math.round((carried.up + carried.down) / seconds / 1000)
  return [
    `${carried.up} bytes up and ${carried.down} down in ${seconds.toFixed(1)} s (${rate} kB/s), ${damaged} damaged`,
    `frames dropped by router ${badFrames.router}, device ${badFrames.device}`,
    `resent by router ${resent.router}, device ${resent.device}`,
    `${events.received} events up (${events.missing} lost with links), ${orders.received} down (${orders.missing})`,
    `${values} values and ${samples} samples checked, links lost ${losses}`,
  ].join('; ')
}
