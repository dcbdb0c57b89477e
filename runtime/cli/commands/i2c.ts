import type { CommandGroup } from './index.ts'

export const i2c: CommandGroup = {
  summary: 'chips on I2C buses: finding them, freeing a stuck bus',
  commands: {
    scan: {
      summary: 'chips on a bus, and what to put into the configuration',
      load: async () => (await import('./i2c-scan.ts')).i2cScan,
    },
    recover: {
      summary: 'free a bus that a chip holds down',
      load: async () => (await import('./i2c-recover.ts')).i2cRecover,
    },
  },
}
