import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { describe, it, test } from 'node:test'
import { type WebSocket, WebSocketServer } from 'ws'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message, SnapshotParam } from '../../firmware-protocol/wire/message.ts'
import { rawServer } from '../client/scripted-router.ts'
import { int, text } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { attempt, Heard, openSession, prefixed, problemOf, sendTo, WELCOME } from './hub-session-fixture.ts'

interface Test {
  after(end: () => void): void
}

/** Says WELCOME over TCP and hands the socket over. */
async function lyingHub(t: Test, onWelcomed: (socket: Socket) => void): Promise<string> {
  const port = await rawServer(t as never, (socket) => {
    socket.once('data', () => {
      sendTo(socket, WELCOME)
      onWelcomed(socket)
    })
  })
  return `tcp://127.0.0.1:${port}`
}

/** A WebSocket server that answers HELLO as the test says. */
async function webSocketHub(
  t: Test,
  onHello: (send: (data: Uint8Array | string) => void, transport: Socket, socket: WebSocket) => void,
) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  server.on('connection', (socket, request) => {
    socket.on('error', () => {})
    socket.once('message', () => onHello((data) => socket.send(data), request.socket, socket))
  })
  return `ws://127.0.0.1:${(server.address() as { port: number }).port}`
}

const welcomeBytes = prefixed(encodeFrame(WELCOME))
const SNAPSHOT: Message = {
  type: 'SNAPSHOT',
  params: [{ address: '/a', value: text('value'), revision: 7, writer: 'w' }],
}

describe('a hub that breaks off', () => {
  it('at any byte of its WELCOME leaves a problem, not a session', async (t) => {
    let cut = 0
    const port = await rawServer(t, (socket) => socket.once('data', () => socket.end(welcomeBytes.subarray(0, cut))))
    for (; cut < welcomeBytes.length; cut++) {
      const { kind, words } = await problemOf(t, `tcp://127.0.0.1:${port}`)
      assert.equal(kind, 'closed', words)
    }
    const { heard } = await openSession(t, `tcp://127.0.0.1:${port}`)
    await until(() => heard.ended.length === 1, 'the end')
    assert.equal(heard.ended[0].kind, 'closed')
  })

  it('with a truncated WELCOME is not taken for a hub', async (t) => {
    const frame = encodeFrame(WELCOME)
    let cut = 1
    const url = await webSocketHub(t, (send) => send(frame.subarray(0, cut)))
    for (; cut < frame.length; cut++) {
      const { kind, words } = await problemOf(t, url)
      assert.equal(kind, 'not-clasp', words)
      assert.match(words, /hub\.url/)
    }
  })

  it('with any frame cut anywhere ends the session with the reason', async (t) => {
    const messages: Message[] = [
      SNAPSHOT,
      { type: 'SET', address: '/a', value: text('x'), revision: 3, ttl: { mode: 'never' } },
      { type: 'FEDERATION_SYNC', op: 'sync_complete', patterns: ['/a/**'], revisions: [], origin: 'hub' },
      { type: 'ERROR', code: 403, message: 'no', address: '/a' },
      { type: 'ACK', address: '/a', revision: 8 },
    ]
    let bytes: Uint8Array = new Uint8Array()
    const url = await webSocketHub(t, (send) => {
      send(encodeFrame(WELCOME))
      send(bytes)
    })
    for (const message of messages) {
      const frame = encodeFrame(message)
      for (let cut = 1; cut < frame.length; cut += 3) {
        bytes = frame.subarray(0, cut)
        const { session, heard } = await openSession(t, url)
        const answer = await session.set('/a', int(1))
        assert.deepEqual(answer, { kind: 'lost' })
        assert.equal(heard.ended[0].kind, 'protocol', `${message.type} cut at ${cut}: ${heard.ended[0].words}`)
        assert.equal(heard.sets.length + heard.snapshots.length, 0)
      }
    }
  })

  it('in the middle of a payload that claims to be whole ends the session', async (t) => {
    for (const hex of ['5341000104', '5341000304 0100', '53810004 30000001', '53010001 7f']) {
      const frame = Buffer.from(hex.replaceAll(' ', ''), 'hex')
      const { session, heard } = await openSession(t, await lyingHub(t, (socket) => socket.write(prefixed(frame))))
      assert.equal((await session.barrier()).kind, 'lost')
      assert.equal(heard.ended[0].kind, 'protocol', hex)
    }
  })

  it('with what its transport forbids ends the session', async (t) => {
    const tooLong = await openSession(t, await lyingHub(t, (socket) => socket.write(Buffer.from('ffffffff53', 'hex'))))
    await until(() => tooLong.heard.ended.length === 1, 'the end over TCP')
    assert.deepEqual(tooLong.heard.ended[0].kind, 'protocol')
    assert.match(tooLong.heard.ended[0].words, /length prefix/)
    const asText = await openSession(
      t,
      await webSocketHub(t, (send) => {
        send(encodeFrame(WELCOME))
        send('hello')
      }),
    )
    await until(() => asText.heard.ended.length === 1, 'the end after a text')
    assert.equal(asText.heard.ended[0].kind, 'protocol')
    const badOpcode = await openSession(
      t,
      await webSocketHub(t, (send, socket) => {
        send(encodeFrame(WELCOME))
        setImmediate(() => socket.write(Buffer.from('8700', 'hex')))
      }),
    )
    await until(() => badOpcode.heard.ended.length === 1, 'the end after a bad opcode')
    assert.equal(badOpcode.heard.ended[0].kind, 'protocol')
  })

  it('says why when it did', async (t) => {
    const url = await lyingHub(t, (socket) => {
      sendTo(socket, { type: 'ERROR', code: 503, message: 'Session closed: too slow' })
      socket.end()
    })
    const { heard } = await openSession(t, url)
    await until(() => heard.ended.length === 1, 'the end')
    assert.match(heard.ended[0].words, /Session closed: too slow \(503\)/)
    assert.equal(heard.overflows, 1)
  })
})

describe('a hub that is silent', () => {
  for (const scheme of ['ws', 'tcp']) {
    it(`before WELCOME is given up over ${scheme}`, async (t) => {
      let isSpokenTo = false
      const port = await rawServer(t, (socket) => {
        socket.once('data', () => {
          isSpokenTo = true
        })
      })
      const clock = new SteppedClock()
      const outcome = attempt(t, `${scheme}://127.0.0.1:${port}`, { clock, connectTimeoutMs: 3000 })
      await until(() => isSpokenTo, 'the request or HELLO')
      clock.advance(3000)
      const problem = await outcome
      assert.ok('kind' in problem && problem.kind === 'timeout', JSON.stringify(problem))
      assert.match(problem.words, /within 3 s/)
      assert.equal(clock.pendingTimers, 0)
    })
  }

  it('is asked after 30 s and left 10 s later', async (t) => {
    const clock = new SteppedClock()
    let asked = 0
    const url = await lyingHub(t, (socket) => socket.on('data', (chunk) => (asked += chunk.length)))
    const { session, heard } = await openSession(t, url, { clock })
    clock.advance(29_000)
    assert.equal(session.counters.framesSent, 1)
    clock.advance(2000)
    await until(() => asked === 9, 'the PING')
    clock.advance(8000)
    assert.equal(heard.ended.length, 0)
    const waiting = session.set('/a', int(1))
    clock.advance(3000)
    assert.deepEqual(
      heard.ended.map(({ kind }) => kind),
      ['timeout'],
    )
    assert.match(heard.ended[0].words, /silent/)
    assert.deepEqual(await waiting, { kind: 'lost' })
  })

  it('to PINGs, but sends on, is left after a minute', async (t) => {
    const clock = new SteppedClock()
    let hub: Socket | undefined
    const { session, heard } = await openSession(t, await lyingHub(t, (socket) => (hub = socket)), { clock })
    const barrier = session.barrier()
    for (let seconds = 0; seconds < 65 && heard.ended.length === 0; seconds += 5) {
      const before = session.counters.framesReceived
      sendTo(hub as Socket, { type: 'SNAPSHOT', params: [] })
      await until(() => session.counters.framesReceived > before || heard.ended.length > 0, 'the SNAPSHOT')
      clock.advance(5000)
    }
    assert.match(heard.ended[0].words, /has not answered a PING/)
    assert.deepEqual(await barrier, { kind: 'lost' })
  })

  it('but answers PINGs is kept, and its WebSocket is pinged every 20 s', async (t) => {
    const clock = new SteppedClock()
    let transportPings = 0
    const url = await webSocketHub(t, (send, _transport, socket) => {
      send(encodeFrame(WELCOME))
      socket.on('message', () => send(encodeFrame({ type: 'PONG' })))
      socket.on('ping', () => transportPings++)
    })
    const { session, heard } = await openSession(t, url, { clock })
    for (let second = 5; second <= 300; second += 5) {
      clock.advance(5000)
      await until(() => session.counters.framesReceived === session.counters.framesSent, 'the PONG')
    }
    assert.equal(heard.ended.length, 0)
    assert.ok(session.counters.framesSent >= 6 && session.counters.framesSent <= 12, `${session.counters.framesSent}`)
    await until(() => transportPings >= 12, 'pings of the transport')
  })
})

describe('a hub that lies', () => {
  it('with answers that nobody asked for does no harm', async (t) => {
    const url = await lyingHub(t, (socket) =>
      sendTo(
        socket,
        WELCOME,
        { type: 'PONG' },
        { type: 'ACK' },
        { type: 'ACK', address: '/unknown', revision: 1 },
        { type: 'FEDERATION_SYNC', op: 'sync_complete', patterns: ['/a/**'], revisions: [] },
        { type: 'FEDERATION_SYNC', op: 'declare_namespaces', patterns: ['/**'], revisions: [] },
        { type: 'SYNC', t1: 1, t2: 2n ** 63n, t3: 2 },
        { type: 'ERROR', code: 403, message: 'no', address: '/unknown' },
        { type: 'ERROR', code: 400, message: 'no' },
        { type: 'RESULT', signals: [] },
        { type: 'BUNDLE', messages: [{ type: 'SET', address: '/a', value: int(1), revision: 2n ** 64n - 1n }] },
        { type: 'PING' },
      ),
    )
    const { session, heard } = await openSession(t, url)
    await until(() => heard.sets.length === 1 && session.counters.framesReceived === 13, 'the lies')
    assert.deepEqual(
      heard.refusals.map(({ code }) => code),
      [403, 400],
    )
    assert.deepEqual(heard.ended, [])
  })

  it('about revisions and clocks is believed, within reason', async (t) => {
    const url = await lyingHub(t, (socket) => {
      socket.once('data', () => sendTo(socket, { type: 'ACK', address: '/a', revision: 2n ** 64n - 1n }))
    })
    const { session } = await openSession(t, url)
    const answer = await session.set('/a', int(1))
    assert.ok(answer.kind === 'stored' && answer.revision > Number.MAX_SAFE_INTEGER)
  })

  it('with a clock that makes the round trip negative gives no sample', async (t) => {
    const url = await lyingHub(t, (socket) => {
      socket.once('data', (chunk: Buffer) => {
        const t1 = chunk.readBigUInt64BE(4 + 4 + 2)
        sendTo(socket, { type: 'SYNC', t1, t2: 0, t3: 10_000_000_000 })
      })
    })
    const { session } = await openSession(t, url)
    assert.equal(await session.sampleClock(), undefined)
  })

  it('by a PONG before the ACK makes the SET count as discarded, and the ACK for nothing', async (t) => {
    const url = await lyingHub(t, (socket) => {
      socket.on('data', () => sendTo(socket, { type: 'PONG' }, { type: 'ACK', address: '/a', revision: 1 }))
    })
    const { session, heard } = await openSession(t, url)
    const [set] = await Promise.all([session.set('/a', int(1)), session.barrier()])
    assert.deepEqual(set, { kind: 'discarded' })
    assert.deepEqual(heard.ended, [])
  })
})

test('a storm of ERRORs, PONGs and PINGs is passed on and forgotten', async (t) => {
  const storm = Buffer.concat(
    Array.from({ length: 500 }, (_, i): Message[] => [
      { type: 'ERROR', code: 429, message: 'Rate limit exceeded' },
      { type: 'ERROR', code: 503, message: 'Buffer overflow: messages being dropped (100 drops in last 10 seconds)' },
      { type: 'ERROR', code: 403, message: 'no', address: `/a/${i}` },
      { type: 'PONG' },
      { type: 'PING' },
    ]).flatMap((messages) => messages.map((message) => prefixed(encodeFrame(message)))),
  )
  const url = await lyingHub(t, (socket) => {
    socket.resume()
    for (let i = 0; i < 20; i++) socket.write(storm)
  })
  const clock = new SteppedClock()
  const { session, heard } = await openSession(t, url, { clock })
  await until(() => session.counters.framesReceived === 50_001, 'the storm')
  assert.equal(session.counters.throttled, 10_000)
  assert.equal(heard.overflows, 10_000)
  assert.equal(heard.refusals.length, 10_000)
  assert.equal(session.rate, 25, 'one burst')
  assert.ok(clock.pendingTimers <= 3, `${clock.pendingTimers} timers`)
  assert.deepEqual(heard.ended, [])
})

test('an endless SNAPSHOT costs no memory, and the request that it answers comes to an end', async (t) => {
  const params: SnapshotParam[] = Array.from({ length: 400 }, (_, i) => ({
    address: `/site-a/param/${i}`,
    value: text('x'.repeat(50)),
    revision: 1,
  }))
  const frame = prefixed(encodeFrame({ type: 'SNAPSHOT', params }))
  let isOver = false
  t.after(() => {
    isOver = true
  })
  const url = await lyingHub(t, (socket) => {
    socket.resume()
    const more = () => {
      if (!isOver && !socket.destroyed) socket.write(frame, more)
    }
    more()
  })
  let count = 0
  const handler = Object.assign(new Heard(), {
    onSnapshot: () => {
      count++
    },
  })
  const session = await attempt(t, url, { handler, answerTimeoutMs: 100 })
  assert.ok(!('kind' in session))
  const answer = session.requestSync('/site-a/**')
  await until(() => count > 200, 'the first SNAPSHOTs')
  const before = process.memoryUsage().heapUsed
  // Six time-outs long, then no more: and as PINGs meet silence, the session goes with it.
  const { kind } = await answer
  assert.ok(kind === 'unanswered' || kind === 'lost', kind)
  const grown = (process.memoryUsage().heapUsed - before) / 1_000_000
  assert.ok(grown < 80, `${grown} MB more after ${count} SNAPSHOTs`)
})

test('a hub that stops reading makes room run out, not memory', async (t) => {
  const url = await lyingHub(t, (socket) => socket.pause())
  const { session } = await openSession(t, url, { window: 100_000 })
  let sent = 0
  const value = text('x'.repeat(10_000))
  const deadline = performance.now() + 10_000
  while (session.canSend && performance.now() < deadline) {
    for (let i = 0; i < 10 && session.canSend; i++) session.set(`/a/${sent++}`, value)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  assert.equal(session.canSend, false)
  assert.equal(session.publish({ type: 'PUBLISH', address: '/a', signal: 'event' }), false)
  assert.ok(sent < 5000, `${sent} frames were taken`)
})
