import type { CommandGroup } from './index.ts'

export const simulate: CommandGroup = {
  summary: 'devices that are not there, to try things out',
  commands: {
    node: {
      summary: 'a microcontroller with our firmware, as a process',
      load: async () => (await import('./simulate-node.ts')).simulateNode,
    },
  },
}
