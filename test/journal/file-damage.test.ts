/** A whole router on files that were damaged while it was not running. */
import assert from 'node:assert/strict'
import { appendFileSync, closeSync, existsSync, openSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { PluggedRouter, temporaryFolder } from './plug.ts'
import { put, tells, textAt, texts } from './plug-client.ts'

const PAGE_BYTES = 4096

for (const [name, damage] of Object.entries({
  'cut in the middle': (log: string) => truncateSync(log, Math.floor(statSync(log).size / 2)),
  'cut within its header': (log: string) => truncateSync(log, 17),
  'cut to nothing': (log: string) => truncateSync(log, 0),
  gone: (log: string) => rmSync(log),
  'followed by rubbish': (log: string) => appendFileSync(log, Buffer.alloc(10_000, 0xa5)),
  'overwritten in the middle': (log: string) => overwrite(log, Math.floor(statSync(log).size / 2), 6000, 0),
})) {
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

for (const [name, { damage, least }] of Object.entries({
  'has a zeroed page in the middle': {
    damage: (file: string) =>
      overwrite(file, Math.floor(statSync(file).size / PAGE_BYTES / 2) * PAGE_BYTES, PAGE_BYTES, 0),
    least: 1800,
  },
  'has a last page of rubbish': {
    damage: (file: string) => overwrite(file, statSync(file).size - PAGE_BYTES, PAGE_BYTES, 0xa5),
    least: 1800,
  },
  'has lost its second half': {
    damage: (file: string) => truncateSync(file, Math.floor(statSync(file).size / PAGE_BYTES / 2) * PAGE_BYTES),
    least: 0,
  },
  'has a zeroed first page': { damage: (file: string) => overwrite(file, 0, PAGE_BYTES, 0), least: 0 },
  'is empty': { damage: (file: string) => truncateSync(file, 0), least: 0 },
})) {
  test(`a database that ${name} is moved aside and named, and what can be read comes back`, async (t) => {
    const folder = temporaryFolder(t)
    const file = join(folder, 'journal.db')
    const first = await PluggedRouter.start(t, folder)
    const writer = await first.connect('writer')
    const text = (i: number) => `value ${i} ${'x'.repeat(i % 50)}`
    for (let i = 0; i < 2000; i += 200)
      await writer.bundle(
        Array.from({ length: 200 }, (_, n): Message => {
          return { type: 'SET', address: `/batched/${i + n}`, value: { type: 'string', value: text(i + n) } }
        }),
      )
    await first.stop()
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
    t.diagnostic(`${back.length} of 2000 params came back`)
    assert.ok(back.length >= least, `${back.length} of 2000 params`)
    for (const { address, value } of back)
      assert.deepEqual(value, { type: 'string', value: text(Number(address.split('/')[2])) })

    await put(client, '/sync/new', 'after the repair')
    await router.pull()
    const next = await PluggedRouter.start(t, folder)
    assert.equal((await next.journal()).facts.state, 'durable')
    const again = await next.connect('reader')
    assert.equal((await again.snapshot('/batched/*')).length, back.length)
    assert.equal(await textAt(again, '/sync/new'), 'after the repair')
  })
}

function overwrite(path: string, at: number, length: number, byte: number): void {
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(length, byte), 0, length, at)
  closeSync(file)
}
