import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BackOff } from '../../runtime/client/back-off.ts'
import { ClientError } from '../../runtime/client/client-error.ts'
import { connect } from '../../runtime/client/connect.ts'
import { parseRouterUrl } from '../../runtime/client/router-url.ts'
import { stayConnected } from '../../runtime/client/stay-connected.ts'
import { int } from '../router/fixture.ts'
import { until } from '../until.ts'
import { rawServer, type Script, scriptedRouter } from './scripted-router.ts'

function failsAs(kind: string, ...words: string[]) {
  return (error: unknown) => {
    assert.ok(error instanceof ClientError, String(error))
    assert.equal(error.kind, kind, error.message)
    for (const word of words) assert.ok(error.message.includes(word), error.message)
    return true
  }
}

test('addresses of routers are read as operators write them', () => {
  const read = (text: string) => parseRouterUrl(text).href
  assert.equal(read('pi.local'), 'ws://pi.local:7330/clasp')
  assert.equal(read('192.168.1.5:8000'), 'ws://192.168.1.5:8000/clasp')
  assert.equal(read('[::1]:7330'), 'ws://[::1]:7330/clasp')
  assert.equal(read('ws://pi.local:7330/other'), 'ws://pi.local:7330/other')
  assert.equal(read('wss://hub.example/'), 'wss://hub.example/clasp')
  assert.equal(parseRouterUrl('tcp://pi.local').port, '7330')
  for (const text of ['', 'http://x', 'ws://', 'quic://x:1', 'a b', 'host:99999']) {
    assert.throws(() => parseRouterUrl(text), failsAs('url', 'expected for example'), text)
  }
})

test('nothing listening, an unknown scheme and an unknown name are told apart', async (t) => {
  const router = await scriptedRouter(t)
  await router.stop()
  const { port } = new URL(router.url)
  await assert.rejects(connect(router.url), failsAs('refused', `127.0.0.1 port ${port}`, 'is the router running'))
  await assert.rejects(connect(`tcp://127.0.0.1:${port}`), failsAs('refused', 'clasp-edge discover'))
  await assert.rejects(connect('ftp://127.0.0.1'), failsAs('url'))
})

test('a server that is no CLASP router is recognised', async (t) => {
  const port = await rawServer(t, (socket) => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'))
  await assert.rejects(connect(`ws://127.0.0.1:${port}`), failsAs('not-clasp', '404'))
  const silent = await rawServer(t, (socket) => socket.destroy())
  await assert.rejects(connect(`tcp://127.0.0.1:${silent}`), failsAs('closed', 'CLASP router'))
})

test('a server that says nothing fails after the time given', async (t) => {
  const port = await rawServer(t)
  for (const scheme of ['ws', 'tcp']) {
    await assert.rejects(connect(`${scheme}://127.0.0.1:${port}`, { timeoutMs: 100 }), failsAs('timeout', '0.1 s'))
  }
})

test('a connection attempt ends with its signal', async (t) => {
  const port = await rawServer(t)
  const aborter = new AbortController()
  const attempt = connect(`tcp://127.0.0.1:${port}`, { signal: aborter.signal })
  aborter.abort()
  await assert.rejects(attempt, failsAs('aborted'))
})

test('a refused token says what to do', async (t) => {
  const router = await scriptedRouter(t, (message, peer) => {
    if (message.type !== 'HELLO') return false
    peer.send({ type: 'ERROR', code: message.token === 'old' ? 302 : 300, message: 'Authentication required' })
    peer.close()
    return true
  })
  await assert.rejects(connect(router.url), failsAs('unauthorized', '(300)', '--token'))
  await assert.rejects(connect(router.url, { token: 'old' }), failsAs('unauthorized', '(302)', 'expired'))
})

test('a close before WELCOME gives the router’s reason', async (t) => {
  const router = await scriptedRouter(t, (_message, peer) => {
    peer.close()
    return true
  })
  await assert.rejects(connect(router.url), failsAs('closed', 'said the script'))
})

test('a router that is silent about unknown addresses does not make get wait', async (t) => {
  const router = await scriptedRouter(t)
  const client = await connect(router.url)
  t.after(() => client.close())
  assert.equal(await client.get('/unknown'), undefined)
})

test('an error without an address goes to the oldest request, one about another address to none', async (t) => {
  const router = await scriptedRouter(t, (message, peer) => {
    if (message.type !== 'SET') return false
    if (message.address === '/a') {
      peer.send(
        { type: 'ERROR', code: 503, message: 'deliveries dropped' },
        { type: 'ERROR', code: 404, message: 'somebody else', address: '/other' },
        { type: 'ERROR', code: 429, message: 'Too fast' },
      )
      return true
    }
    return false
  })
  const client = await connect(router.url)
  t.after(() => client.close())
  const [a, b] = await Promise.allSettled([client.set('/a', int(1)), client.set('/b', int(1))])
  assert.equal(b.status, 'fulfilled')
  assert.ok(a.status === 'rejected')
  failsAs('rejected', 'SET /a was refused: Too fast (429)', 'send less')(a.reason)
})

test('a late answer does not go to the next request', async (t) => {
  let delayed: (() => void) | undefined
  const router = await scriptedRouter(t, (message, peer) => {
    if (message.type !== 'SET' || delayed !== undefined) return false
    delayed = () => peer.send({ type: 'ACK', address: '/a', revision: 1 })
    return true
  })
  const client = await connect(router.url)
  t.after(() => client.close())
  client.timeoutMs = 50
  await assert.rejects(client.set('/a', int(1)), failsAs('timeout', 'SET /a'))
  delayed?.()
  client.timeoutMs = 5000
  // Ours is the second ACK of this address; the router of the script gives it revision 1 as well, so count answers.
  const acks: unknown[] = []
  client.onMessage((message) => message.type === 'ACK' && acks.push(message))
  await client.set('/a', int(2))
  assert.equal(acks.length, 2)
})

test('the client answers a PING of the router and skips what it cannot read', async (t) => {
  const router = await scriptedRouter(t, (message, peer) => {
    if (message.type === 'HELLO') peer.send({ type: 'PING' })
    return false
  })
  const client = await connect(router.url)
  t.after(() => client.close())
  await until(() => router.received.some(({ type }) => type === 'PONG'), 'PONG of the client')
  client.onFrames(Uint8Array.of(0x53, 1, 0, 1, 0x7f))
  client.onFrames(Uint8Array.of(1, 2, 3))
  assert.equal((await client.set('/a', int(1))).revision, 1)
})

test('a lost connection is made again with its subscriptions', async (t) => {
  const aborter = new AbortController()
  t.after(() => aborter.abort())
  const first = await scriptedRouter(t)
  const lost: string[] = []
  let connected = 0
  const life = stayConnected(
    first.url,
    {},
    {
      async onConnected(client) {
        await client.subscribe(['/a'], () => {})
        connected++
      },
      onLost: (error) => lost.push(error.kind),
      backOff: new BackOff({ baseMs: 10, capMs: 50 }),
    },
    aborter.signal,
  )
  await until(() => connected === 1, 'first connection')
  await first.stop()
  await until(() => lost.includes('refused'), 'failed attempts')
  const second = await scriptedRouter(t, () => false, Number(new URL(first.url).port))
  await until(() => connected === 2, 'second connection')
  assert.ok(second.received.some((message) => message.type === 'SUBSCRIBE' && message.pattern === '/a'))
  assert.equal(lost[0], 'closed')
  aborter.abort()
  await life
})

test('staying connected gives up when the first attempt fails, and when the token is refused later', async (t) => {
  const signal = new AbortController().signal
  const life = { onConnected: async () => {}, onLost: () => {}, backOff: new BackOff({ baseMs: 5, capMs: 5 }) }
  const port = await rawServer(t, (socket) => socket.destroy())
  await assert.rejects(stayConnected(`tcp://127.0.0.1:${port}`, {}, life, signal), failsAs('closed'))
  const router = await scriptedRouter(t)
  const refuse: Script = (message, peer) => {
    if (message.type !== 'HELLO') return false
    peer.send({ type: 'ERROR', code: 302, message: 'expired' })
    peer.close()
    return true
  }
  const dropped = {
    ...life,
    async onConnected() {
      await router.stop()
      await scriptedRouter(t, refuse, Number(new URL(router.url).port))
    },
  }
  await assert.rejects(stayConnected(router.url, {}, dropped, signal), failsAs('unauthorized', '302'))
})

test('a router that stops answering counts as lost', async (t) => {
  let isDeaf = false
  const router = await scriptedRouter(t, () => isDeaf)
  const aborter = new AbortController()
  const lost: string[] = []
  const life = stayConnected(
    router.url,
    { timeoutMs: 200 },
    {
      onConnected: async () => {
        isDeaf = true
      },
      onLost: (error) => {
        lost.push(error.kind)
        aborter.abort()
      },
      pingIntervalMs: 20,
    },
    aborter.signal,
  )
  await life
  assert.deepEqual(lost, ['timeout'])
})

test('delays grow to the cap, are spread over their upper half, and begin anew after a success', () => {
  let random = 0
  const backOff = new BackOff({ baseMs: 100, capMs: 1000, random: () => random })
  assert.deepEqual([backOff.next(), backOff.next(), backOff.next()], [50, 100, 200])
  random = 1
  assert.deepEqual([backOff.next(), backOff.next(), backOff.next()], [800, 1000, 1000])
  backOff.reset()
  assert.equal(backOff.next(), 100)
})
