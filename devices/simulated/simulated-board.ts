import type { Message, SignalDefinition } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'

/** What the simulation needs of its surroundings. */
export interface SimulationContext {
  /** Connects the board as a client; `onMessage` gets what it subscribed to. */
  connect(name: string, onMessage: (message: Message) => void): { send(message: Message): void; close(): void }
  clock: { now(): number; timer(delayMs: number, callback: () => void): { cancel(): void } }
  /** 0…1; Math.random unless a test wants to know the outcome. */
  random?: () => number
}

const TICK_MS = 100

const SIGNALS: SignalDefinition[] = [
  {
    address: '/sim/temperature',
    type: 'param',
    datatype: 'f64',
    access: 'r',
    meta: { unit: '°C', range: [15, 30], description: 'Air temperature' },
  },
  {
    address: '/sim/light',
    type: 'param',
    datatype: 'f64',
    access: 'r',
    meta: { unit: 'lx', range: [0, 1000], description: 'Ambient light' },
  },
  {
    address: '/sim/knob',
    type: 'param',
    datatype: 'f64',
    access: 'r',
    meta: { range: [0, 1], description: 'A knob that turns by itself' },
  },
  { address: '/sim/button', type: 'event', access: 'r', meta: { description: 'press and release of a button' } },
  {
    address: '/sim/button/state',
    type: 'param',
    datatype: 'bool',
    access: 'r',
    meta: { description: 'Button is down' },
  },
  {
    address: '/sim/led',
    type: 'param',
    datatype: 'bool',
    access: 'rw',
    meta: { default: { type: 'bool', value: false }, description: 'Set it: true is on' },
  },
  {
    address: '/sim/led/changes',
    type: 'param',
    datatype: 'i64',
    access: 'r',
    meta: { description: 'Times it was switched' },
  },
]

/**
 * A board that exists only in software: a few sensors that move and one output, so that there is something to see and to
 * try on a machine without hardware. Runs until the returned handle is stopped.
 */
export function startSimulatedBoard({ connect, clock, random = Math.random }: SimulationContext): { stop(): void } {
  let temperature = 21
  let isLit = false
  let switched = 0
  let ticks = 0
  let pressedUntil = 0
  let nextPress = 30
  const shown = new Map<string, number>()

  const board = connect('simulated board', (message) => {
    if (message.type !== 'SET' || message.address !== '/sim/led' || message.value.type !== 'bool') return
    if (message.value.value === isLit) return
    isLit = message.value.value
    set('/sim/led/changes', { type: 'i64', value: ++switched })
  })
  const set = (address: string, value: Value) => board.send({ type: 'SET', address, value })
  const bool = (value: boolean): Value => ({ type: 'bool', value })
  /** A sensor reports a change that is worth it. */
  const sense = (address: string, value: number, deadband: number) => {
    const last = shown.get(address)
    if (last !== undefined && Math.abs(value - last) < deadband) return
    shown.set(address, value)
    set(address, { type: 'f64', value })
  }
  const button = (isDown: boolean) => {
    const payload: Value = { type: 'string', value: isDown ? 'press' : 'release' }
    board.send({ type: 'PUBLISH', address: '/sim/button', signal: 'event', value: payload })
    set('/sim/button/state', bool(isDown))
  }

  const tick = () => {
    // Announced signals expire unless they are announced again.
    if (ticks % 6000 === 0) board.send({ type: 'ANNOUNCE', namespace: '/sim', signals: SIGNALS })
    const seconds = (ticks++ * TICK_MS) / 1000
    sense('/sim/knob', round(0.5 - 0.5 * Math.cos((seconds / 20) * 2 * Math.PI), 3), 0.005)
    if (ticks % 5 === 0) {
      temperature = Math.min(30, Math.max(15, temperature + (random() - 0.5) * 0.2))
      sense('/sim/temperature', round(temperature, 2), 0.05)
      sense('/sim/light', round(400 + 300 * Math.sin(seconds / 30) + random() * 10, 0), 5)
    }
    if (ticks === pressedUntil) {
      button(false)
    } else if (ticks >= nextPress) {
      button(true)
      pressedUntil = ticks + 3
      nextPress = ticks + 30 + Math.floor(random() * 70)
    }
    timer = clock.timer(TICK_MS, tick)
  }

  board.send({ type: 'SUBSCRIBE', id: 1, pattern: '/sim/led', types: ['param'] })
  set('/sim/led', bool(false))
  set('/sim/button/state', bool(false))
  let timer = clock.timer(0, tick)
  return {
    stop() {
      timer.cancel()
      board.close()
    },
  }
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
