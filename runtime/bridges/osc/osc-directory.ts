import { isDeepStrictEqual } from 'node:util'
import type { Signal, SignalDefinition } from '../../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Clock } from '../../router/clock.ts'
import { type EchoKey, isSameOnWire } from './osc-echo.ts'
import type { OscOptions } from './osc-kind.ts'
import { claspAddressOf, isOscPattern, oscAddressOf } from './osc-names.ts'
import { OscPattern } from './osc-pattern.ts'
import type { OscPeer } from './osc-peer.ts'

const MAX_ENTRIES = 16_384
const MAX_PATTERNS = 64
/** Announcements of others are looked up anew after this. */
const MATCHES_MS = 1000
const MAX_EXPECTED = 64
/** What was sent to the router is answered at once; later it was refused. */
const EXPECTED_MS = 1000
/** Bundles with a time may take effect this much before it. */
const EARLY_MS = 5
const MAX_ANNOUNCED = 500
const MAX_ANNOUNCED_BYTES = 48_000

type RuleSignal = OscOptions['signals'][number]['signal']

/** A value of a peer that is to come back from the router. */
interface Expected {
  readonly value: Value
  readonly peer: OscPeer
  readonly fromMs: number
}

/** What is known of one address. */
export class OscEntry implements EchoKey {
  readonly number: number
  readonly address: string
  readonly oscAddress: string
  /** What arrives here is this. */
  readonly signal: RuleSignal
  /** Of a touch: the OSC address of what is touched. */
  readonly touched: string | undefined
  /** Where a touch of it is told: TouchOSC's `/z`. */
  readonly touch: string | undefined
  /** What it was last; undefined: never heard of, or no param. */
  type: Signal | undefined
  value: Value | undefined
  /** A gesture is going on, and this is its last value. */
  gestureValue: Value | undefined
  /** Replaced rather than emptied: what is pushed to an emptied array has memory for 17 allotted. */
  private expected: Expected[] = []

  constructor(
    number: number,
    address: string,
    oscAddress: string,
    signal: RuleSignal,
    touched?: string,
    touch?: string,
  ) {
    this.number = number
    this.address = address
    this.oscAddress = oscAddress
    this.signal = signal
    this.touched = touched
    this.touch = touch
  }

  /** This value of a peer is on its way to the router, and is to come back from then on. */
  expect(value: Value, peer: OscPeer, fromMs: number): void {
    const one = { value, peer, fromMs }
    if (this.expected.length === 0) {
      this.expected = [one]
      return
    }
    if (this.expected.length === MAX_EXPECTED) this.expected.shift()
    this.expected.push(one)
  }

  /** What should have come back by now was refused. Returns whether anything is still expected. */
  forgetLate(nowMs: number): boolean {
    const { expected } = this
    for (let at = expected.length - 1; at >= 0; at--) {
      if (expected[at].fromMs + EXPECTED_MS < nowMs) expected.splice(at, 1)
    }
    return expected.length > 0
  }

  /**
   * The router tells a value: whose it is (undefined: of nobody here), and whether it is news. A peer whose value the router
   * changed has to be told even what everybody knows.
   */
  take(value: Value, nowMs: number): { origin: OscPeer | undefined; isNews: boolean } {
    let origin: OscPeer | undefined
    let isCorrection = false
    if (this.expected.length > 0) {
      this.forgetLate(nowMs)
      const dueBeforeMs = nowMs + EARLY_MS
      origin = this.takeExpected(value, dueBeforeMs)
      isCorrection = origin === undefined && this.expected.some(({ fromMs }) => fromMs <= dueBeforeMs)
    }
    const isNews = isCorrection || this.value === undefined || !isEqual(this.value, value)
    this.value = value
    this.type = 'param'
    return { origin, isNews }
  }

  /** Whose value it is. What was sent before it has been replaced or refused. */
  private takeExpected(value: Value, dueBeforeMs: number): OscPeer | undefined {
    const { expected } = this
    for (let found = 0; found < expected.length; found++) {
      if (expected[found].fromMs > dueBeforeMs || !isSameOnWire(expected[found].value, value)) continue
      const { peer } = expected[found]
      if (expected.length === 1) this.expected = []
      else for (let at = found; at >= 0; at--) if (expected[at].fromMs <= dueBeforeMs) expected.splice(at, 1)
      return peer
    }
    return undefined
  }
}

/** The addresses that were heard of, in both spellings. Of more than 16 384 the oldest are forgotten. */
export class OscDirectory {
  private readonly namespace: string
  private readonly rules: readonly { readonly pattern: Pattern; readonly text: string; readonly signal: RuleSignal }[]
  private readonly byAddress = new Map<string, OscEntry>()
  private readonly byOsc = new Map<string, OscEntry>()
  /** Matches of patterns, good until an address is added, or for a second. */
  private readonly matches = new Map<string, readonly OscEntry[]>()
  private nextNumber = 0
  private matchesUntil = Number.NEGATIVE_INFINITY
  private readonly announced: () => readonly SignalDefinition[]
  private readonly clock: Clock

  /** `announced` = what others announced below the namespace: patterns may mean it though nothing was heard of it. */
  constructor(
    namespace: string,
    rules: OscOptions['signals'],
    announced: () => readonly SignalDefinition[],
    clock: Clock,
  ) {
    this.namespace = namespace
    this.announced = announced
    this.clock = clock
    this.rules = rules.flatMap(({ match, signal }) => {
      const pattern = Pattern.parse(match)
      return pattern instanceof Pattern ? [{ pattern, text: match, signal }] : []
    })
  }

  /** Of an address of the router; made when there is none. */
  entryOf(address: string): OscEntry {
    return this.byAddress.get(address) ?? this.add(address, oscAddressOf(this.namespace, address))
  }

  /** Of an address that arrived; undefined: it does not fit into an address of the router. */
  entryOfOsc(oscAddress: string): OscEntry | undefined {
    const known = this.byOsc.get(oscAddress)
    if (known !== undefined) return known
    const address = claspAddressOf(this.namespace, oscAddress)
    if (address === undefined) return undefined
    const entry = this.byAddress.get(address) ?? this.add(address, oscAddress)
    this.byOsc.set(oscAddress, entry)
    return entry
  }

  known(address: string): OscEntry | undefined {
    return this.byAddress.get(address)
  }

  /** Never of a pattern. */
  knownOsc(oscAddress: string): OscEntry | undefined {
    return this.byOsc.get(oscAddress)
  }

  /** All that was heard of below the namespace and matches; undefined: it is no pattern. */
  matching(text: string): readonly OscEntry[] | undefined {
    const now = this.clock.now()
    const cached = this.matches.get(text)
    if (cached !== undefined && now < this.matchesUntil) return cached
    const pattern = OscPattern.parse(text)
    if (pattern === undefined) return undefined
    if (now >= this.matchesUntil) this.refresh(now)
    const found = [...this.byAddress.values()].filter(
      ({ address, oscAddress }) => this.isBelow(address) && pattern.matches(oscAddress),
    )
    if (this.matches.size >= MAX_PATTERNS) this.matches.clear()
    this.matches.set(text, found)
    return found
  }

  /** Addresses of all params with a value. */
  *params(): Iterable<string> {
    for (const { address, value } of this.byAddress.values()) if (value !== undefined) yield address
  }

  /** What this bridge announces: all below the namespace, and the addresses that were heard of, as far as a frame goes. */
  announcement(): SignalDefinition[] {
    const signals: SignalDefinition[] = [{ address: `${this.namespace}/**`, type: 'param', access: 'rw' }]
    let bytes = 0
    for (const { address, type, value } of this.byAddress.values()) {
      if (type === undefined || !this.isBelow(address)) continue
      bytes += Buffer.byteLength(address) + 16
      if (signals.length > MAX_ANNOUNCED || bytes > MAX_ANNOUNCED_BYTES) break
      signals.push({ address, type, access: 'rw', datatype: type === 'param' ? value?.type : undefined })
    }
    return signals
  }

  private refresh(now: number): void {
    this.matches.clear()
    this.matchesUntil = now + MATCHES_MS
    let left = MAX_ENTRIES / 2
    for (const { address } of this.announced()) {
      if (address.includes('*')) continue
      if (left-- === 0) return
      this.entryOf(address)
    }
  }

  private add(address: string, oscAddress: string): OscEntry {
    const slash = oscAddress.lastIndexOf('/')
    const rule = this.rules.find(({ pattern }) => pattern.matches(oscAddress))
    const signal = rule?.signal ?? 'param'
    const touched = signal === 'gesture' && slash > 0 ? oscAddress.slice(0, slash) : undefined
    const entry = new OscEntry(this.nextNumber++, address, oscAddress, signal, touched, this.touchOf(oscAddress))
    if (this.byAddress.size >= MAX_ENTRIES) this.forgetOldest()
    this.byAddress.set(address, entry)
    // Whole addresses from elsewhere may look like names below the namespace, and names with an empty part like patterns.
    if (this.isBelow(address) && !isOscPattern(oscAddress)) this.byOsc.set(oscAddress, entry)
    this.matches.clear()
    return entry
  }

  private isBelow(address: string): boolean {
    return address.startsWith(`${this.namespace}/`)
  }

  /** Where a rule for gestures ends with a name, touches are told below that name. */
  private touchOf(oscAddress: string): string | undefined {
    for (const { pattern, text, signal } of this.rules) {
      const name = text.slice(text.lastIndexOf('/') + 1)
      if (signal !== 'gesture' || name === '' || name.includes('*')) continue
      if (pattern.matches(`${oscAddress}/${name}`)) return `${oscAddress}/${name}`
    }
    return undefined
  }

  private forgetOldest(): void {
    for (const [address, { oscAddress }] of this.byAddress) {
      this.byAddress.delete(address)
      this.byOsc.delete(oscAddress)
      break
    }
    // Other spellings of addresses that are gone.
    if (this.byOsc.size > 2 * MAX_ENTRIES) this.byOsc.clear()
  }
}

function isEqual(a: Value, b: Value): boolean {
  if (a.type !== b.type) return false
  if (a.type === 'null' || b.type === 'null') return true
  return typeof a.value === 'object' ? isDeepStrictEqual(a.value, b.value) : Object.is(a.value, b.value)
}
