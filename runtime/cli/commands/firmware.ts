import type { CommandGroup } from './index.ts'

export const firmware: CommandGroup = {
  summary: 'microcontrollers: ports, devices, frames, flashing',
  commands: {
    ports: {
      summary: 'serial ports of this machine, and what speaks on them',
      load: async () => (await import('./firmware-ports.ts')).firmwarePorts,
    },
    info: {
      summary: 'devices of a running router',
      load: async () => (await import('./firmware-info.ts')).firmwareInfo,
    },
    monitor: {
      summary: 'frames of a port or a device, decoded',
      load: async () => (await import('./firmware-monitor.ts')).firmwareMonitor,
    },
    ping: {
      summary: 'round trips to a device',
      load: async () => (await import('./firmware-ping.ts')).firmwarePing,
    },
    flash: {
      summary: 'put firmware on a board, with the tool made for it',
      load: async () => (await import('./firmware-flash.ts')).firmwareFlash,
    },
  },
}
