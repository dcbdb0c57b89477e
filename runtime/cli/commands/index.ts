import type { Command } from '../command.ts'
import { firmware } from './firmware.ts'
import { i2c } from './i2c.ts'
import { journal } from './journal.ts'
import { simulate } from './simulate.ts'

export interface CommandEntry {
  /** For the list of commands. */
  summary: string
  /** Loads the command and what it needs, and nothing else. */
  load(): Promise<Command>
}

/** Commands of two words: `firmware ports`. */
export interface CommandGroup {
  /** For the list of commands. */
  summary: string
  /** By their second word. */
  commands: Readonly<Record<string, CommandEntry>>
}

export const commands: Readonly<Record<string, CommandEntry | CommandGroup>> = {
  run: { summary: 'start a router', load: async () => (await import('./run.ts')).run },
  check: { summary: 'check a configuration file', load: async () => (await import('./check.ts')).check },
  status: { summary: 'how a running router is doing', load: async () => (await import('./status.ts')).status },
  get: { summary: 'read a param', load: async () => (await import('./get.ts')).get },
  set: { summary: 'write a param', load: async () => (await import('./set.ts')).set },
  sub: { summary: 'watch signals as they come', load: async () => (await import('./sub.ts')).sub },
  emit: { summary: 'send an event', load: async () => (await import('./emit.ts')).emit },
  stream: { summary: 'send a stream of values', load: async () => (await import('./stream.ts')).stream },
  bundle: { summary: 'send several messages as one', load: async () => (await import('./bundle.ts')).bundle },
  query: { summary: 'list announced signals', load: async () => (await import('./query.ts')).query },
  snapshot: { summary: 'print the params a router holds', load: async () => (await import('./snapshot.ts')).snapshot },
  monitor: { summary: 'live table of signals', load: async () => (await import('./monitor.ts')).monitor },
  discover: { summary: 'find routers on the network', load: async () => (await import('./discover.ts')).discover },
  bench: { summary: 'measure a running router', load: async () => (await import('./bench.ts')).bench },
  board: { summary: 'the pins of this board', load: async () => (await import('./board.ts')).board },
  doctor: { summary: 'what is wrong with this machine', load: async () => (await import('./doctor.ts')).doctor },
  i2c,
  kinds: {
    summary: 'the devices and bridges that there are, and their settings',
    load: async () => (await import('./kinds.ts')).kinds,
  },
  journal,
  firmware,
  simulate,
  version: { summary: 'print the version', load: async () => (await import('./version.ts')).version },
}
