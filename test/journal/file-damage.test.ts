/** A whole router on files that were damaged while it was not running. */
import assert from 'node:assert/strict'
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { SeededRandom } from '../firmware-protocol/seeded-random.ts'
import { someOf } from '../long-run.ts'
import { PluggedRouter, temporaryFolder } from './plug.ts'
import { put, tells, textAt, texts } from './plug-client.ts'

const SEED = Number(process.env.CLASP_PLUG_SEED ?? Date.now() % 1_000_000)
const PAGE_BYTES = 4096
const PARAMS = 2000

for (const [name, damage] of someOf(
  Object.entries({
    'cut in the middle': (log: string) => truncateSync(log, Math.floor(statSync(log).size / 2)),
    'cut within its header': (log: string) => truncateSync(log, 17),
    'cut to nothing': (log: string) => truncateSync(log, 0),
    gone: (log: string) => rmSync(log),
    'followed by rubbish': (log: string) => appendFileSync(log, Buffer.alloc(10_000, 0xa5)),
    'overwritten in the middle': (log: string) => overwrite(log, Math.floor(statSync(log).size / 2), 6000, 0),
  }),
)) {
  test(`a log that is ${name} between two runs costs only its end`, async (t) => {
    const folder = temporaryFolder(t)
    const first = await PluggedRouter.start(t, folder)
    const writer = await first.connect('writer')
    const written: string[] = []
    for (let i = 0; i < 60; i++) {
      await put(writer, `/sync/${i % 10}`, `value ${i}`)
      written.push(`value ${i}`)
    }
    await first.pull()
    damage(join(folder, 'journal.db-wal'))

    const router = await PluggedRouter.start(t, folder)
    const client = await router.connect('reader')
    const { facts } = await router.journal()
    assert.equal(facts.state, 'durable')
    assert.equal(facts.movedTo, '')
    const back = await texts(client, '/sync/*')
    const last = Math.max(-1, ...back.map((text) => written.indexOf(text)))
    // Of ten addresses in turn exactly the last ten values up to one of them.
    assert.deepEqual(back.sort(), written.slice(Math.max(0, last - 9), last + 1).sort())
    if (name === 'followed by rubbish') assert.equal(last, 59)
    await put(client, '/sync/0', 'goes on')
    await router.pull()
    const again = await (await PluggedRouter.start(t, folder)).connect('reader')
    assert.equal(await textAt(again, '/sync/0'), 'goes on')
  })
}

for (const [name, { damage, least }] of someOf(
  Object.entries({
    'has a zeroed page in the middle': {
      damage: (file: string) =>
        overwrite(file, Math.floor(statSync(file).size / PAGE_BYTES / 2) * PAGE_BYTES, PAGE_BYTES, 0),
      least: 1800,
    },
    'has a last page of rubbish': {
      damage: (file: string) => overwrite(file, statSync(file).size - PAGE_BYTES, PAGE_BYTES, 0xa5),
      least: 1800,
    },
    'has a zeroed page of its newest names': {
      damage: (file: string) => overwrite(file, pageOf(file, '/batched/1999'), PAGE_BYTES, 0),
      least: 1800,
    },
    'has lost its second half': {
      damage: (file: string) => truncateSync(file, Math.floor(statSync(file).size / PAGE_BYTES / 2) * PAGE_BYTES),
      least: 500,
    },
    'has a zeroed first page': { damage: (file: string) => overwrite(file, 0, PAGE_BYTES, 0), least: 0 },
    'is empty': { damage: (file: string) => truncateSync(file, 0), least: 0 },
  }),
)) {
  test(`a database that ${name} is moved aside and named, and what can be read comes back`, async (t) => {
    const folder = temporaryFolder(t)
    const file = join(folder, 'journal.db')
    await storeMany(t, folder)
    damage(file)

    const router = await PluggedRouter.start(t, folder)
    const client = await router.connect('reader')
    const { facts, summary } = await router.journal()
    assert.equal(facts.state, 'repaired')
    const movedTo = String(facts.movedTo)
    assert.ok(existsSync(movedTo), `${movedTo} is there`)
    assert.ok(summary.includes(movedTo))
    assert.match(router.log, /was damaged and has been moved aside/)
    assert.ok(router.log.includes(movedTo))
    await tells(client, 'movedTo', /damaged-/)
    await tells(client, 'state', /^repaired$/)
    const back = await client.snapshot('/batched/*')
    t.diagnostic(`${back.length} of ${PARAMS} params came back`)
    assert.ok(back.length >= least, `${back.length} of ${PARAMS} params`)
    for (const { address, value } of back) assert.deepEqual(value, { type: 'string', value: text(address) })

    await put(client, '/sync/new', 'after the repair')
    await router.pull()
    const next = await PluggedRouter.start(t, folder)
    assert.equal((await next.journal()).facts.state, 'durable')
    const again = await next.connect('reader')
    assert.deepEqual(await again.snapshot('/batched/*'), back)
    assert.equal(await textAt(again, '/sync/new'), 'after the repair')
  })
}

/** Fills a database and closes it in good order. */
async function storeMany(t: TestContext, folder: string): Promise<void> {
  const router = await PluggedRouter.start(t, folder)
  const writer = await router.connect('writer')
  for (let i = 0; i < PARAMS; i += 200) {
    const messages = Array.from({ length: 200 }, (_, n): Message => {
      const address = `/batched/${i + n}`
      return { type: 'SET', address, value: { type: 'string', value: text(address) } }
    })
    await writer.bundle(messages)
  }
  await router.stop()
}

function text(address: string): string {
  return `value ${address.slice(9)} ${'x'.repeat(Number(address.split('/')[2]) % 50)}`
}

/** Where the page begins that holds a text. */
function pageOf(file: string, text: string): number {
  const at = readFileSync(file).lastIndexOf(text)
  assert.ok(at > 0, `${text} is in the file`)
  return at - (at % PAGE_BYTES)
}

function overwrite(path: string, at: number, length: number, byte: number): void {
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(length, byte), 0, length, at)
  closeSync(file)
}

test('a repair that is killed again and again is finished by a later start', async (t) => {
  const random = new SeededRandom(SEED)
  const folder = temporaryFolder(t)
  const file = join(folder, 'journal.db')
  await storeMany(t, folder)
  overwrite(file, Math.floor(statSync(file).size / PAGE_BYTES / 2) * PAGE_BYTES, PAGE_BYTES, 0)
  const moments = Array.from({ length: 5 }, () => 150 + random.below(300))
  for (const moment of moments) {
    const router = new PluggedRouter(t, folder)
    await new Promise((resolve) => setTimeout(resolve, moment))
    await router.pull()
  }
  t.diagnostic(`CLASP_PLUG_SEED=${SEED}: killed after ${moments.join(', ')} ms`)

  const router = await PluggedRouter.start(t, folder)
  const back = await (await router.connect('reader')).snapshot('/batched/*')
  assert.ok(back.length >= 1800, `${back.length} of ${PARAMS} params`)
  for (const { address, value } of back) assert.deepEqual(value, { type: 'string', value: text(address) })
})

test('revisions never go back, not even when nothing of the database can be read any more', async (t) => {
  const folder = temporaryFolder(t)
  const address = '/sync/x'
  let last = 0
  for (let life = 0; life < 4; life++) {
    const router = await PluggedRouter.start(t, folder)
    const client = await router.connect('writer')
    const { revision } = await client.set(address, { type: 'i64', value: life })
    assert.ok(Number(revision) > last, `${revision} after ${last}`)
    last = Number(revision)
    await router.pull()
    if (life === 2) {
      overwrite(join(folder, 'journal.db'), 0, PAGE_BYTES, 0)
      rmSync(join(folder, 'journal.db-wal'), { force: true })
    }
  }
  assert.ok(Number.isSafeInteger(last))
})
