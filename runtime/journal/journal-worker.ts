/** The thread that owns the database; `workerData` is a JournalFile, messages are those of `messages.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../router/clock.ts'
import { DatabaseOwner } from './database-owner.ts'
import type { FromWorker, JournalFile, ToWorker } from './messages.ts'
import { loadSqlite } from './sqlite.ts'
import { problemOf } from './store-problem.ts'

const port = parentPort
if (port === null) throw new Error('this is a worker thread of clasp-edge, not a program')
const file = workerData as JournalFile
const send = (message: FromWorker, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer)

/** Asked for until the library loads; messages that come meanwhile wait in order. */
const owner = loadSqlite().then((sqlite) => new DatabaseOwner(sqlite, file, systemClock, send))
owner.catch(() => {})

port.on('message', async (message: ToWorker) => {
  try {
    ;(await owner).handle(message)
  } catch (error) {
    const problem = problemOf(error, file.folder)
    if (message.type === 'commit') send({ type: 'failed', id: message.id, problem })
    else if (message.type === 'close') send({ type: 'closed' })
    else send({ type: 'unavailable', problem })
  }
  if (message.type === 'close') port.close()
})
