import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { covers, Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Access, Authorizer } from '../../runtime/router/access.ts'
import { Bench, int, type Peer } from './fixture.ts'

/** Tokens for the test: `read PATTERN`, `write PATTERN`, `soon` (expires in 100 ms), anything else is refused. */
const authorizer: Authorizer = {
  authorize(token) {
    if (token === undefined) return { code: 300, message: 'Authentication required' }
    const [action, pattern = '/**'] = token.split(' ')
    if (action === 'expired') return { code: 302, message: 'Token has expired' }
    if (!['read', 'write', 'soon'].includes(action)) return { code: 300, message: 'Invalid token: token not found' }
    const parsed = Pattern.parse(pattern)
    const access: Access = {
      subject: token,
      expiresAtUs: action === 'soon' ? (Date.now() + 100) * 1000 : Number.POSITIVE_INFINITY,
      canRead: (address) => typeof parsed !== 'string' && parsed.matches(address),
      canWrite: (address) => action === 'write' && typeof parsed !== 'string' && parsed.matches(address),
      canSubscribe: (requested) => covers(pattern, requested),
    }
    return access
  },
}

describe('permissions', () => {
  let bench: Bench
  let admin: Peer
  before(async () => {
    bench = await Bench.start({ authorizer })
    admin = await bench.join('admin', 'write /**')
    for (const address of ['/stage/lamp', '/office/door']) admin.set(address, int(1))
    admin.send({
      type: 'ANNOUNCE',
      namespace: '/',
      signals: [
        { address: '/stage/lamp', type: 'param' },
        { address: '/office/door', type: 'param' },
      ],
    })
    await admin.settle()
  })
  after(() => bench.stop())

  for (const [token, code, message] of [
    [undefined, 300, 'Authentication required'],
    ['nonsense', 300, 'Invalid token: token not found'],
    ['expired', 302, 'Token has expired'],
  ] as const) {
    it(`refuse HELLO with ${token ?? 'no token'}, say why and close`, async () => {
      const peer = await bench.connect()
      peer.send({ type: 'HELLO', version: 1, features: [], name: 'x', token })
      await peer.closed()
      assert.deepEqual(peer.inbox, [{ type: 'ERROR', code, message }])
    })
  }

  it('hold on every way to read', async () => {
    const peer = await bench.connect()
    peer.send({ type: 'HELLO', version: 1, features: [], name: 'reader', token: 'read /stage/**' })
    await peer.next('WELCOME')
    assert.deepEqual(
      (await peer.next('SNAPSHOT')).params.map(({ address }) => address),
      ['/stage/lamp'],
    )
    peer.send({ type: 'GET', address: '/office/door' })
    assert.deepEqual(await peer.next('ERROR'), {
      type: 'ERROR',
      code: 301,
      message: 'Insufficient scope for read operation',
      address: '/office/door',
    })
    for (const pattern of ['/**', '/*/lamp', '/office/door']) {
      peer.subscribe(1, pattern)
      assert.equal((await peer.next('ERROR')).message, 'Insufficient scope for subscription')
    }
    peer.subscribe(1, '/stage/*')
    await peer.next('SNAPSHOT')
    admin.set('/stage/lamp', int(2))
    admin.send({ type: 'PUBLISH', address: '/stage/cue', signal: 'event' })
    admin.send({ type: 'PUBLISH', address: '/office/cue', signal: 'event' })
    await admin.settle()
    assert.deepEqual(
      (await peer.settle()).map((m) => 'address' in m && m.address),
      ['/stage/lamp', '/stage/cue'],
    )
    peer.send({ type: 'QUERY', pattern: '/**' })
    assert.deepEqual(
      (await peer.next('RESULT')).signals.map(({ address }) => address),
      ['/stage/lamp'],
    )
  })

  it('hold on every way to write', async () => {
    const peer = await bench.join('writer', 'write /stage/**')
    peer.set('/office/door', int(9))
    assert.deepEqual(await peer.next('ERROR'), {
      type: 'ERROR',
      code: 301,
      message: 'Insufficient scope for write operation',
      address: '/office/door',
    })
    peer.send({ type: 'PUBLISH', address: '/office/x', signal: 'event' })
    assert.equal((await peer.next('ERROR')).message, 'Insufficient scope for publish operation')
    peer.send({
      type: 'BUNDLE',
      messages: [
        { type: 'SET', address: '/stage/lamp', value: int(9) },
        { type: 'SET', address: '/office/door', value: int(9) },
      ],
    })
    const error = await peer.next('ERROR')
    assert.deepEqual([error.code, error.message], [403, 'Bundle rejected: insufficient scope for SET to /office/door'])
    peer.send({ type: 'ANNOUNCE', namespace: '/o', signals: [{ address: '/office/new', type: 'param' }] })
    assert.equal((await peer.next('ERROR')).code, 301)
    admin.send({ type: 'GET', address: '/stage/lamp' })
    assert.deepEqual((await admin.next('SNAPSHOT')).params[0].value, int(2))
  })

  it('end with the token, also during a session', async () => {
    const peer = await bench.join('guest', 'soon')
    await peer.closed()
    assert.deepEqual(peer.inbox, [{ type: 'ERROR', code: 302, message: 'Token has expired' }])
  })
})
