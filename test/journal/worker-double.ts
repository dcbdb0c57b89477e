import { mkdtempSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What the double does with the next message; read anew for each. */
export type DoubleMode =
  /** Opens and commits, and forgets everything. */
  | 'obedient'
  /** Each commit fails, and so does each opening. */
  | 'full'
  /** A commit ends the thread. */
  | 'dying'
  /** A commit gets no answer. */
  | 'silent'

/** Stands in for the database thread where it is to fail in ways that the real one cannot be brought to. */
export class WorkerDouble {
  readonly folder = mkdtempSync(join(tmpdir(), 'journal-double-'))
  readonly program = join(this.folder, 'worker.cjs')

  constructor() {
    this.behave('obedient')
    writeFileSync(this.program, PROGRAM)
  }

  behave(mode: DoubleMode): void {
    // The thread may be reading: it sees the one or the other.
    const file = join(this.folder, 'mode')
    writeFileSync(`${file}.new`, mode)
    renameSync(`${file}.new`, file)
  }
}

const PROGRAM = `
const { readFileSync } = require('node:fs')
const { parentPort, workerData } = require('node:worker_threads')
const problem = { kind: 'full', words: 'the disk is full: make room in ' + workerData.folder }
const summary = { params: 0, tombstones: 0, entries: 0, lastSeq: 0, nextAddress: 1, nextAuthor: 1, nextEvent: 1, wasCrash: false, era: 0, bytes: 0 }
parentPort.on('message', (message) => {
  const mode = readFileSync(workerData.folder + '/mode', 'utf8')
  const { type, id } = message
  if (type === 'open') parentPort.postMessage(mode === 'full' ? { type: 'unavailable', problem } : { type: 'opened', summary })
  else if (type === 'commit') {
    if (mode === 'obedient') parentPort.postMessage({ type: 'committed', id, bytes: 4096 })
    else if (mode === 'full') parentPort.postMessage({ type: 'failed', id, problem })
    else if (mode === 'dying') process.exit(7)
  } else if (type === 'replay') {
    parentPort.postMessage({ type: 'page', id, batch: new ArrayBuffer(0), seqs: new Float64Array(0), lastSeq: 0, isLast: true })
  } else if (type === 'close') {
    parentPort.postMessage({ type: 'closed' })
    parentPort.close()
  }
})
`
