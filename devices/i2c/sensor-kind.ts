import {
  type AnyDeviceKind,
  type DeviceContext,
  defineDevice,
  type OpenDevice,
  type SignalSpec,
  type SimulatedStream,
} from '../device.ts'
import { chipAddress, i2cBus, type OptionSpecs, type OptionsOf } from '../options.ts'
import { I2cChip } from './chip.ts'

export interface SensorTraits<S extends OptionSpecs> {
  readonly kind: string
  readonly description: string
  /** Those that the chip can be set to; the first one is usual. */
  readonly addresses: readonly number[]
  /** Default `i2c`. */
  readonly namespace?: string
  readonly options: S
  readonly sampleMs: number
  signals(options: OptionsOf<S>): Readonly<Record<string, SignalSpec>>
  /** See `DeviceKind`. */
  simulatedStream?(options: OptionsOf<S>): SimulatedStream | undefined
  check?(options: OptionsOf<S>): string | undefined
  /** Finds out that it is the right chip and sets it up; rejects with what is wrong. */
  setUp(
    chip: I2cChip,
    context: DeviceContext<S>,
  ): Promise<Pick<OpenDevice, 'write' | 'safe'> & Pick<Required<OpenDevice>, 'read'>>
}

/** A chip that is read at an interval. When it was away it is set up anew, for it has forgotten everything. */
export function i2cSensor<S extends OptionSpecs>(traits: SensorTraits<S>): AnyDeviceKind {
  const { addresses, namespace = 'i2c', options, setUp, check, ...rest } = traits
  return defineDevice({
    ...rest,
    namespace,
    isReopened: true,
    options: { bus: i2cBus, chipAddress: chipAddress(addresses), ...options },
    signals: (chosen) => traits.signals(chosen as unknown as OptionsOf<S>),
    simulatedStream: (chosen) => traits.simulatedStream?.(chosen as unknown as OptionsOf<S>),
    check: (chosen) => check?.(chosen as unknown as OptionsOf<S>),
    async open(context) {
      const { bus: name, chipAddress: address } = context.options as unknown as { bus: string; chipAddress: number }
      const bus = await context.i2c.open(name, (error) => context.lost(error))
      try {
        const chip = new I2cChip(bus, address, context.clock, context.signal)
        const device = await setUp(chip, context as unknown as DeviceContext<S>)
        return { ...device, close: () => bus.close() }
      } catch (error) {
        await bus.close()
        throw error
      }
    },
  })
}
