import type { BridgeContext } from '../bridge.ts'
import { EchoWindow } from '../echo-window.ts'
import { ActiveSensingSender } from './active-sensing.ts'
import { ClockGenerator } from './clock-generator.ts'
import { GearValues } from './gear-values.ts'
import { MidiInput } from './midi-input.ts'
import type { MidiOptions, PortOptions } from './midi-kind.ts'
import { MidiOutput } from './midi-output.ts'
import type { FoundPort, MidiPort } from './midi-port.ts'
import { midiSignals } from './midi-signals.ts'
import { CLOCK } from './midi-status.ts'
import { keyOf } from './midi-target.ts'
import { OutputQueue } from './output-queue.ts'
import { TimeCodeSender } from './time-code-sender.ts'

/** A port while it is open: what it says goes to the router, and what the router has for it goes out. */
export class MidiDevice {
  readonly level: string
  private readonly context: BridgeContext<MidiOptions>
  private readonly base: string
  private readonly gear = new GearValues()
  private readonly echoes: EchoWindow
  private readonly input: MidiInput
  private port: MidiPort | null = null
  private output: MidiOutput | null = null
  private generator: ClockGenerator | null = null
  private timeCode: TimeCodeSender | null = null
  private sensing: ActiveSensingSender | null = null
  private unsubscribe = () => {}
  private isClosed = false

  private constructor(level: string, context: BridgeContext<MidiOptions>) {
    const { namespace, options, router, clock, counters } = context
    this.level = level
    this.context = context
    this.base = `${namespace}/${level}`
    this.echoes = new EchoWindow(options.echoWindow, clock)
    this.input = new MidiInput({
      base: this.base,
      options,
      router,
      clock,
      gear: this.gear,
      echoes: this.echoes,
      onDropped: (count) => {
        counters.inDropped += count
      },
    })
  }

  /** `level`: its part of addresses. Rejects with an error for the operator. */
  static async open(
    found: FoundPort,
    entry: PortOptions,
    level: string,
    context: BridgeContext<MidiOptions>,
    onGone: (reason: string) => void,
  ): Promise<MidiDevice> {
    const device = new MidiDevice(level, context)
    const port = await found.open({
      onBytes: (bytes) => {
        if (entry.direction !== 'out' && !device.isClosed) device.input.push(bytes)
      },
      onGone: (reason) => {
        device.leave()
        onGone(reason)
      },
    })
    device.port = port
    if (!device.isClosed) device.begin(found, entry, port)
    return device
  }

  /** Notes have ended on both sides and the port is closed when it resolves. Never rejects. */
  async close(): Promise<void> {
    if (!this.isClosed) {
      this.output?.silence()
      this.leave()
    }
    await this.port?.close()
  }

  private begin(found: FoundPort, { direction, runningStatus }: PortOptions, port: MidiPort): void {
    const { options, router, clock, counters } = this.context
    const access = direction === 'both' ? 'rw' : direction === 'in' ? 'r' : 'w'
    router.announce(this.base, midiSignals(this.base, access, options))
    if (direction === 'in') return
    const { bytesPerS, sysExBytesPerS } = found
    const queue = new OutputQueue(port, { bytesPerS, sysExBytesPerS, runningStatus }, clock, () => {
      counters.outDropped++
    })
    if (options.generateClock) this.generator = new ClockGenerator(clock, () => queue.realTime(CLOCK))
    if (options.activeSensing) {
      this.sensing = new ActiveSensingSender(clock, queue)
      this.sensing.start()
    }
    const timeCode = new TimeCodeSender(clock, (message, piece) => {
      queue.push(message, piece === undefined ? undefined : keyOf({ kind: 'mtc', channel: 0, number: piece }))
    })
    this.timeCode = timeCode
    const output = new MidiOutput({
      options: { ...options, defaultChannel: options.addressStyle === 'spec' ? options.defaultChannel : undefined },
      port,
      queue,
      gear: this.gear,
      echoes: this.echoes,
      onTempo: (beatsPerMinute) => this.generator?.setTempo(beatsPerMinute),
      onTimeCode: (time) => timeCode.take(time),
    })
    this.output = output
    const prefix = `${this.base}/`
    this.unsubscribe = router.subscribe(`${prefix}**`, (update) => {
      if (!update.address.startsWith(prefix) || (update.isInitial && !options.restore)) return
      if (!output.take(update.address.slice(prefix.length), update)) counters.outDropped++
    })
  }

  /** Nothing comes any more, and what it played has ended. */
  private leave(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.unsubscribe()
    this.generator?.stop()
    this.timeCode?.stop()
    this.sensing?.stop()
    this.output?.end()
    this.input.stop()
    this.context.router.announce(this.base, [])
  }
}
