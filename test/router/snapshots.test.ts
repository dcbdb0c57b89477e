import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { Bench, bytes, float, int, type Peer } from './fixture.ts'

async function fill(peer: Peer, count: number, address: (i: number) => string): Promise<void> {
  for (let i = 0; i < count; i++) peer.set(address(i), float(i))
  const acks = () => peer.inbox.filter(({ type }) => type === 'ACK').length
  await peer.until(() => acks() === count, `${count} ACKs`)
  peer.inbox.length = 0
}

const entries = (messages: Message[]) => messages.flatMap((m) => (m.type === 'SNAPSHOT' ? m.params : []))

describe('snapshots', () => {
  it('bring a late joiner everything, however long the addresses are', async () => {
    const bench = await Bench.start()
    try {
      const writer = await bench.join()
      await fill(writer, 2000, (i) => `/venue/${'a-rather-long-name/'.repeat(5)}${i}`)
      writer.set('/big/value', bytes(65_000))
      await writer.next('ACK')
      const late = await bench.connect()
      late.send({ type: 'HELLO', version: 1, features: [], name: 'late' })
      await late.until(() => entries(late.inbox).length === 2001, '2001 params')
      assert.equal(late.inbox[0].type, 'WELCOME')
      assert.ok(late.inbox.slice(1).every((m) => m.type === 'SNAPSHOT' && m.params.length <= 800))
      const addresses = new Set(entries(late.inbox).map(({ address }) => address))
      assert.equal(addresses.size, 2001)
    } finally {
      await bench.stop()
    }
  })

  it('of 100 000 params arrive whole, in pages, with replies in the order of requests', async () => {
    const bench = await Bench.start()
    try {
      const writer = await bench.join()
      for (let block = 0; block < 100; block++) await fill(writer, 1000, (i) => `/p/${block}/${i}`)
      const late = await bench.connect()
      late.send({ type: 'HELLO', version: 1, features: [], name: 'late' })
      late.subscribe(1, '/p/7/*')
      late.set('/p/7/1', int(1))
      const before = await late.settle()
      assert.equal(entries(before).length, 101_000)
      // The SET and what follows it come behind both snapshots: nothing overtakes.
      assert.deepEqual(
        before.slice(-2).map(({ type }) => type),
        ['SET', 'ACK'],
      )
    } finally {
      await bench.stop()
    }
  })

  it('stay below what a small peer can take', async () => {
    const bench = await Bench.start({
      wrap: (router) => ({
        attach: (link) => router.attach(link),
        admit(link, handler, bytes, start) {
          // HELLO with QoS 1 marks the small one here.
          if (bytes[start + 1] === 0x41) link.limits = { ...link.limits, maxFrameBytes: 252 }
          return handler
        },
      }),
    })
    try {
      const writer = await bench.join()
      await fill(writer, 50, (i) => `/small/${i}`)
      writer.set('/small/large', bytes(500))
      await writer.next('ACK')
      const small = await bench.connect()
      small.sendFrame(Buffer.from('5341000c0101e00005455350333200000000'.slice(0, 32), 'hex'))
      await small.next('WELCOME')
      small.subscribe(1, '/small/**')
      const messages = await small.settle()
      assert.ok(messages.length > 20)
      const names = new Set(entries(messages).map(({ address }) => address))
      assert.equal(names.size, 50)
      assert.ok(!names.has('/small/large'))
    } finally {
      await bench.stop()
    }
  })
})

describe('a snapshot in pages', () => {
  const late = async (bench: Bench): Promise<Peer> => {
    const peer = await bench.connect()
    peer.send({ type: 'HELLO', version: 1, features: [], name: 'late' })
    return peer
  }
  const hasAll = (messages: Message[], count: number, address: (i: number) => string) => {
    const found = new Set(entries(messages).map((param) => param.address))
    for (let i = 0; i < count; i++) if (!found.has(address(i))) return `${address(i)} is missing`
    return 'complete'
  }

  it('has frames that are within the limit for every length of address', async () => {
    const bench = await Bench.start()
    try {
      const writer = await bench.join()
      const address = (i: number) => `/${'x'.repeat(i)}`
      await fill(writer, 1000, address)
      const sizes: number[] = []
      const peer = await bench.connect()
      let rest = Buffer.alloc(0)
      peer.socket.on('data', (chunk) => {
        rest = Buffer.concat([rest, chunk])
        for (
          ;
          rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0);
          rest = rest.subarray(4 + rest.readUInt32BE(0))
        )
          sizes.push(rest.readUInt32BE(0))
      })
      peer.send({ type: 'HELLO', version: 1, features: [], name: 'late' })
      const messages = await peer.settle()
      assert.equal(hasAll(messages, 1000, address), 'complete')
      assert.ok(sizes.length > 8 && sizes.every((size) => size <= 65_539), `${sizes}`)
    } finally {
      await bench.stop()
    }
  })

  it('brings a value that fills a frame alone without writer and time, and everything around it', async () => {
    const bench = await Bench.start()
    try {
      const writer = await bench.join()
      const address = (i: number) => `/p/${i}`
      await fill(writer, 10, address)
      // The largest that a SET may have: address and value data within 65 516 bytes.
      const largest = bytes(65_516 - '/p/10'.length - 2)
      writer.set('/p/10', largest)
      await writer.next('ACK')
      writer.send({ type: 'GET', address: '/p/10' })
      const [param] = (await writer.next('SNAPSHOT')).params
      assert.deepEqual([param.value, param.writer, param.timestamp], [largest, undefined, undefined])
      const peer = await late(bench)
      assert.equal(hasAll(await peer.settle(), 11, address), 'complete')
      writer.set('/p/11', bytes(65_516 - '/p/11'.length - 1))
      assert.equal((await writer.next('ERROR')).code, 400)
    } finally {
      await bench.stop()
    }
  })

  it('comes before the replies to requests that were made behind it, all in order', async () => {
    const bench = await Bench.start()
    try {
      const writer = await bench.join()
      for (let block = 0; block < 30; block++) await fill(writer, 1000, (i) => `/p/${block}/${i}`)
      const peer = await late(bench)
      peer.send({ type: 'GET', address: '/p/0/0' })
      peer.send({ type: 'SYNC', t1: 1 })
      peer.subscribe(1, '/p/3/*')
      peer.subscribe(2, '/p/0/1')
      peer.send({ type: 'QUERY', pattern: '/none' })
      peer.send({ type: 'BUNDLE', messages: [{ type: 'SET', address: '/p/3/7', value: int(7) }] })
      const messages = await peer.settle()
      const types = messages.map((m) =>
        m.type === 'SNAPSHOT' ? `SNAPSHOT ${m.params.length > 1 ? 'page' : 'one'}` : m.type,
      )
      const distinct = types.filter((type, i) => type !== types[i - 1])
      assert.deepEqual(distinct, [
        ...['WELCOME', 'SNAPSHOT page', 'SNAPSHOT one', 'SYNC'],
        ...['SNAPSHOT page', 'SNAPSHOT one', 'RESULT', 'SET', 'ACK'],
      ])
      assert.equal(entries(messages).length, 30_000 + 1 + 1000 + 1)
    } finally {
      await bench.stop()
    }
  })

  it('and live updates together leave a new subscriber with the state as it is', async () => {
    const bench = await Bench.start()
    try {
      const writer = await bench.join('writer')
      const address = (i: number) => `/p/${i}`
      await fill(writer, 30_000, address)
      const peer = await bench.join('late')
      await peer.settle()
      peer.subscribe(1, '/p/*')
      for (let i = 0; i < 30_000; i++) writer.set(address(i), int(i))
      await writer.settle()
      const heard = new Map<string, unknown>()
      for (const message of await peer.settle()) {
        if (message.type === 'SET') heard.set(message.address, message.value)
        for (const param of entries([message])) heard.set(param.address, param.value)
      }
      for (let i = 0; i < 30_000; i++) assert.deepEqual(heard.get(address(i)), int(i), address(i))
    } finally {
      await bench.stop()
    }
  })

  it('misses nothing that stays while other params come and go', async () => {
    const bench = await Bench.start({ options: { maxParams: 30_000, eviction: 'lru' } })
    try {
      const writer = await bench.join('writer')
      await fill(writer, 15_000, (i) => `/goes/${i}`)
      await fill(writer, 15_000, (i) => `/stays/${i}`)
      const peer = await late(bench)
      // Evicts the old ones one by one, and the places of what is left change in between.
      for (let i = 0; i < 15_000; i++) writer.set(`/comes/${i}`, int(i))
      await writer.settle()
      const messages = await peer.settle()
      assert.equal(
        hasAll(messages, 15_000, (i) => `/stays/${i}`),
        'complete',
      )
      assert.equal(bench.router.statistics.evictions, 15_000)
    } finally {
      await bench.stop()
    }
  })

  it('waits for a peer that does not read, instead of filling the memory', async () => {
    const bench = await Bench.start()
    try {
      const writer = await bench.join('writer')
      for (let i = 0; i < 900; i++) {
        writer.set(`/large/${i}`, bytes(60_000))
        if (i % 50 === 0) await writer.settle()
      }
      await writer.settle()
      const peer = await late(bench)
      peer.socket.pause()
      const statistics = () => bench.router.sessionStatistics().find(({ name }) => name === 'late')
      await writer.until(() => (statistics()?.queuedBytes ?? 0) > 0, 'backlog')
      let most = 0
      for (let i = 0; i < 20; i++) {
        await writer.settle()
        most = Math.max(most, statistics()?.queuedBytes ?? 0)
      }
      assert.ok(most < 2_000_000, `${most} of 54 000 000 bytes are waiting`)
      peer.socket.resume()
      await peer.until(() => entries(peer.inbox).length === 900, 'all params')
      // And one that leaves in the middle takes its pages along.
      const leaving = await late(bench)
      leaving.socket.pause()
      await writer.until(() => (bench.router.sessionStatistics().length ?? 0) === 3, 'session')
      leaving.close()
      await writer.until(() => bench.router.sessionStatistics().length === 2, 'end of the session')
      assert.deepEqual(await writer.settle(), [])
    } finally {
      await bench.stop()
    }
  })

  it('reaches a peer on a slow line that asks for something in the middle of it', async () => {
    const bench = await Bench.start()
    try {
      const writer = await bench.join('writer')
      for (let i = 0; i < 900; i++) {
        writer.set(`/large/${i}`, bytes(60_000))
        if (i % 50 === 0) await writer.settle()
      }
      await writer.settle()
      const peer = await late(bench)
      peer.socket.pause()
      const statistics = () => bench.router.sessionStatistics().find(({ name }) => name === 'late')
      await writer.until(() => (statistics()?.queuedBytes ?? 0) > 262_144, 'backlog')
      // As a client does that sets its clock as soon as it is welcome.
      peer.send({ type: 'SYNC', t1: 1 })
      peer.set('/own', int(1))
      peer.subscribe(1, '/own')
      peer.subscribe(2, '/large/**')
      peer.send({ type: 'SYNC', t1: 2 })
      await writer.until(() => bench.router.statistics.messages.sync === 2, 'SYNC')
      await writer.settle()
      peer.socket.resume()
      await peer.until(() => peer.inbox.filter(({ type }) => type === 'SYNC').length === 2, 'both SYNCs')
      assert.equal(entries(peer.inbox).length, 900 + 1 + 900)
      const types = peer.inbox.map(({ type }) => type)
      assert.deepEqual(
        types.filter((type, i) => type !== types[i - 1]),
        ['WELCOME', 'SNAPSHOT', 'SYNC', 'ACK', 'SNAPSHOT', 'SYNC'],
      )
    } finally {
      await bench.stop()
    }
  })

  it('is not sent again and again to a peer that subscribes again and again without reading', async () => {
    const bench = await Bench.start()
    try {
      const writer = await bench.join('writer')
      for (let i = 0; i < 300; i++) writer.set(`/large/${i}`, bytes(60_000))
      await writer.settle()
      const peer = await late(bench)
      peer.socket.pause()
      for (let i = 0; i < 5000; i++) peer.subscribe(i % 2, `/large/${'*'.repeat(1 + (i % 2))}`)
      await writer.until(() => bench.router.statistics.messages.subscribe === 5000, 'all subscriptions')
      await writer.settle()
      peer.socket.resume()
      const count = entries(await peer.settle()).length
      assert.ok(count >= 900 && count <= 1800, `${count} params came`)
      assert.equal(bench.router.statistics.subscriptions, 2)
    } finally {
      await bench.stop()
    }
  })
})
