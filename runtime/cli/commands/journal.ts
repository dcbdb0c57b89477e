import type { CommandGroup } from './index.ts'

export const journal: CommandGroup = {
  summary: 'state and history on disk: look, export, import',
  commands: {
    stats: {
      summary: 'what is stored, since when, how large',
      load: async () => (await import('./journal-stats.ts')).journalStats,
    },
    replay: {
      summary: 'history of addresses',
      load: async () => (await import('./journal-replay.ts')).journalReplay,
    },
    export: {
      summary: 'everything as JSON Lines',
      load: async () => (await import('./journal-export.ts')).journalExport,
    },
    import: {
      summary: 'what was exported, back into a journal',
      load: async () => (await import('./journal-import.ts')).journalImport,
    },
    vacuum: {
      summary: 'give free space back',
      load: async () => (await import('./journal-vacuum.ts')).journalVacuum,
    },
  },
}
