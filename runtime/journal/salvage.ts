import type { OpenSummary } from './messages.ts'
import type { SqliteConnection } from './sqlite.ts'
import { StoredState } from './stored-state.ts'
import { TableWriter } from './table-writer.ts'

/**
 * Copies what can be read of a damaged database into a new one, the state first; entries keep their numbers. `damaged`
 * tells why where there is nothing to be read at all.
 */
export function salvage(
  damaged: SqliteConnection | string,
  target: SqliteConnection,
): NonNullable<OpenSummary['recovered']> {
  const recovered = { params: 0, entries: 0, events: 0, lost: '' }
  if (typeof damaged === 'string') return { ...recovered, lost: damaged }
  const state = new StoredState(damaged)
  const writer = new TableWriter(target, 0)
  const addresses = new Set<number>()
  const authors = new Set<number>()
  for (const [name, value] of state.metas()) writer.meta(name, value)
  for (const [id, text] of state.texts('authors')) {
    writer.author(id, text)
    authors.add(id)
  }
  const nameAuthor = (id: number) => {
    if (!authors.has(id)) writer.author(id, state.author(id))
    authors.add(id)
  }
  for (const [id, text] of state.texts('addresses')) {
    writer.address(id, text)
    addresses.add(id)
  }
  for (const { address, record } of state.params()) {
    if (!addresses.has(record.address)) writer.address(record.address, address)
    addresses.add(record.address)
    nameAuthor(record.author)
    writer.param(record)
    recovered.params++
  }
  for (const { id, expiresAtUs, frame } of state.events()) {
    writer.event(id, expiresAtUs, frame)
    recovered.events++
  }
  for (const { seq, record } of state.entries()) {
    if (!addresses.has(record.address)) {
      state.lost.entries++
      continue
    }
    nameAuthor(record.author)
    writer.entryAt(seq, record)
    recovered.entries++
  }
  return { ...recovered, lost: wordsFor(state.lost) }
}

function wordsFor(lost: StoredState['lost']): string {
  const { gaps, params, entries, events, texts } = lost
  const parts = [
    [gaps, 'unreadable places'],
    [params, 'params'],
    [entries, 'entries'],
    [events, 'events'],
    [texts, 'names'],
  ] as const
  const named = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
  return named.length === 0 ? 'nothing that was readable' : named.join(', ')
}
