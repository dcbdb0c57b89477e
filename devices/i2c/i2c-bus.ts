import { defineDevice } from '../device.ts'
import { i2cBus } from '../options.ts'
import { hexAddress } from './bus.ts'
import { identifyChip } from './known-chips.ts'

/**
 * A bus itself, for who sets up a board from afar: looks for chips when a client asks, and names those that say what they
 * are. It addresses every chip: nothing for a bus with outputs that are in use. Source: bridges.md §20.2 and §20.7.
 */
export const i2cBusScan = defineDevice({
  kind: 'i2c-bus',
  description: 'An I2C bus, which looks for its chips when a client asks for it.',
  namespace: 'i2c',
  options: { bus: i2cBus },
  isOwnTwin: true,
  signals: () => ({
    scan: { type: 'event', datatype: 'map', access: 'w', description: 'Look for chips' },
    devices: {
      type: 'param',
      datatype: 'map',
      access: 'r',
      description: 'Chips by their addresses, with what they say that they are; empty = they say nothing',
    },
  }),
  async open({ options, i2c, clock, set, problem, lost }) {
    const bus = await i2c.open(options.bus, lost)
    let isScanning = false
    const scan = async () => {
      const found: Record<string, string> = {}
      for (const address of await bus.scan()) {
        const { part = '' } = await identifyChip(bus, address, { clock, asked: true })
        found[hexAddress(address)] = part
      }
      set('devices', found)
    }
    return {
      write: {
        scan() {
          if (isScanning) return
          isScanning = true
          scan()
            .catch((error: Error) => problem('scan', error.message))
            .finally(() => {
              isScanning = false
            })
        },
      },
      close: () => bus.close(),
    }
  },
})
